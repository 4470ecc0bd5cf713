package apnsclient

import (
	"context"
	"iter"
	"sync"
	"time"

	"github.com/heraldpush/herald/apns"
)

// Push is one push of a bulk.
type Push struct {
	// To is the app and device that it goes to.
	To apns.DeviceToken
	// Notification is what is pushed. The same one may be given with any number
	// of device tokens, which saves checking and copying it; it must not be
	// changed before their results are there.
	Notification *apns.Notification
	// ID is the apns-id of this push. Empty stands for the Notification's, and
	// where that has none for a random one.
	ID apns.NotificationID
	// Owner is the caller's own: what the result is to be noted with.
	Owner any
}

// Result is how a push of a bulk ended.
type Result struct {
	Push
	// Receipt is as Push returns it. It has the ID in any case.
	Receipt Receipt
	// Err is as Push returns it; nil if the gateway accepted the push.
	Err error
}

// freeBatch is how many places of a bulk are given back at once.
const freeBatch = 64

// PushAll sends all that pushes yields, as fast as the gateway takes it, and
// yields each result as it comes, in no particular order. Each push has as much
// time as one by Push, and ends in exactly one result. What is pushed one by one
// meanwhile goes first.
//
// As many pushes are under way as the connections may carry, and no more: what
// is held is bounded, however many there are. So pushes is asked for more only as
// results are taken, from another goroutine than the one that takes them. When
// ctx ends, pushes is asked for no more, and what is under way ends with an
// error that wraps the cause, or with what the gateway answered to its last
// attempt; so it does where the loop over the results is left early, but then
// nobody sees the results. PushAll does not return before pushes
// has yielded: it should end with ctx where it waits for something.
//
//	for r := range sender.PushAll(ctx, pushes) {
//		if r.Err != nil {
//			log.Printf("%s: %v", r.To.Hex(), r.Err)
//		}
//	}
func (s *Sender) PushAll(ctx context.Context, pushes iter.Seq[Push]) iter.Seq[Result] {
	return func(yield func(Result) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		b := &bulk{sender: s, wake: make(chan struct{}, 1), room: make(chan struct{}, 1), places: s.engine.bulkPlaces()}
		var feeder sync.WaitGroup
		feeder.Go(func() { b.feed(ctx, pushes) })
		over := false
		defer func() {
			if !over { // the loop has panicked, or its goroutine ends
				cancel()
				s.engine.giveUpBulk(b, context.Canceled)
				feeder.Wait()
			}
		}()
		left := b.hand(ctx, yield)
		if left {
			cancel()
			b.hand(ctx, func(Result) bool { return true })
		}
		over = true
		feeder.Wait()
		for f := b.spare; f != nil; {
			next := f.beside[inQueue].next
			s.engine.release(f)
			f = next
		}
		if b.panicked != nil {
			panic(b.panicked)
		}
	}
}

// bulkPlaces is how many pushes of a bulk may be under way: as many as the
// connections could carry at best.
func (e *engine) bulkPlaces() int { return min(e.maxLinks*e.maxStreams, e.maxPending) }

// bulk is a PushAll that is under way. One goroutine feeds it, the engine adds
// what is done, and the caller's goroutine hands out the results.
type bulk struct {
	sender *Sender
	wake   chan struct{} // there are results, or the input has ended; holds one
	room   chan struct{} // there are places; holds one

	// Of the feeder.
	checked  *apns.Notification // the last one, found good
	complete apns.Notification  // the same, as it is sent

	panicked any // by the input; written before ended

	mu     sync.Mutex
	places int     // that are free; guarded by mu
	first  *flight // that is done, through its queue neighbours; guarded by mu
	last   *flight // guarded by mu
	spare  *flight // flights to be used again, through the same; guarded by mu
	active int     // pushes that were fed and not handed out; guarded by mu
	ended  bool    // there is no more input; guarded by mu
}

// feed puts the input on its way.
func (b *bulk) feed(ctx context.Context, pushes iter.Seq[Push]) {
	defer func() {
		b.panicked = recover()
		b.mu.Lock()
		b.ended = true
		b.mu.Unlock()
		b.signal(b.wake)
	}()
	for p := range pushes {
		f := b.take(ctx)
		if f == nil {
			return
		}
		f.bulk, f.push = b, p
		if err := b.start(ctx, f); err != nil {
			f.err = err
			b.add(f)
		}
	}
}

