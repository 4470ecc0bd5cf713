package account

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Entry is a line of the audit log: who did what to what, and when. It is
// written in the transaction of what it tells.
type Entry struct {
	// Sequence counts the entries, from 1, without gaps.
	Sequence uint64    `json:"sequence"`
	Time     time.Time `json:"time"`
	// Actor is who did it, see WithActor.
	Actor string `json:"actor"`
	// Action is what was done, such as "credential.upload".
	Action string `json:"action"`
	// Subject is what it was done to: the ID of an app, a credential or a key.
	Subject string `json:"subject"`
	// Detail says more. It holds no secret.
	Detail string `json:"detail,omitempty"`
}

// The limits of the texts of an entry, in bytes; what is longer is cut off.
const (
	maxActorBytes  = 128
	maxDetailBytes = 512
)

type actorKey struct{}

// WithActor returns a context whose changes are entered in the audit log as this
// actor's, such as the ID of an API key. Without one they are "herald"'s.
func WithActor(ctx context.Context, actor string) context.Context {
	return context.WithValue(ctx, actorKey{}, cut(actor, maxActorBytes))
}

func actorOf(ctx context.Context) string {
	if a, ok := ctx.Value(actorKey{}).(string); ok {
		return a
	}
	return "herald"
}

// cut returns at most so many bytes of s, as UTF-8.
func cut(s string, most int) string { return strings.ToValidUTF8(s[:min(len(s), most)], "") }

func auditID(n uint64) string { return fmt.Sprintf("%020d", n) }

// note adds an entry to the audit log, and removes the one that is too many.
func (b *Book) note(ctx context.Context, tx Tx, action, subject, format string, args ...any) error {
	n, err := next(tx, auditCounter)
	if err != nil {
		return fmt.Errorf("audit log: %w", err)
	}
	if n > b.audit {
		// More than one only where the limit was lowered; a batch of them at a time.
		gone := 0
		err := tx.Each(kindAudit, "", func(id string, _ []byte) error {
			if gone++; id > auditID(n-b.audit) || gone > 1000 {
				return errEnough
			}
			return tx.Delete(kindAudit, id)
		})
		if err != nil && !errors.Is(err, errEnough) {
			return fmt.Errorf("audit log: %w", err)
		}
	}
	return put(tx, kindAudit, auditID(n), Entry{
		Sequence: n, Time: now(), Actor: actorOf(ctx),
		Action: action, Subject: subject, Detail: cut(fmt.Sprintf(format, args...), maxDetailBytes),
	})
}

// errEnough ends Tx.Each.
var errEnough = errors.New("enough")

// Audit returns up to limit entries of the audit log, oldest first, from after a
// sequence number on.
func (b *Book) Audit(ctx context.Context, after uint64, limit int) (log []Entry, err error) {
	err = b.store.View(ctx, func(tx Tx) error {
		return each(tx, kindAudit, auditID(after), func(e *Entry) error {
			if len(log) >= limit {
				return errEnough
			}
			log = append(log, *e)
			return nil
		})
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return log, err
}

// now returns the time as it is stored.
func now() time.Time { return time.Now().UTC().Round(0) }
