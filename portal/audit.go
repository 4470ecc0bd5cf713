package portal

import (
	"context"
	"fmt"
	"time"
)

// Entry is a line of the audit log: who did what to what, and when. The log
// is only ever added to, in the transaction of what it tells.
type Entry struct {
	// Sequence counts the entries, from 1, without gaps.
	Sequence uint64    `json:"sequence"`
	Time     time.Time `json:"time"`
	// Actor is who did it, see WithActor.
	Actor string `json:"actor"`
	// Action is what was done, such as "certificate.issue".
	Action string `json:"action"`
	// Subject is what it was done to: an ID, a bundle ID, a serial number.
	Subject string `json:"subject"`
	// Detail says more. It holds no secret.
	Detail string `json:"detail,omitempty"`
}

type actorKey struct{}

// WithActor returns a context whose changes are entered in the audit log as
// this actor's, such as "api key ci". Without one they are "herald"'s.
func WithActor(ctx context.Context, actor string) context.Context {
	return context.WithValue(ctx, actorKey{}, actor)
}

func actorOf(ctx context.Context) string {
	if a, ok := ctx.Value(actorKey{}).(string); ok {
		return a
	}
	return "herald"
}

// counter is a record that counts.
type counter struct{ Last uint64 }

// The counters, records of kindCounter.
const (
	auditCounter = "audit"
	crlCounter   = "crl"
)

// next counts one on.
func next(tx Tx, name string) (uint64, error) {
	var c counter
	if err := get(tx, kindCounter, name, &c); err != nil && !isNotFound(err) {
		return 0, err
	}
	c.Last++
	return c.Last, put(tx, kindCounter, name, c)
}

// note adds an entry to the audit log.
func note(ctx context.Context, tx Tx, action, subject, format string, args ...any) error {
	n, err := next(tx, auditCounter)
	if err != nil {
		return fmt.Errorf("audit log: %w", err)
	}
	return put(tx, kindAudit, fmt.Sprintf("%020d", n), Entry{
		Sequence: n, Time: time.Now().UTC(), Actor: actorOf(ctx),
		Action: action, Subject: subject, Detail: fmt.Sprintf(format, args...),
	})
}

// Audit returns the audit log, oldest first, from after a sequence number on.
func (p *Portal) Audit(ctx context.Context, after uint64) (log []Entry, err error) {
	err = p.store.View(ctx, func(tx Tx) error {
		return each(tx, kindAudit, func(e *Entry) error {
			if e.Sequence > after {
				log = append(log, *e)
			}
			return nil
		})
	})
	return log, err
}
