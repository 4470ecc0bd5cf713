package gateway

import (
	"context"
	"sync"
	"time"

	"github.com/heraldpush/herald/h2"
	"github.com/heraldpush/herald/registry"
	"github.com/heraldpush/herald/spool"
)

// batch is pushes that passed the checks, with their requests, in the order in
// which they came.
type batch struct {
	requests  []*h2.Request
	offerings []spool.Offering
	room      room // for what the requests do not have
}

// maxSpare is how many pushes a batch of a connection has room for that is idle.
const maxSpare = 256

// trim gives up the room of b, which is empty, if that is too much for a connection
// that is idle.
func (b *batch) trim() {
	if cap(b.offerings) > maxSpare {
		*b = batch{}
	}
}

// reset empties b and keeps its room.
func (b *batch) reset() {
	clear(b.requests)
	clear(b.offerings)
	b.requests, b.offerings = b.requests[:0], b.offerings[:0]
	b.room.reset()
}

// queue is the pushes that wait to be taken to the stores: all that came since
// the last batch. There are no more than the connection has streams.
type queue struct {
	mu     sync.Mutex
	queued batch         // guarded by mu
	some   chan struct{} // holds one: there are some
}

func newQueue() queue { return queue{some: make(chan struct{}, 1)} }

// add adds a push, of which it copies all that the request does not have.
func (q *queue) add(r *h2.Request, o *spool.Offering) {
	q.mu.Lock()
	b := &q.queued
	b.requests = append(b.requests, r)
	b.offerings = append(b.offerings, *o)
	last := &b.offerings[len(b.offerings)-1]
	last.DeviceToken = put(&b.room, o.DeviceToken)
	last.Notification.ID = put(&b.room, o.Notification.ID)
	q.mu.Unlock()
	select {
	case q.some <- struct{}{}:
	default:
	}
}

// swap exchanges what is queued for an empty batch.
func (q *queue) swap(b *batch) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.queued, *b = *b, q.queued
}

// rest empties a batch that was taken, for the next one. While more is queued, it
// keeps its room: with a store that makes all wait for the disk, a batch is as
// large as the connection has streams.
func (q *queue) rest(b *batch) {
	b.reset()
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.queued.requests) == 0 {
		b.trim()
		q.queued.trim()
	}
}

// start starts taking batches to the stores. The function it returns ends that,
// and returns when it has ended. What is queued then is still taken, though
// the answers go nowhere.
func (s *session) start(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() {
		var b batch
		var unique uuids
		for ending := false; !ending; {
			select {
			case <-s.queue.some:
			case <-ctx.Done():
				ending = true
			}
			s.queue.swap(&b)
			s.offer(context.WithoutCancel(ctx), &b, &unique)
			s.queue.rest(&b)
		}
	})
	return func() {
		cancel()
		running.Wait()
	}
}

// offer finds the devices of a batch, offers it to the spool, and answers.
func (s *session) offer(ctx context.Context, b *batch, unique *uuids) {
	claimed := len(b.requests)
	if claimed == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	began := time.Now()
	var refused refusals
	gone := s.resolve(ctx, b, &refused)
	s.gateway.cfg.Spool.OfferAll(ctx, b.offerings)
	accepted := 0
	for i := range b.offerings {
		if b.offerings[i].Err == nil {
			accepted++
		}
	}
	s.binding.settle(claimed, accepted > 0)
	s.conduct.accept(accepted, time.Now())
	for i, r := range b.requests {
		if o := &b.offerings[i]; o.Err != nil {
			refused.add(r, o.Notification.ID, o.Address, o.Err)
		} else {
			s.accept(ctx, r, o, began, unique)
		}
	}
	s.refuseAll(ctx, refused)
	s.gateway.noteGone(ctx, s.log, gone)
}

// resolve fills in the address of each push that has none yet, and takes those
// that have none at all out of the batch
// (docs/protocol/provider.md#device-tokens), and those that come too fast. It
// returns what is feedback.
func (s *session) resolve(ctx context.Context, b *batch, refused *refusals) (gone []registry.FeedbackEntry) {
	kept := 0
	now := time.Now()
	for i := range b.offerings {
		r, o := b.requests[i], &b.offerings[i]
		if o.Address.Device == 0 {
			var err error
			if o.Address, err = s.gateway.cfg.Registry.Resolve(ctx, o.DeviceToken, o.Notification.Topic, s.env); err == nil {
				err = s.gateway.throttle.take(o.Address, now)
			}
			if err != nil {
				refused.add(r, o.Notification.ID, s.gateway.addressOf(o, s.env), err)
				if met, ok := metGone(err, o.Notification.Topic, s.env, o.DeviceToken); ok {
					gone = append(gone, met)
				}
				continue
			}
		}
		if kept != i {
			b.requests[kept], b.offerings[kept] = r, *o
		}
		kept++
	}
	clear(b.requests[kept:]) // nothing of them is kept
	clear(b.offerings[kept:])
	b.requests, b.offerings = b.requests[:kept], b.offerings[:kept]
	return gone
}
