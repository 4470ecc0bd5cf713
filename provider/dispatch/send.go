package dispatch

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"sync"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnsclient"
	"github.com/heraldpush/herald/provider/audience"
	"github.com/heraldpush/herald/provider/outbox"
)

// send sends claims, and returns when each has a result, or ctx has ended and what
// was under way has one. The receipts are stored then. trust says where the load
// before went well, and then where this one did.
func (d *Dispatcher) send(ctx context.Context, q outbox.Queue, claims []outbox.Claim, trust map[way]bool) error {
	l, items, err := d.pack(ctx, q, claims)
	if ctx.Err() != nil {
		return nil // nothing was sent
	}
	if err != nil {
		return err
	}
	l.trust = trust
	var (
		sending sync.WaitGroup
		sent    = make(chan struct{})
	)
	for w, some := range items {
		sending.Go(func() { l.push(ctx, w, some) })
	}
	go func() {
		sending.Wait()
		close(sent)
	}()
	// What was sent is accounted for, whatever ends.
	keeping := context.WithoutCancel(ctx)
	tick := time.NewTicker(d.cfg.CheckpointEvery)
	defer tick.Stop()
	for over := false; !over; {
		select {
		case <-tick.C:
		case <-l.soon:
		case <-sent:
			over = true
		}
		if err == nil {
			err = l.checkpoint(keeping)
		}
		if err != nil {
			l.stop() // and wait for what is under way
		}
	}
	return err
}

// stop has nothing more sent.
func (l *load) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range l.parcels {
		p.stopped = true
	}
}

// urgentAtOnce is how many urgent pushes of a worker are under way at a time.
const urgentAtOnce = 256

// push sends the items that go one way.
func (l *load) push(ctx context.Context, w way, items []item) {
	road, err := l.cfg.Road(l.queue.App, w.environment, w.topic)
	if err != nil {
		l.cfg.Fault(l.queue.App, w.environment, w.topic, err)
		for n := range items {
			l.skip(&items[n])
		}
		return
	}
	l.mu.Lock()
	g := newGate(l.trust[w])
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.trust[w] = g.good()
	}()
	// What is under way when ctx ends is waited for.
	under := context.WithoutCancel(ctx)
	results := road.PushAll(under, l.pushes(ctx, items, g))
	if l.queue.Lane == outbox.Urgent {
		results = pushEach(under, road, l.pushes(ctx, items, g))
	}
	for r := range results {
		i, ok := r.Owner.(*item)
		if !ok {
			continue // it is none of ours
		}
		outcome, reason := l.result(i, r.ID, r.Err)
		refused, wave := g.leave(outcome, reason)
		if refused {
			l.cfg.Fault(l.queue.App, w.environment, w.topic, r.Err)
		}
		if wave {
			l.storeSoon()
		}
	}
}

// storeSoon has what is known stored now, so that the fuses of the messages see it.
func (l *load) storeSoon() {
	select {
	case l.soon <- struct{}{}:
	default: // it is about to be
	}
}

// pushes yields the pushes of items that are to be sent still.
func (l *load) pushes(ctx context.Context, items []item, g *gate) iter.Seq[apnsclient.Push] {
	return func(yield func(apnsclient.Push) bool) {
		for n := range items {
			i := &items[n]
			if ctx.Err() != nil || !g.enter() {
				l.skip(i)
				continue
			}
			if !l.begin(i) {
				g.turnBack()
				l.skip(i)
				continue
			}
			m := i.parcel.claim.Message
			id := m.Notification.ID
			if id == "" {
				id = outbox.NotificationID(m.ID, i.target.Environment, i.target.DeviceToken)
			}
			if !yield(apnsclient.Push{To: i.target.DeviceToken, Notification: &m.Notification, ID: id, Owner: i}) {
				return
			}
		}
	}
}

