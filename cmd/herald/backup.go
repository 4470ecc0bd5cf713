package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"filippo.io/age"
)

// backupFlags say where a backup is written, and to whom it is encrypted.
type backupFlags struct {
	Out       string   `required:"" placeholder:"FILE" help:"Where to write it, an age file."`
	Recipient []string `placeholder:"age1…" sep:"none" xor:"passphrase" help:"Encrypt to this age recipient; may be repeated. Without it, to a passphrase."`
	Force     bool     `help:"Replace the file if it exists."`
	passphraseFlags
}

// writeBackup writes a backup, encrypted to age recipients.
type writeBackup func(ctx context.Context, recipients []string, w io.Writer) error

// askPassphrase returns the passphrase, empty where the backup is for recipients.
func (f backupFlags) askPassphrase(ctx context.Context) (string, error) {
	if len(f.Recipient) > 0 {
		return "", nil
	}
	return f.read(ctx, true)
}

// save has a backup written to the file, whole or not at all, and returns its size.
func (f backupFlags) save(ctx context.Context, passphrase string, write writeBackup) (written writtenBackup, err error) {
	file, err := newFileAt(f.Out, private, f.Force)
	if err != nil {
		return written, err
	}
	defer func() { err = errors.Join(err, file.discard()) }()
	if passphrase == "" {
		err = write(ctx, f.Recipient, file)
	} else {
		err = backupWithPassphrase(ctx, passphrase, file, write)
	}
	if err != nil {
		return written, err
	}
	size, err := file.Seek(0, io.SeekCurrent)
	if err != nil {
		return written, err
	}
	return writtenBackup{f.Out, size}, file.keep()
}

// opensWith says what a backup is decrypted with.
func opensWith(passphrase string) string {
	if passphrase != "" {
		return "the passphrase"
	}
	return "--identity FILE"
}

// writtenBackup is what a backup prints as JSON.
type writtenBackup struct {
	File  string `json:"file"`
	Bytes int64  `json:"bytes"`
}

// backupWithPassphrase writes a backup encrypted to a passphrase. A passphrase
// does not leave this process: whoever makes the backup encrypts it to a key that
// lives only here, and here it is encrypted again.
func backupWithPassphrase(ctx context.Context, passphrase string, w io.Writer, write writeBackup) error {
	key, err := age.GenerateX25519Identity()
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	to, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	received, arriving := io.Pipe()
	sent := make(chan error, 1)
	go func() {
		err := write(ctx, []string{key.Recipient().String()}, arriving)
		_ = arriving.CloseWithError(err) // it never fails
		sent <- err
	}()
	err = reencrypt(w, received, to, key)
	_ = received.CloseWithError(err) // it never fails; ends the other side
	if sendErr := <-sent; sendErr != nil {
		return sendErr
	}
	return err
}

func reencrypt(w io.Writer, r io.Reader, to age.Recipient, with age.Identity) error {
	plain, err := age.Decrypt(r, with)
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	out, err := age.Encrypt(w, to)
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	if _, err := io.Copy(out, plain); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	if err := out.Close(); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	return nil
}

// restoreFlags say which backup a folder is made of.
type restoreFlags struct {
	File     string `arg:"" help:"What the backup was written to."`
	Dir      string `required:"" placeholder:"DIR" help:"Folder to make; it must not exist, or be empty."`
	Identity string `placeholder:"FILE" xor:"passphrase" help:"File with an age identity that the backup is encrypted to. Without it, a passphrase."`
	passphraseFlags
}

// decrypt calls f with the content of the backup. What f cannot read may be damaged or
// not whole.
func (c restoreFlags) decrypt(ctx context.Context, f func(io.Reader) error) error {
	file, err := os.Open(c.File)
	if err != nil {
		return unreadable(err)
	}
	defer file.Close()
	with, err := c.identities(ctx)
	if err != nil {
		return err
	}
	r, err := age.Decrypt(file, with...)
	if _, ok := errors.AsType[*age.NoIdentityMatchError](err); ok {
		return withHint(unreadable(fmt.Errorf("%s does not open with this passphrase or identity", plain(c.File))),
			"what backup --recipient wrote needs --identity here, what it wrote with a passphrase the passphrase.")
	}
	if err != nil {
		return unreadable(fmt.Errorf("%s is not a backup, or is damaged: %w", plain(c.File), err))
	}
	return f(r)
}

func (c restoreFlags) identities(ctx context.Context) ([]age.Identity, error) {
	if c.Identity != "" {
		b, err := readSmallFile(c.Identity)
		if err != nil {
			return nil, unreadable(err)
		}
		ids, err := age.ParseIdentities(bytes.NewReader(b))
		if err != nil {
			return nil, unreadable(fmt.Errorf("%s holds no age identity", c.Identity))
		}
		return ids, nil
	}
	passphrase, err := c.read(ctx, false)
	if err != nil {
		return nil, err
	}
	id, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		return nil, unreadable(err)
	}
	return []age.Identity{id}, nil
}
