package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/heraldpush/herald/internal/recipient"
	"github.com/heraldpush/herald/platform/folder"
	"github.com/heraldpush/herald/platform/provide"
)

// providerBackupCmd writes a backup.
type providerBackupCmd struct {
	backupFlags
	providerAt
}

// Help says more than the line in the list of verbs.
func (providerBackupCmd) Help() string {
	return `Also while the provider runs, which goes on meanwhile:

    herald provider backup --out push.age --recipient age1…
    herald provider restore push.age --dir NEWDIR --identity FILE

A message that was answered with 202 before is in it, and is sent after a restore
unless its time is over; what was sent since is sent again, under the same
apns-id. docs/provider.md tells more.`
}

// Run implements the verb.
func (c providerBackupCmd) Run(ctx context.Context, s streams, log *slog.Logger) error {
	if len(c.Recipient) > 0 {
		if _, err := recipient.Parse(c.Recipient); err != nil {
			return withHint(usageError("--recipient: %w", err), "age-keygen makes a pair; its public half starts with age1.")
		}
	}
	passphrase, err := c.askPassphrase(ctx)
	if err != nil {
		return err
	}
	written, err := c.save(ctx, passphrase, func(ctx context.Context, recipients []string, w io.Writer) error {
		return c.write(ctx, recipients, w, log)
	})
	if err != nil {
		return withProviderRemedy(err)
	}
	return c.print(s, written, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "Wrote %s (%d bytes, encrypted, mode 0600): apps, credentials with their private keys, API keys, installations, webhooks,\nand messages. Whoever can decrypt it can push to the apps.\nNext, to prove it: herald provider restore %s --dir NEWDIR, with %s\n",
			plain(c.Out), written.Bytes, plain(c.Out), opensWith(passphrase))
		return err
	})
}

// write writes the backup: from the folder itself if nobody runs on it, else through
// the provider that does.
func (c providerBackupCmd) write(ctx context.Context, recipients []string, w io.Writer, log *slog.Logger) error {
	if c.URL != "" {
		return c.fetch(ctx, recipients, w)
	}
	limit, cancel := context.WithTimeoutCause(ctx, lockWait, fmt.Errorf("%s: another herald works on it, and serves nobody", plain(c.Dir)))
	defer cancel()
	retry := time.NewTicker(lockRetry)
	defer retry.Stop()
	for {
		err := provide.WriteBackup(ctx, c.Dir, recipients, w, log)
		if !errors.Is(err, folder.ErrInUse) {
			return err
		}
		if err := c.fetch(ctx, recipients, w); !errors.Is(err, folder.ErrNotRunning) { // not yet there, or no more
			return err
		}
		select {
		case <-retry.C:
		case <-limit.Done():
			return context.Cause(limit)
		}
	}
}

// fetch has a provider that runs make the backup.
func (c providerBackupCmd) fetch(ctx context.Context, recipients []string, w io.Writer) error {
	at, err := c.api()
	if err != nil {
		return err
	}
	return at.download(ctx, endpoint("v1", "backup"), map[string][]string{"recipients": recipients}, w)
}

// backupTimeout is how long a backup may take.
const backupTimeout = 30 * time.Minute

// download asks the API for something that is no document, and writes it to w as it
// comes. The error may be a *refusedError.
func (p *providerAPI) download(ctx context.Context, path string, in any, w io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, backupTimeout)
	defer cancel()
	b, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("request: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url+path, bytes.NewReader(b))
	if err != nil {
		return fmt.Errorf("request: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+p.key)
	res, err := p.http.Do(req)
	if err != nil {
		return p.unreachable(ctx, err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		b, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
		if err != nil {
			return p.unreachable(ctx, err)
		}
		return p.read(res, b, nil)
	}
	_, err = io.Copy(w, res.Body)
	if context.Cause(ctx) != nil {
		return context.Cause(ctx)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return withHint(errors.New("the provider broke off: the backup is not whole, and was thrown away"), "its log says why.")
	}
	return err
}

// providerRestoreCmd makes a folder from a backup.
type providerRestoreCmd struct {
	restoreFlags
	printFlags
}

// Help says more than the line in the list of verbs.
func (providerRestoreCmd) Help() string {
	return `The provider whose folder it was must not run any more: both would send what
waited. The key for everything, admin.key, is not in a backup; the first start makes
another and revokes the one before.`
}

// Run implements the verb.
func (c providerRestoreCmd) Run(ctx context.Context, s streams, log *slog.Logger) error {
	if err := folder.CheckNew(c.Dir); err != nil {
		return withProviderRemedy(err)
	}
	made := struct {
		Dir string `json:"dir"`
	}{}
	err := c.decrypt(ctx, func(r io.Reader) (err error) {
		made.Dir, err = provide.Restore(ctx, c.Dir, r, log)
		if _, ok := errors.AsType[*folder.BackupError](err); ok {
			return unreadable(fmt.Errorf("%s: %w", plain(c.File), err))
		}
		return err
	})
	if err != nil {
		return withProviderRemedy(err)
	}
	return c.print(s, made, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "Restored the provider into %s. What waited is sent as soon as it runs, unless its time is over.\nNext, when nobody runs on the former folder: herald provider serve --dir %s\n",
			plain(made.Dir), shellWord(c.Dir))
		return err
	})
}
