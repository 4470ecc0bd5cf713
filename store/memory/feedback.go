package memory

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/registry"
)

// feedback is the registry's feedback. It does without guarded, which copies all
// it has before each change: nothing here can fail halfway.
type feedback struct {
	mu    sync.Mutex
	last  uint64                                  // the number given out last; guarded by mu
	lists map[registry.FeedbackList]*feedbackList // guarded by mu
}

// feedbackList is the entries of a list, by ascending number.
type feedbackList struct {
	entries []registry.FeedbackEntry
	gone    map[apns.DeviceToken]int64 // nanoseconds since the epoch
}

// AddFeedback implements registry.Store.
func (r *Registry) AddFeedback(_ context.Context, entries []registry.FeedbackEntry, most int) error {
	f := &r.feedback
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.lists == nil {
		f.lists = make(map[registry.FeedbackList]*feedbackList)
	}
	for _, e := range entries {
		l := f.lists[e.List]
		if l == nil {
			l = &feedbackList{gone: make(map[apns.DeviceToken]int64)}
			f.lists[e.List] = l
		}
		known, ok := l.gone[e.DeviceToken]
		switch at := e.Gone.UnixNano(); {
		case ok && known >= at:
			continue
		case ok:
			l.entries = slices.DeleteFunc(l.entries, func(x registry.FeedbackEntry) bool { return x.DeviceToken == e.DeviceToken })
		}
		f.last++
		e.Number = f.last
		l.entries = append(l.entries, e)
		l.gone[e.DeviceToken] = e.Gone.UnixNano()
	}
	// Now, and not before: an entry that is to be forgotten still keeps an older
	// one of its device token out.
	for _, e := range entries {
		l := f.lists[e.List]
		l.forget(len(l.entries) - most)
	}
	return nil
}

// forget forgets the first n entries, if there are any.
func (l *feedbackList) forget(n int) {
	if n <= 0 {
		return
	}
	for _, e := range l.entries[:n] {
		delete(l.gone, e.DeviceToken)
	}
	clear(l.entries[:n]) // nothing of them is kept
	l.entries = l.entries[n:]
}

// above returns the place of the first entry with a number above one.
func (l *feedbackList) above(number uint64) int {
	at, _ := slices.BinarySearchFunc(l.entries, number, func(e registry.FeedbackEntry, n uint64) int { return cmp.Compare(e.Number, n+1) })
	return at
}

// Feedback implements registry.Store.
func (r *Registry) Feedback(_ context.Context, list registry.FeedbackList, after uint64, limit int) ([]registry.FeedbackEntry, error) {
	f := &r.feedback
	f.mu.Lock()
	defer f.mu.Unlock()
	l := f.lists[list]
	if l == nil {
		return nil, nil
	}
	rest := l.entries[l.above(after):]
	return slices.Clone(rest[:min(limit, len(rest))]), nil
}

// DeleteFeedback implements registry.Store.
func (r *Registry) DeleteFeedback(_ context.Context, list registry.FeedbackList, last uint64) error {
	f := &r.feedback
	f.mu.Lock()
	defer f.mu.Unlock()
	l := f.lists[list]
	if l == nil {
		return nil
	}
	if l.forget(l.above(last)); len(l.entries) == 0 {
		delete(f.lists, list)
	}
	return nil
}
