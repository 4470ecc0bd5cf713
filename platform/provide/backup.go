package provide

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"filippo.io/age"

	"github.com/heraldpush/herald/internal/recipient"
	"github.com/heraldpush/herald/platform/folder"
	"github.com/heraldpush/herald/provider/account"
	"github.com/heraldpush/herald/provider/api"
	"github.com/heraldpush/herald/provider/audience"
	"github.com/heraldpush/herald/store/pebble"
)

// WriteBackup writes all that the provider of a folder has to w, encrypted to age
// recipients. Nobody may run on the folder: if somebody does, the error is
// folder.ErrInUse, and the API gives the backup.
func WriteBackup(ctx context.Context, dir string, recipients []string, w io.Writer, log *slog.Logger) (err error) {
	to, err := recipient.Parse(recipients)
	if err != nil {
		return err
	}
	f, err := folder.Open(ctx, dir, folder.MadeByProvider)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(f.Explain(err), f.Close()) }()
	box, err := f.OpenOutbox(log) //nolint:contextcheck // Close ends it
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, box.Close()) }()
	book, err := account.Open(ctx, account.Config{Store: f.Provider().Account(), Sealer: f.Sealer(), Logger: log})
	if err != nil {
		return err
	}
	c, err := copyFolder(ctx, f, box, book)
	if err != nil {
		return err
	}
	return errors.Join(encrypt(ctx, c, to, w), c.Close())
}

// copyFolder copies what a folder holds, with a line in the audit log that says so.
func copyFolder(ctx context.Context, f *folder.Folder, box *pebble.Outbox, book *account.Book) (*folder.Backup, error) {
	if err := note(ctx, book, "provider.backup", "all there is, with private keys"); err != nil {
		return nil, err
	}
	return f.Backup(ctx, box)
}

// note adds a line to the audit log.
func note(ctx context.Context, book *account.Book, action, detail string) error {
	return book.Update(ctx, func(tx account.Tx) error { return book.Note(ctx, tx, action, "provider", detail) })
}

func encrypt(ctx context.Context, b *folder.Backup, to []age.Recipient, w io.Writer) error {
	out, err := age.Encrypt(w, to...)
	if err != nil {
		return fmt.Errorf("encrypting backup: %w", err)
	}
	if err := b.Write(ctx, out); err != nil {
		return err
	}
	if err := out.Close(); err != nil {
		return fmt.Errorf("encrypting backup: %w", err)
	}
	return nil
}

// backup begins a backup for the API, one at a time.
func (s *service) backup(ctx context.Context, f *folder.Folder, recipients []string) (b api.Backup, err error) {
	to, err := recipient.Parse(recipients)
	if err != nil {
		var faults audience.Faults
		faults.Add("/recipients", audience.Malformed, err.Error())
		return b, faults.Err()
	}
	select {
	case s.backups <- struct{}{}:
	case <-ctx.Done():
		return b, ctx.Err()
	}
	c, err := copyFolder(ctx, f, s.outbox, s.book)
	if err != nil {
		<-s.backups
		return b, err
	}
	return api.Backup{
		Write: func(ctx context.Context, w io.Writer) error { return encrypt(ctx, c, to, w) },
		Done: func() error {
			defer func() { <-s.backups }()
			return c.Close()
		},
	}, nil
}

// Restore makes a folder of what a backup holds, decrypted, and returns its path. It
// must not exist yet, or be empty. The error may be a *folder.Error or a
// *folder.BackupError; nothing is left then.
func Restore(ctx context.Context, dir string, backup io.Reader, log *slog.Logger) (_ string, err error) {
	f, err := folder.Restore(ctx, dir, backup, log)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(f.Explain(err), f.Close()) }()
	// As of a start: what cannot be read is found now, and not then.
	book, err := account.Open(ctx, account.Config{Store: f.Provider().Account(), Sealer: f.Sealer(), Logger: log})
	if err != nil {
		return "", err
	}
	if err := note(ctx, book, "provider.restore", "from a backup"); err != nil {
		return "", err
	}
	return f.Dir(), f.Finish()
}
