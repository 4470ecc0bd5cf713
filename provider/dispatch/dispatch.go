package dispatch

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"log/slog"
	"sync"
	"time"

	oteltrace "go.opentelemetry.io/otel/trace"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnsclient"
	"github.com/heraldpush/herald/provider/audience"
	"github.com/heraldpush/herald/provider/outbox"
)

// ErrUnusable is in the chain of the error of a push for which the credential could
// not be used at all: all others would end so, and wait.
var ErrUnusable = errors.New("the credential cannot be used")

// Pusher sends to the gateway of one environment with one credential.
// *apnsclient.Sender is one.
type Pusher interface {
	// Push sends one notification, before those of PushAll.
	Push(ctx context.Context, to apns.DeviceToken, n apns.Notification) (apnsclient.Receipt, error)
	// PushAll sends many.
	PushAll(ctx context.Context, pushes iter.Seq[apnsclient.Push]) iter.Seq[apnsclient.Result]
}

var _ Pusher = (*apnsclient.Sender)(nil)

// Config says with what a Dispatcher works. The rooms and Road are required.
type Config struct {
	Outbox   outbox.Store
	Audience audience.Store
	// Road returns who sends the notifications of an app for a topic in an
	// environment. The error says why nobody does; it is tried again later.
	Road func(app audience.AppNumber, e apns.Environment, t apns.Topic) (Pusher, error)
	// Fault, if set, is told of what keeps all pushes of an app for a topic from
	// being sent in an environment: the credential is refused, or there is none. It
	// must not block.
	Fault func(app audience.AppNumber, e apns.Environment, t apns.Topic, err error)
	// Lease is how long a shard is held without a word. Zero means a minute.
	Lease time.Duration
	// CheckpointEvery is how often receipts are stored, and so how soon a message
	// that was paused is no longer sent. Zero means 250 ms.
	CheckpointEvery time.Duration
	// Spans makes OpenTelemetry spans of shards and of urgent pushes. Nil: nobody does.
	Spans oteltrace.TracerProvider
	// Logger receives what goes wrong. Nil means slog.Default().
	Logger *slog.Logger
}

// Dispatcher sends what is in an outbox.
type Dispatcher struct {
	cfg   Config
	later *later
	spans spans
	wake  chan struct{} // holds one
}

// New returns a Dispatcher. It does nothing yet.
func New(cfg Config) (*Dispatcher, error) {
	if cfg.Outbox == nil || cfg.Audience == nil || cfg.Road == nil {
		return nil, errors.New("dispatcher: outbox, audience and road are required")
	}
	if cfg.Fault == nil {
		cfg.Fault = func(audience.AppNumber, apns.Environment, apns.Topic, error) {}
	}
	cfg.Lease = cmp.Or(cfg.Lease, time.Minute)
	cfg.CheckpointEvery = cmp.Or(cfg.CheckpointEvery, 250*time.Millisecond)
	cfg.Logger = cmp.Or(cfg.Logger, slog.Default())
	return &Dispatcher{cfg: cfg, later: newLater(), spans: newSpans(cfg.Spans), wake: make(chan struct{}, 1)}, nil
}

// Wake has the outbox looked at: something was submitted, resumed or extended.
func (d *Dispatcher) Wake() {
	select {
	case d.wake <- struct{}{}:
	default: // it has been told
	}
}

// Run sends until ctx ends; then it takes nothing more, waits for what is under
// way, each of which has a deadline, and stores the receipts. The error is that of
// a store, which ends it too.
func (d *Dispatcher) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	c := &crew{at: make(map[outbox.Queue]int), ended: make(chan outbox.Queue)}
	defer c.working.Wait()
	for {
		queues, next, err := d.cfg.Outbox.Ready(ctx, time.Now())
		if err != nil {
			return c.end(ctx, err)
		}
		for _, q := range queues {
			if c.at[q] == workers[q.Lane] {
				continue
			}
			c.at[q]++
			c.working.Go(func() {
				if err := d.work(ctx, q); err != nil {
					cancel(err)
				}
				c.ended <- q
			})
		}
		if err := d.wait(ctx, next, c); err != nil {
			return c.end(ctx, err)
		}
	}
}

// workers is how many work at a queue of each lane. While one waits for the last
// answers to what it sent, another sends, and a third looks up device tokens; and
// what is urgent waits for no answer to what was before it.
var workers = [...]int{outbox.Urgent: 16, outbox.Ordinary: 4, outbox.Campaign: 3}

// crew is the workers of a Run.
type crew struct {
	at      map[outbox.Queue]int // how many work at a queue; of the goroutine of Run
	ended   chan outbox.Queue    // by each worker at its end
	working sync.WaitGroup
}

// left notes that a worker has ended.
func (c *crew) left(q outbox.Queue) {
	if c.at[q]--; c.at[q] == 0 {
		delete(c.at, q)
	}
}

// end waits for the workers, and returns what ended the Dispatcher, nil if that was
// asked for.
func (c *crew) end(ctx context.Context, err error) error {
	for len(c.at) > 0 {
		c.left(<-c.ended)
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	return err
}

// wait returns when the outbox is to be looked at again, or with an error when ctx
// has ended.
func (d *Dispatcher) wait(ctx context.Context, next time.Time, c *crew) error {
	var alarm <-chan time.Time
	if !next.IsZero() {
		// Not more often than now and then, whatever is due and cannot be had.
		timer := time.NewTimer(max(time.Until(next), time.Millisecond))
		defer timer.Stop()
		alarm = timer.C
	}
	select {
	case q := <-c.ended:
		c.left(q)
	case <-d.wake:
	case <-alarm:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}

// Of what a worker claims at once.
const (
	claimShards  = 256
	claimMembers = 2 * audience.ChunkWidth
)

// work sends what is in a queue, until there is nothing to be claimed or ctx ends.
func (d *Dispatcher) work(ctx context.Context, q outbox.Queue) error {
	trust := make(map[way]bool)
	for ctx.Err() == nil {
		now := time.Now()
		claims, err := d.cfg.Outbox.Claim(ctx, outbox.Wanted{
			Queue: q, Shards: claimShards, Members: claimMembers, Until: now.Add(d.cfg.Lease),
		}, now)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // what was claimed is free at the end of the lease
		}
		if err != nil {
			return err
		}
		if len(claims) == 0 {
			return nil
		}
		d.Wake() // there may be work for another
		if err := d.send(ctx, q, claims, trust); err != nil {
			return err
		}
	}
	return nil
}
