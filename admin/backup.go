package admin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	"filippo.io/age"

	"github.com/heraldpush/herald/internal/recipient"
	"github.com/heraldpush/herald/portal"
)

// BackupRequest says to whom a backup is encrypted.
type BackupRequest struct {
	// Recipients are age recipients, such as "age1…". One is required: a
	// backup holds the authority's private keys, and leaves the portal only
	// encrypted.
	Recipients []string `json:"recipients"`
}

var backupRow = Row{http.MethodPost, "/v1/portal/backup", "Gives everything the portal has, as of one moment, an age file to the recipients."}

// backupType is the media type of an age file.
const backupType = "application/octet-stream"

// Backup writes everything that the portal at t has to w, encrypted to age
// recipients. After an error, what was written is of no use. The error is a
// *Problem for a recipient that cannot be.
func Backup(ctx context.Context, t Target, recipients []string, w io.Writer) error {
	return t.backup(ctx, BackupRequest{recipients}, w)
}

func (l local) backup(ctx context.Context, in BackupRequest, w io.Writer) error {
	return writeBackup(ctx, l.rooms.Portal, in, w)
}

func writeBackup(ctx context.Context, p *portal.Portal, in BackupRequest, w io.Writer) error {
	to, err := in.parse()
	if err != nil {
		return err
	}
	out, err := age.Encrypt(w, to...)
	if err != nil {
		return fmt.Errorf("encrypting backup: %w", err)
	}
	if err := p.Backup(ctx, out); err != nil {
		return err
	}
	if err := out.Close(); err != nil {
		return fmt.Errorf("encrypting backup: %w", err)
	}
	return nil
}

func (in BackupRequest) parse() ([]age.Recipient, error) {
	to, err := recipient.Parse(in.Recipients)
	if err != nil {
		return nil, newProblem(http.StatusBadRequest, CodeRecipient, "`age-keygen` makes a pair; its public half starts with age1.", "%v", err)
	}
	return to, nil
}

// serveBackup answers with a backup. It is written to a file first, already
// encrypted: a slow reader must not hold up the store.
func (a *API) serveBackup(w http.ResponseWriter, r *http.Request) error {
	ctx := a.actor(r.Context())
	m, err := readBody(w, r)
	if err != nil {
		return err
	}
	var in BackupRequest
	if err := m.into(&in); err != nil {
		return newProblem(http.StatusBadRequest, CodeArgument, "", "%s", describeJSON(err))
	}
	select {
	case a.backups <- struct{}{}:
		defer func() { <-a.backups }()
	case <-ctx.Done():
		return ctx.Err()
	}
	f, err := os.CreateTemp("", "herald-backup-*.age") // mode 0600
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	defer func() {
		if err := errors.Join(f.Close(), os.Remove(f.Name())); err != nil {
			a.log.ErrorContext(ctx, "temporary file of a backup is still there", errorAttr(err))
		}
	}()
	if err := writeBackup(ctx, a.cfg.Portal, in, f); err != nil {
		return err
	}
	size, err := f.Seek(0, io.SeekEnd)
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	a.extend(w, backupTimeout)
	w.Header().Set("Content-Type", backupType)
	w.Header().Set("Content-Length", fmt.Sprint(size))
	if _, err := io.Copy(w, f); err != nil {
		panic(http.ErrAbortHandler) // the reader is gone, or must learn that this is not all
	}
	return nil
}
