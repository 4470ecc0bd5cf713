package memory

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/heraldpush/herald/provider/event"
)

// Event is an event.Store.
type Event struct {
	mu     sync.Mutex
	events []event.Event         // those that are kept; guarded by mu
	ids    map[event.ID]struct{} // of events; guarded by mu
	last   uint64                // that was given; guarded by mu
}

var _ event.Store = (*Event)(nil)

// NewEvent returns an empty log.
func NewEvent() *Event { return &Event{ids: make(map[event.ID]struct{})} }

// Append implements event.Store.
func (s *Event) Append(ctx context.Context, events []event.Event) error {
	for i := range events {
		if err := events[i].Check(); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	for _, e := range events {
		if _, ok := s.ids[e.ID]; ok {
			continue
		}
		s.last++
		e.Sequence, e.Time, e.Body = s.last, e.Time.UTC().Round(0), slices.Clone(e.Body)
		s.events = append(s.events, e)
		s.ids[e.ID] = struct{}{}
	}
	return nil
}

// Read implements event.Store.
func (s *Event) Read(ctx context.Context, after uint64, limit int) ([]event.Event, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if after >= s.last {
		return nil, nil
	}
	first := s.first()
	rest := s.events[max(after+1, first)-first:]
	return slices.Clone(rest[:max(0, min(limit, len(rest)))]), nil
}

// first returns the number of the first that is kept. The caller holds mu.
func (s *Event) first() uint64 { return s.last - uint64(len(s.events)) + 1 }

// Bounds implements event.Store.
func (s *Event) Bounds(ctx context.Context) (first, last uint64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.first(), s.last, ctx.Err()
}

// Trim implements event.Store.
func (s *Event) Trim(ctx context.Context, before time.Time, keep int) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	n := slices.IndexFunc(s.events, func(e event.Event) bool { return !e.Time.Before(before) })
	if n < 0 {
		n = len(s.events)
	}
	n = min(max(n, len(s.events)-keep), event.TrimBatch)
	for _, e := range s.events[:n] {
		delete(s.ids, e.ID)
	}
	clear(s.events[:n]) // nothing of them is kept
	s.events = s.events[n:]
	return n, nil
}
