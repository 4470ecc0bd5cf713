package agent

import (
	"context"
	"sync"
	"time"
)

const (
	// queued bounds the events that wait for one slow consumer.
	queued = 256
	// finishWithin is how long consumers may go on at the end.
	finishWithin = 5 * time.Second
)

// queue hands events to one consumer, one at a time and in order. Who puts them
// never waits: where there is no room, the oldest is lost.
type queue struct {
	events chan Event
	lost   func(Event)
}

// newQueue starts a consumer, which ends when the queue is closed and empty.
// Once ctx has ended, what is in the queue is lost.
func newQueue(ctx context.Context, consumers *sync.WaitGroup, consume func(context.Context, Event), lost func(Event)) *queue {
	q := &queue{events: make(chan Event, queued), lost: lost}
	consumers.Go(func() {
		for e := range q.events {
			if ctx.Err() != nil {
				lost(e)
				continue
			}
			consume(ctx, e)
		}
	})
	return q
}

// put is for one goroutine.
func (q *queue) put(e Event) {
	for {
		select {
		case q.events <- e:
			return
		default:
		}
		select {
		case oldest := <-q.events:
			q.lost(oldest)
		default:
		}
	}
}

func (q *queue) close() { close(q.events) }
