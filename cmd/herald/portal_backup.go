package main

import (
	"context"
	"fmt"
	"io"

	"github.com/heraldpush/herald/admin"
	"github.com/heraldpush/herald/platform/folder"
)

// portalBackupCmd writes a backup.
type portalBackupCmd struct {
	backupFlags
	portalAt
}

// Run implements the verb.
func (c portalBackupCmd) Run(ctx context.Context, s streams) error {
	passphrase, err := c.askPassphrase(ctx)
	if err != nil {
		return withRemedy(err)
	}
	return c.do(ctx, func(ctx context.Context, at admin.Target) error {
		written, err := c.save(ctx, passphrase, func(ctx context.Context, recipients []string, w io.Writer) error {
			return admin.Backup(ctx, at, recipients, w)
		})
		if err != nil {
			return err
		}
		return c.print(s, written, func(w io.Writer) error {
			_, err := fmt.Fprintf(w, "Wrote %s (%d bytes, encrypted, mode 0600): teams, App IDs, certificates, keys' public halves, devices, the audit log\nand the authority with its private keys. Whoever can decrypt it can issue certificates. What waits for devices is not in it.\nNext, to prove it: herald portal restore %s --dir NEWDIR, with %s\n",
				plain(c.Out), written.Bytes, plain(c.Out), opensWith(passphrase))
			return err
		})
	})
}

// portalRestoreCmd makes a folder from a backup.
type portalRestoreCmd struct {
	restoreFlags
	printFlags
}

// maxBackup bounds what is restored, in bytes.
const maxBackup = 1 << 30

// Run implements the verb.
func (c portalRestoreCmd) Run(ctx context.Context, s streams) error {
	if err := folder.CheckNew(c.Dir); err != nil {
		return withRemedy(err)
	}
	var lines []byte
	err := c.decrypt(ctx, func(r io.Reader) (err error) {
		lines, err = c.readAll(r)
		return err
	})
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

// readAll returns the content of the backup.
func (c portalRestoreCmd) readAll(r io.Reader) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxBackup+1))
	switch {
	case err != nil:
		return nil, unreadable(fmt.Errorf("%s is damaged or not whole: %w", c.File, err))
	case len(b) > maxBackup:
		return nil, unreadable(fmt.Errorf("%s has more than %d bytes", c.File, maxBackup))
	}
	return b, nil
}
