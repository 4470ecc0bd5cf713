package trace

import (
	"context"
	"time"

	"github.com/heraldpush/herald/apns"
)

// waiting is a notification that waits in the store, as far as its story goes.
type waiting struct {
	since, until time.Time
	other        *Line // the one that was stored in its place
}

// maxDerived is of how many addresses a story is worked out to the end.
const maxDerived = 16

// derive returns the lines that nobody wrote: what the store did to a notification
// that waited for a device. One that was handed to a device and not answered may
// be on its way still, so nothing is said of it.
func (r *Recorder) derive(ctx context.Context, all []chapter, story []Line, now time.Time) ([]Line, error) {
	open := stillWaiting(story)
	if len(open) == 0 || len(open) > maxDerived {
		return nil, nil
	}
	if err := r.findOthers(ctx, all, open, story[0].ID); err != nil {
		return nil, err
	}
	var derived []Line
	for at, w := range open {
		l := Line{ID: story[0].ID, Address: at, Derived: true}
		over := !w.until.IsZero() && !now.Before(w.until)
		switch {
		case w.other != nil && (w.until.IsZero() || w.other.Time.Before(w.until)):
			l.Hop, l.Time, l.Other = Replaced, w.other.Time, w.other.ID
		case over:
			l.Hop, l.Time = Expired, w.until
		default:
			continue
		}
		derived = append(derived, l)
	}
	return derived, nil
}

// stillWaiting returns where a notification waits at the end of its story.
func stillWaiting(story []Line) map[apns.Address]*waiting {
	stored := make(map[apns.Address]*waiting)
	open := make(map[apns.Address]*waiting)
	for i := range story {
		l := &story[i]
		at := l.Address
		switch l.Hop {
		case Stored:
			stored[at] = &waiting{since: l.Time, until: l.Until}
			open[at] = stored[at]
		case Handed:
			delete(open, at)
		case Acked:
			if l.Status != ackUnavailable {
				delete(stored, at)
			} else if w := stored[at]; w != nil {
				open[at] = w
			}
		case TakenBack:
			if w := stored[at]; w != nil {
				open[at] = w
			}
		case Ignored, Replaced, Expired, Dropped:
			delete(stored, at)
			delete(open, at)
		default: // it says nothing of what waits
		}
	}
	return open
}

// findOthers finds the first notification that was stored at each address after
// the one that waits there, whose ID is given.
func (r *Recorder) findOthers(ctx context.Context, all []chapter, open map[apns.Address]*waiting, own apns.NotificationID) error {
	var keys []key
	from := int64(1<<63 - 1)
	for at, w := range open {
		keys = append(keys, keyOfDevice(at.Device))
		from = min(from, w.since.UnixNano())
	}
	return r.search(ctx, all, keys, from, func(record []byte) {
		if Hop(record[0]) != Stored {
			return
		}
		l, ok := parseRecord(record)
		if !ok || l.ID == own {
			return
		}
		w := open[l.Address]
		if w != nil && l.Time.After(w.since) && (w.other == nil || l.Time.Before(w.other.Time)) {
			w.other = &l
		}
	})
}
