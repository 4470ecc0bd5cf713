package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"filippo.io/age"

	"github.com/heraldpush/herald/admin"
	"github.com/heraldpush/herald/platform/folder"
)

// portalBackupCmd writes a backup.
type portalBackupCmd struct {
	Out       string   `required:"" placeholder:"FILE" help:"Where to write it, an age file."`
	Recipient []string `placeholder:"age1…" sep:"none" xor:"passphrase" help:"Encrypt to this age recipient; may be repeated. Without it, to a passphrase."`
	Force     bool     `help:"Replace the file if it exists."`
	passphraseFlags
	portalAt
}

// writtenBackup is what the verb prints as JSON.
type writtenBackup struct {
	File  string `json:"file"`
	Bytes int64  `json:"bytes"`
}

// Run implements the verb.
func (c portalBackupCmd) Run(ctx context.Context, s streams) error {
	passphrase := ""
	if len(c.Recipient) == 0 {
		var err error
		if passphrase, err = c.read(ctx, true); err != nil {
			return withRemedy(err)
		}
	}
	return c.do(ctx, func(ctx context.Context, at admin.Target) (err error) {
		file, err := newFileAt(c.Out, private, c.Force)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, file.discard()) }()
		if passphrase == "" {
			err = admin.Backup(ctx, at, c.Recipient, file)
		} else {
			err = backupWithPassphrase(ctx, at, passphrase, file)
		}
		if err != nil {
			return err
		}
		size, err := file.Seek(0, io.SeekCurrent)
		if err != nil {
			return err
		}
		if err := file.keep(); err != nil {
			return err
		}
		return c.print(s, writtenBackup{c.Out, size}, func(w io.Writer) error {
			with := "--identity FILE"
			if passphrase != "" {
				with = "the passphrase"
			}
			_, err := fmt.Fprintf(w, "Wrote %s (%d bytes, encrypted, mode 0600): teams, App IDs, certificates, keys' public halves, devices, the audit log\nand the authority with its private keys. Whoever can decrypt it can issue certificates. What waits for devices is not in it.\nNext, to prove it: herald portal restore %s --dir NEWDIR, with %s\n",
				plain(c.Out), size, plain(c.Out), with)
			return err
		})
	})
}

// backupWithPassphrase writes a backup encrypted to a passphrase. A passphrase
// does not leave this process: the portal encrypts to a key that lives only
// here, and here it is encrypted again.
func backupWithPassphrase(ctx context.Context, at admin.Target, passphrase string, w io.Writer) error {
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
		err := admin.Backup(ctx, at, []string{key.Recipient().String()}, arriving)
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

// portalRestoreCmd makes a folder from a backup.
type portalRestoreCmd struct {
	File     string `arg:"" help:"What herald portal backup wrote."`
	Dir      string `required:"" placeholder:"DIR" help:"Folder to make; it must not exist, or be empty."`
	Identity string `placeholder:"FILE" xor:"passphrase" help:"File with an age identity that the backup is encrypted to. Without it, a passphrase."`
	passphraseFlags
	printFlags
}

// maxBackup bounds what is restored, in bytes.
const maxBackup = 1 << 30

// Run implements the verb.
func (c portalRestoreCmd) Run(ctx context.Context, s streams) error {
	if err := folder.CheckNew(c.Dir); err != nil {
		return withRemedy(err)
	}
	lines, err := c.decrypt(ctx)
	if err != nil {
		return withRemedy(err)
	}
	made, err := makePlatformFolder(ctx, c.Dir, lines)
	if err != nil {
		return withRemedy(err)
	}
	return c.print(s, made, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "Restored the portal into %s; its authority is the one before.\n", plain(made.Dir))
		if err != nil {
			return err
		}
		return made.tell(w)
	})
}

// decrypt returns the content of the backup.
func (c portalRestoreCmd) decrypt(ctx context.Context) ([]byte, error) {
	f, err := os.Open(c.File)
	if err != nil {
		return nil, unreadable(err)
	}
	defer f.Close()
	with, err := c.identities(ctx)
	if err != nil {
		return nil, err
	}
	r, err := age.Decrypt(f, with...)
	if _, ok := errors.AsType[*age.NoIdentityMatchError](err); ok {
		hint := "herald portal backup --recipient needs --identity here, a passphrase the passphrase."
		return nil, withHint(unreadable(fmt.Errorf("%s does not open with this passphrase or identity", c.File)), "%s", hint)
	}
	if err != nil {
		return nil, unreadable(fmt.Errorf("%s is not a backup, or is damaged: %w", c.File, err))
	}
	b, err := io.ReadAll(io.LimitReader(r, maxBackup+1))
	switch {
	case err != nil:
		return nil, unreadable(fmt.Errorf("%s is damaged or not whole: %w", c.File, err))
	case len(b) > maxBackup:
		return nil, unreadable(fmt.Errorf("%s has more than %d bytes", c.File, maxBackup))
	}
	return b, nil
}

func (c portalRestoreCmd) identities(ctx context.Context) ([]age.Identity, error) {
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
