package gateway

import (
	"sync"

	"github.com/heraldpush/herald/wire"
)

// Limits of what waits on a connection of the legacy interface to be taken to
// the stores.
const (
	legacyQueueBytes = 256 << 10
	legacyCost       = 256 // of a notification besides its payload, about
)

// legacyEnd says how a connection of the legacy interface ends.
type legacyEnd struct {
	// say is what the provider is told; nil for nothing.
	say *wire.LegacyError
	// broken reports that there is no one to tell.
	broken bool
	// why is for the log.
	why error
}

// legacyQueue is the notifications that were read and wait to be taken to the
// stores, in their order. Its reader waits while it is full.
type legacyQueue struct {
	mu    sync.Mutex
	items []wire.LegacyNotification // guarded by mu
	bytes int                       // guarded by mu
	end   *legacyEnd                // what comes after the last one; nil while there may be more; guarded by mu
	some  chan struct{}             // holds one: there is something
	room  chan struct{}             // holds one: there was made room
}

func newLegacyQueue() legacyQueue {
	return legacyQueue{some: make(chan struct{}, 1), room: make(chan struct{}, 1)}
}

// add adds a notification, when there is room. It reports false if over was
// closed before.
func (q *legacyQueue) add(m wire.LegacyNotification, over <-chan struct{}) bool {
	for {
		q.mu.Lock()
		if q.bytes < legacyQueueBytes {
			q.items = append(q.items, m)
			q.bytes += legacyCost + len(m.Payload)
			q.mu.Unlock()
			signal(q.some)
			return true
		}
		q.mu.Unlock()
		select {
		case <-q.room:
		case <-over:
			return false
		}
	}
}

// finish says that nothing more comes, and why.
func (q *legacyQueue) finish(end legacyEnd) {
	q.mu.Lock()
	q.end = &end
	q.mu.Unlock()
	signal(q.some)
}

// take exchanges what is queued for an empty batch, and returns what comes after
// it, if that is known.
func (q *legacyQueue) take(batch *[]wire.LegacyNotification) (end *legacyEnd) {
	clear(*batch) // nothing of it is kept
	q.mu.Lock()
	q.items, *batch = (*batch)[:0], q.items
	q.bytes = 0
	end = q.end
	q.mu.Unlock()
	signal(q.room)
	return end
}

// signal puts one into a channel that holds one.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