// begin reports whether an item is to be sent, and notes when.
func (l *load) begin(i *item) bool {
	i.began = time.Now()
	if !i.began.Before(i.parcel.claim.Message.Deadline) {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return !i.parcel.stopped
}

// pushEach sends each by itself, before what is sent in bulk.
func pushEach(ctx context.Context, road Pusher, pushes iter.Seq[apnsclient.Push]) iter.Seq[apnsclient.Result] {
	return func(yield func(apnsclient.Result) bool) {
		results := make(chan apnsclient.Result)
		room := make(chan struct{}, urgentAtOnce)
		go func() {
			defer close(results)
			var under sync.WaitGroup
			for p := range pushes {
				room <- struct{}{}
				under.Go(func() {
					n := *p.Notification
					n.ID = p.ID
					receipt, err := road.Push(ctx, p.To, n)
					results <- apnsclient.Result{Push: p, Receipt: receipt, Err: err}
					<-room
				})
			}
			under.Wait()
		}()
		goesOn := true
		for r := range results { // to the end: nobody else takes them
			goesOn = goesOn && yield(r)
		}
	}
}

// skip leaves an item for a later pass.
func (l *load) skip(i *item) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i.parcel.tryAgain(0)
	l.settle(i, true, outbox.Failure{})
}

// result takes the result of an item, and returns what it was, with the reason of one
// that was rejected.
func (l *load) result(i *item, id apns.NotificationID, err error) (apnsclient.Outcome, apns.Reason) {
	now := time.Now()
	outcome := apnsclient.Accepted
	f := outbox.Failure{Rank: i.rank, At: now, ID: id}
	a := audience.Answer{Began: i.began, At: now, Message: i.parcel.claim.Message.ID}
	if err != nil {
		outcome = apnsclient.OutcomeOf(err)
		if errors.Is(err, ErrUnusable) {
			outcome = apnsclient.ProviderFault
		}
		if r, ok := errors.AsType[*apns.Rejection](err); ok {
			f.Status, f.Reason, a.Refused = r.Status, r.Reason, r
		} else if c, ok := errors.AsType[*apnsclient.CheckError](err); ok {
			f.Reason, f.ID = c.Reason, ""
		}
	}
	asked, _ := apnsclient.RetryAfter(err) // zero is at once: the apns-id is the same
	if f.Status == http.StatusTooManyRequests && asked > 0 {
		l.later.put(recipient{i.target.Environment, i.target.DeviceToken}, now, asked)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	// Who was listed is not known to be an installation's.
	if i.parcel.claim.Shard.Members != nil && (err == nil || a.Refused != nil) {
		if after := i.target.Standing.After(a); after != i.target.Standing {
			i.parcel.judgments = append(i.parcel.judgments, judgment{i.target, after})
		}
	}
	retry := false
	switch outcome {
	case apnsclient.Accepted:
		i.parcel.receipts.Set(i.rank, outbox.Accepted)
	case apnsclient.Rejected, apnsclient.TokenGone, apnsclient.Invalid:
	case apnsclient.RetryLater, apnsclient.ConnectionFault, apnsclient.Unknown, apnsclient.ProviderFault:
		retry = true
		i.parcel.tryAgain(asked)
	}
	l.settle(i, retry, f)
	if l.queue.Lane == outbox.Urgent {
		l.spans.push(i, id, &f, err)
	}
	return outcome, f.Reason
}

// settle notes how an item ended, and gives its member a receipt once all its
// items have. The caller holds mu.
func (l *load) settle(i *item, retry bool, f outbox.Failure) {
	p := i.parcel
	p.left--
	p.changed = true
	if o := p.outlooks[i.rank]; o != nil {
		o.retry = o.retry || retry
		if !retry && p.receipts.Get(i.rank) == outbox.Pending {
			o.failure = f
		}
		if o.left--; o.left > 0 {
			return
		}
		retry, f = o.retry, o.failure
	}
	if p.receipts.Get(i.rank) == outbox.Pending && !retry {
		p.reject(f)
	}
}
