package event

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/heraldpush/herald/provider/account"
)

// Filter says which events are wanted. The zero value wants all.
type Filter struct {
	// Apps are those that the events are about. None stands for all, and for events
	// of no app.
	Apps []account.AppID
	// Kinds are those of the events. None: all.
	Kinds []Kind
}

// Wants reports whether f wants an event.
func (f Filter) Wants(e *Event) bool {
	return (len(f.Apps) == 0 || slices.Contains(f.Apps, e.App)) && (len(f.Kinds) == 0 || slices.Contains(f.Kinds, e.Kind))
}

// all reports whether f wants everything.
func (f Filter) all() bool { return len(f.Apps) == 0 && len(f.Kinds) == 0 }

// Log is the log of events, with which one can wait for the next. It is safe for
// concurrent use. No other may add to its Store.
type Log struct {
	store Store

	mu    sync.Mutex
	last  uint64        // that is known; guarded by mu
	grown chan struct{} // closed and replaced when last grows; guarded by mu
}

// OpenLog returns the log that is in a store.
func OpenLog(ctx context.Context, s Store) (*Log, error) {
	l := &Log{store: s, grown: make(chan struct{})}
	if err := l.look(ctx); err != nil {
		return nil, fmt.Errorf("opening the log of events: %w", err)
	}
	return l, nil
}

// look asks the store how long the log is.
func (l *Log) look(ctx context.Context) error {
	_, last, err := l.store.Bounds(ctx)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if last > l.last {
		l.last = last
		close(l.grown)
		l.grown = make(chan struct{})
	}
	return nil
}

// Append adds events, and wakes those who wait for them.
func (l *Log) Append(ctx context.Context, events ...Event) error {
	if len(events) == 0 {
		return nil
	}
	if err := l.store.Append(ctx, events); err != nil {
		return fmt.Errorf("adding to the log of events: %w", err)
	}
	if err := l.look(ctx); err != nil {
		return fmt.Errorf("adding to the log of events: %w", err)
	}
	return nil
}

// Bounds returns the sequence numbers of the first event that is kept, and of the
// last that was given.
func (l *Log) Bounds(ctx context.Context) (first, last uint64, err error) { return l.store.Bounds(ctx) }

// Wait returns when there are events after a sequence number, or with an error when
// ctx has ended.
func (l *Log) Wait(ctx context.Context, after uint64) error {
	select {
	case <-l.after(after):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// closed is a channel that is.
var closed = func() <-chan struct{} { c := make(chan struct{}); close(c); return c }()

// after returns what is closed when there are events after a sequence number that is
// none to come.
func (l *Log) after(sequence uint64) <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last > sequence {
		return closed
	}
	return l.grown
}

// Page is a part of the log.
type Page struct {
	// Events are those that are wanted, by sequence number.
	Events []Event
	// Next is where to go on: no other event up to it is wanted.
	Next uint64
}

// Of what Read looks at.
const (
	// MaxPage is how many events there can be in a Page.
	MaxPage = 1000
	// scanPage is how many are read at once where not all are wanted, and scanMost
	// how many in all before those are returned that were found.
	scanPage = 500
	scanMost = 10_000
)

// Read returns up to limit events that are wanted, from after a sequence number on.
// A page without any may still have come further: then go on with its Next.
func (l *Log) Read(ctx context.Context, after uint64, f Filter, limit int) (Page, error) {
	limit = min(limit, MaxPage)
	p := Page{Next: after}
	for looked := 0; looked < scanMost && len(p.Events) < limit; {
		n := scanPage
		if f.all() {
			n = limit - len(p.Events)
		}
		events, err := l.store.Read(ctx, p.Next, n)
		if err != nil {
			return Page{}, fmt.Errorf("reading the log of events: %w", err)
		}
		for i := range events {
			if len(p.Events) == limit {
				return p, nil
			}
			p.Next = events[i].Sequence
			if f.Wants(&events[i]) {
				p.Events = append(p.Events, events[i])
			}
		}
		if looked += len(events); len(events) < n {
			break
		}
	}
	return p, nil
}

// ReadSoon is as Read, but waits for up to a time for an event that is wanted.
func (l *Log) ReadSoon(ctx context.Context, after uint64, f Filter, limit int, wait time.Duration) (Page, error) {
	waiting, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for {
		p, err := l.Read(ctx, after, f, limit)
		if err != nil || len(p.Events) > 0 {
			return p, err
		}
		if l.Wait(waiting, p.Next) != nil {
			return p, ctx.Err()
		}
		after = p.Next
	}
}

// Retention says how much of the log is kept.
type Retention struct {
	// Age is how long. Zero stands for 14 days. It is to be longer than a webhook
	// may fail, or that misses some.
	Age time.Duration
	// Events is how many at most. Zero stands for 1,000,000.
	Events int
}

const (
	defaultRetentionAge    = 14 * 24 * time.Hour
	defaultRetentionEvents = 1_000_000
)

// Trim removes what is not to be kept at a time, and returns how many events that
// were.
func (l *Log) Trim(ctx context.Context, r Retention, at time.Time) (removed int, err error) {
	if r.Age <= 0 {
		r.Age = defaultRetentionAge
	}
	if r.Events <= 0 {
		r.Events = defaultRetentionEvents
	}
	for {
		n, err := l.store.Trim(ctx, at.Add(-r.Age), r.Events)
		removed += n
		if err != nil || n == 0 {
			return removed, err
		}
	}
}
