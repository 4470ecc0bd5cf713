package registry

import (
	"context"
	"fmt"
	"time"

	"github.com/heraldpush/herald/apns"
)

// Limits of the feedback (docs/protocol/legacy.md#feedback).
const (
	maxFeedback    = 1 << 16             // device tokens of a list
	maxFeedbackAge = 30 * 24 * time.Hour // since the push that failed
	feedbackPage   = 512                 // entries that are read at once
)

// FeedbackStore keeps the feedback. It is a part of Store.
type FeedbackStore interface {
	// AddFeedback adds entries to their lists, in their order, each under a
	// number that is higher than any given out before, also to entries that are
	// gone. An entry whose list has its device token already takes that one's
	// place if its Gone is later, and is left out if not. Of a list that has more
	// than most, the lowest numbers are forgotten.
	AddFeedback(ctx context.Context, entries []FeedbackEntry, most int) error
	// Feedback returns the entries of a list with a number above after, in their
	// order, at most limit of them.
	Feedback(ctx context.Context, list FeedbackList, after uint64, limit int) ([]FeedbackEntry, error)
	// DeleteFeedback forgets the entries of a list with a number up to last.
	DeleteFeedback(ctx context.Context, list FeedbackList, last uint64) error
}

// FeedbackList names the feedback of a topic in an environment.
type FeedbackList struct {
	Topic       apns.TopicHash
	Environment apns.Environment
}

// FeedbackEntry says that a push met a device token whose app is gone.
type FeedbackEntry struct {
	List        FeedbackList
	DeviceToken apns.DeviceToken
	// Gone is when the app was found to be gone.
	Gone time.Time
	// Noted is when the push failed. NoteGone sets it.
	Noted time.Time
	// Number is the entry's place in its list. The store sets it.
	Number uint64
}

// NoteGone adds to the feedback what pushes met. List, DeviceToken and Gone of
// each entry are looked at.
func (r *Registry) NoteGone(ctx context.Context, met []FeedbackEntry) error {
	now := time.Now().UTC()
	for i := range met {
		met[i].Gone, met[i].Noted = met[i].Gone.UTC(), now
	}
	if err := r.store.AddFeedback(ctx, met, maxFeedback); err != nil {
		return fmt.Errorf("noting %d device tokens as feedback: %w", len(met), err)
	}
	return nil
}

// FeedbackReading reads lists of feedback, and clears what it read when told to:
// so that nothing is lost if it does not reach who asked. It is for one
// goroutine; several may read the same list, and then read the same.
type FeedbackReading struct {
	registry *Registry
	lists    []FeedbackList
	read     []readFeedback // of those of lists that were begun
}

// readFeedback says how far a list was read.
type readFeedback struct {
	last  uint64
	count int
	ended bool
}

// ReadFeedback begins to read the feedback of topics in an environment, in the
// order of the topics.
func (r *Registry) ReadFeedback(env apns.Environment, topics []apns.Topic) *FeedbackReading {
	f := &FeedbackReading{registry: r}
	for _, t := range topics {
		f.lists = append(f.lists, FeedbackList{t.Hash(), env})
	}
	return f
}

// Next returns the entries that come next, and none at the end.
func (f *FeedbackReading) Next(ctx context.Context) ([]FeedbackEntry, error) {
	for {
		at := len(f.read) - 1
		if at < 0 || f.read[at].ended {
			if at++; at == len(f.lists) {
				return nil, nil
			}
			f.read = append(f.read, readFeedback{})
		}
		entries, err := f.page(ctx, f.lists[at], &f.read[at])
		if err != nil || len(entries) > 0 {
			return entries, err
		}
	}
}

// page reads on in a list. It returns no entries at the end of it, or if all
// were too old.
func (f *FeedbackReading) page(ctx context.Context, list FeedbackList, read *readFeedback) ([]FeedbackEntry, error) {
	entries, err := f.registry.store.Feedback(ctx, list, read.last, feedbackPage)
	if err != nil {
		return nil, fmt.Errorf("reading feedback: %w", err)
	}
	read.count += len(entries)
	// A list that grows while it is read has an end all the same.
	read.ended = len(entries) < feedbackPage || read.count >= maxFeedback
	var fresh []FeedbackEntry
	for _, e := range entries {
		read.last = e.Number
		if time.Since(e.Noted) <= maxFeedbackAge {
			fresh = append(fresh, e)
		}
	}
	return fresh, nil
}

// Clear forgets the entries that Next has returned.
func (f *FeedbackReading) Clear(ctx context.Context) error {
	for i, read := range f.read {
		if read.count == 0 {
			continue
		}
		if err := f.registry.store.DeleteFeedback(ctx, f.lists[i], read.last); err != nil {
			return fmt.Errorf("clearing feedback: %w", err)
		}
	}
	return nil
}