// signal tells a channel that holds one.
func (b *bulk) signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default: // it has been told
	}
}

// take returns a flight when there is a place for it, and nil when ctx ends.
func (b *bulk) take(ctx context.Context) *flight {
	for {
		if ctx.Err() != nil {
			return nil
		}
		b.mu.Lock()
		if b.places > 0 {
			b.places--
			b.active++
			f := b.spare
			if f != nil {
				b.spare = f.beside[inQueue].next
				f.beside[inQueue] = neighbours{}
			}
			b.mu.Unlock()
			if f == nil {
				f = b.sender.engine.newFlight()
			}
			return f
		}
		b.mu.Unlock()
		select {
		case <-b.room:
		case <-ctx.Done():
		}
	}
}

// start checks the push of f and hands it to the engine. The error is that it did
// not.
func (b *bulk) start(ctx context.Context, f *flight) error {
	s, n := b.sender, f.push.Notification
	if n == nil {
		return &CheckError{apns.PayloadEmpty, "there is no notification", "give one with each push"}
	}
	if n.ID != "" && f.push.ID == "" {
		f.push.ID = n.ID
	}
	if f.push.ID == "" {
		f.push.ID = s.ids.next()
	}
	f.id = f.push.ID
	if err := checkToken(f.push.To); err != nil {
		return err
	}
	if err := checkID(f.push.ID); err != nil {
		return err
	}
	if n != b.checked {
		b.checked, b.complete = nil, *n
		complete(&b.complete)
		if err := s.checkNotification(&b.complete); err != nil {
			return err
		}
		b.checked = n
	}
	f.fill(s.engine, f.push.To, &b.complete, f.push.ID)
	return s.engine.submit(ctx, f)
}

// add takes a flight that is done.
func (b *bulk) add(f *flight) {
	b.mu.Lock()
	f.beside[inQueue] = neighbours{}
	if b.last == nil {
		b.first = f
	} else {
		b.last.beside[inQueue].next = f
	}
	b.last = f
	b.mu.Unlock()
	b.signal(b.wake)
}

// hand yields results until there are no more, and reports whether the caller
// left before.
func (b *bulk) hand(ctx context.Context, yield func(Result) bool) (left bool) {
	stop := ctx.Done()
	for {
		b.mu.Lock()
		f, over := b.first, b.ended && b.active == 0
		b.first, b.last = nil, nil
		b.mu.Unlock()
		switch {
		case f != nil:
			if b.yieldAll(f, yield) {
				return true
			}
			continue
		case over:
			return false
		}
		select {
		case <-b.wake:
		case <-stop:
			stop = nil
			b.sender.engine.giveUpBulk(b, context.Cause(ctx))
		}
	}
}

// yieldAll yields the results of f and those behind it, and reports whether the
// caller left.
func (b *bulk) yieldAll(f *flight, yield func(Result) bool) (left bool) {
	var free *flight // to be given back
	n := 0
	for f != nil {
		next := f.beside[inQueue].next
		r := Result{Push: f.push, Receipt: f.receipt, Err: f.err}
		r.Receipt.ID = orDefault(r.Receipt.ID, f.id)
		f.reset()
		f.beside[inQueue].next, free = free, f
		if n++; n == freeBatch || next == nil {
			b.give(free, n)
			free, n = nil, 0
		}
		if !left && !yield(r) {
			left = true
		}
		f = next
	}
	return left
}

// give gives back n flights, and their places.
func (b *bulk) give(f *flight, n int) {
	last := f
	for last.beside[inQueue].next != nil {
		last = last.beside[inQueue].next
	}
	b.mu.Lock()
	last.beside[inQueue].next, b.spare = b.spare, f
	b.places += n
	b.active -= n
	b.mu.Unlock()
	b.signal(b.room)
}

// giveUpBulk ends all pushes of b.
func (e *engine) giveUpBulk(b *bulk, err error) {
	e.mu.Lock()
	defer e.unlock()
	now := time.Now()
	for f := e.all.first; f != nil; {
		next := e.all.next(f)
		if f.bulk == b {
			e.end(f, err, now)
		}
		f = next
	}
	e.dispatch(now)
}
