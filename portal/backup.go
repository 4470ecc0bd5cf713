package portal

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// backupFormat is the version of what Backup writes.
const backupFormat = 1

// backupHeader is the first line of a backup.
type backupHeader struct {
	Herald string    `json:"herald"` // "portal backup"
	Format int       `json:"format"`
	Time   time.Time `json:"time"`
}

const backupTitle = "portal backup"

// backupLine is a record in a backup: a line of JSON.
type backupLine struct {
	Kind Kind            `json:"kind"`
	ID   string          `json:"id"`
	Body json.RawMessage `json:"body"`
}

// backupEnd is the last line of a backup, without which it is not whole.
type backupEnd struct {
	Records int `json:"records"`
}

// maxBackupLine bounds a line that Restore reads, in bytes.
const maxBackupLine = 4 << 20

// backupKinds are all kinds of records.
var backupKinds = []Kind{
	kindAuthority, kindTeam, kindApp, kindKey, kindCertificate, kindDevice, kindEnrolment, kindActivation, kindAudit, kindCounter,
}

// Backup writes everything the portal has, as of one moment, to w: lines of
// JSON. The authority's private keys are in it, readable: whoever calls must
// encrypt what is written.
func (p *Portal) Backup(ctx context.Context, w io.Writer) error {
	out := bufio.NewWriter(w)
	enc := json.NewEncoder(out)
	if err := enc.Encode(backupHeader{Herald: backupTitle, Format: backupFormat, Time: time.Now().UTC()}); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	records := 0
	err := p.store.View(ctx, func(tx Tx) error {
		for _, kind := range backupKinds {
			err := tx.Each(kind, func(id string, body []byte) error {
				if kind == kindAuthority {
					open, err := reseal(body, p.sealer, unsealed{})
					if err != nil {
						return err
					}
					body = open
				}
				records++
				return enc.Encode(backupLine{kind, id, body})
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		err = enc.Encode(backupEnd{records})
	}
	if err := errors.Join(err, out.Flush()); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	return nil
}

// Restore puts a backup into a store that has none of a portal's records, and
// seals the authority's private keys. It restores all or nothing. It returns a
// Refusal for a store that is not empty, and for what is no whole backup.
func Restore(ctx context.Context, store Store, sealer Sealer, r io.Reader) error {
	lines, err := readBackup(r)
	if err != nil {
		return err
	}
	err = store.Update(ctx, func(tx Tx) error {
		for _, kind := range backupKinds {
			err := tx.Each(kind, func(string, []byte) error {
				return refuse(CodeNotEmpty, "Restore into a new folder.", "there is a portal already")
			})
			if err != nil {
				return err
			}
		}
		for _, l := range lines {
			body := []byte(l.Body)
			if l.Kind == kindAuthority {
				if body, err = reseal(body, unsealed{}, sealer); err != nil {
					return err
				}
			}
			if err := tx.Put(l.Kind, l.ID, body); err != nil {
				return err
			}
		}
		return note(ctx, tx, "portal.restore", backupTitle, "%d records", len(lines))
	})
	if err != nil {
		return fmt.Errorf("restoring: %w", err)
	}
	return nil
}

// readBackup reads all lines of a backup.
func readBackup(r io.Reader) (lines []backupLine, err error) {
	broken := func(format string, args ...any) ([]backupLine, error) {
		return nil, refuse(CodeBackup, "Give a file that `herald portal backup` wrote.", format, args...)
	}
	in := bufio.NewScanner(r)
	in.Buffer(make([]byte, 0, 64<<10), maxBackupLine)
	var header backupHeader
	if !in.Scan() || json.Unmarshal(in.Bytes(), &header) != nil || header.Herald != backupTitle {
		return broken("this is not a backup of a portal")
	}
	if header.Format != backupFormat {
		return broken("the backup is of format %d, this version reads %d", header.Format, backupFormat)
	}
	for in.Scan() {
		var l struct {
			backupLine
			Records *int `json:"records"`
		}
		if err := json.Unmarshal(in.Bytes(), &l); err != nil {
			return broken("record %d is damaged: %w", len(lines)+1, err)
		}
		if l.Records != nil {
			if *l.Records != len(lines) {
				return broken("the backup has %d records and says %d", len(lines), *l.Records)
			}
			return lines, nil
		}
		lines = append(lines, l.backupLine)
	}
	if err := in.Err(); err != nil {
		return broken("reading the backup: %w", err)
	}
	return broken("the backup ends before its end: it is not whole")
}

// reseal returns the authority's record with its keys under another seal.
func reseal(body []byte, from, to Sealer) ([]byte, error) {
	var rec authorityRecord
	if err := json.Unmarshal(body, &rec); err != nil {
		return nil, fmt.Errorf("authority record is damaged: %w", err)
	}
	for _, i := range []*issuerRecord{&rec.Root, &rec.Providers, &rec.Devices, &rec.Servers} {
		if err := i.reseal(from, to); err != nil {
			return nil, err
		}
	}
	return json.Marshal(rec)
}
