package event

import (
	"context"
	"time"
)

// Store keeps a log of events. It is safe for concurrent use; what a method changes
// is durable (if the store is) when it returns. Times are to the nanosecond, in UTC.
// The suite providertest.Event proves an implementation.
type Store interface {
	// Append adds events to the end, all or none, in their order, each with the
	// next sequence number. Those whose ID is in the log, or earlier in events, are
	// left out. What is no event (see Event.Check) is refused with all others.
	Append(ctx context.Context, events []Event) error
	// Read returns up to limit events by sequence number, from after one on.
	Read(ctx context.Context, after uint64, limit int) ([]Event, error)
	// Bounds returns the sequence numbers of the first event that is kept and of
	// the last that was given, whether it is kept or not. The first is last + 1
	// where none is kept.
	Bounds(ctx context.Context) (first, last uint64, err error)
	// Trim removes events from the beginning: those before the first that is not
	// older than a time, and those that are more than keep. It may leave some of
	// them for another call; it returns how many it removed, 0 when it has left
	// none.
	Trim(ctx context.Context, before time.Time, keep int) (int, error)
}

// TrimBatch is how many events a Store may remove in one transaction.
const TrimBatch = 10_000
