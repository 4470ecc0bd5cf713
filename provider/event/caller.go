package event

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"
)

// CallerConfig says with what a Caller works. Roll and Log are required.
type CallerConfig struct {
	Roll *Roll
	Log  *Log
	// Dial connects to receivers. Nil: a net.Dialer, and a proxy where the environment
	// names one, as net/http has it.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Roots are those that receivers' certificates are issued by. Nil: the system's.
	Roots *x509.CertPool
	// Timeout is how long one delivery may take, until its answer is there. Zero
	// stands for 15 seconds.
	Timeout time.Duration
	// Logger is told what nobody waits for. Nil means slog.Default().
	Logger *slog.Logger
}

// Caller posts the events of a Log to the webhooks of a Roll. Each has a goroutine of
// its own, so that one that is slow is in nobody's way, and each gets the events in
// their order, one delivery at a time.
type Caller struct {
	cfg  CallerConfig
	http *http.Client
}

const (
	defaultTimeout = 15 * time.Second
	// grace is how long a delivery may go on that is under way when Run is to end.
	// Its events are sent again if nobody knows what became of it.
	grace = 3 * time.Second
	// storeWait is how long a webhook is left alone when the store fails.
	storeWait = 5 * time.Second
)

// NewCaller returns a Caller. It does nothing yet.
func NewCaller(cfg CallerConfig) (*Caller, error) {
	if cfg.Roll == nil || cfg.Log == nil {
		return nil, errors.New("caller of webhooks: roll and log are required")
	}
	cfg.Timeout = cmp.Or(cfg.Timeout, defaultTimeout)
	cfg.Logger = cmp.Or(cfg.Logger, slog.Default())
	return &Caller{cfg: cfg, http: newClient(cfg)}, nil
}

// Roll returns the webhooks that are called.
func (c *Caller) Roll() *Roll { return c.cfg.Roll }

// Run posts until ctx ends; then it takes up no other delivery, and returns when
// those under way have ended, after a few seconds at most.
func (c *Caller) Run(ctx context.Context) {
	defer c.http.CloseIdleConnections()
	var callers sync.WaitGroup
	defer callers.Wait()
	busy := make(map[WebhookID]bool)
	ended := make(chan WebhookID, MaxWebhooks)
	for ctx.Err() == nil {
		ids, changed := c.cfg.Roll.active()
		for _, id := range ids {
			if busy[id] {
				continue
			}
			busy[id] = true
			callers.Go(func() {
				c.serve(ctx, id)
				select {
				case ended <- id:
				case <-ctx.Done():
				}
			})
		}
		select {
		case <-changed:
		case id := <-ended:
			delete(busy, id)
		case <-ctx.Done():
		}
	}
}

// serve posts to one webhook until it is paused or removed, or ctx ends.
func (c *Caller) serve(ctx context.Context, id WebhookID) {
	for ctx.Err() == nil {
		w, changed, err := c.cfg.Roll.watch(id)
		if err != nil || w.Progress.State != Active {
			return
		}
		if next := time.Until(w.Progress.Next); next > 0 {
			pause(ctx, changed, next)
			continue
		}
		came, err := c.round(ctx, w)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			c.cfg.Logger.ErrorContext(ctx, "could not go on with a webhook", slog.String("webhook", string(id)), slog.Any("error", err))
			pause(ctx, changed, storeWait)
		case !came: // all there is was looked at
			w, changed, err := c.cfg.Roll.watch(id)
			if err != nil {
				return
			}
			select {
			case <-c.cfg.Log.after(w.Progress.Cursor):
			case <-changed:
			case <-ctx.Done():
			}
		}
	}
}

// pause returns after a time, or when something changes.
func pause(ctx context.Context, changed <-chan struct{}, wait time.Duration) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-changed:
	case <-ctx.Done():
	}
}

// round looks at the next events for a webhook, and posts those that it wants. It
// reports whether there may be more. The error is that of a store.
func (c *Caller) round(ctx context.Context, w *webhook) (bool, error) {
	p := &w.Progress
	first, _, err := c.cfg.Log.Bounds(ctx)
	if err != nil {
		return false, err
	}
	if first > p.Cursor+1 {
		return true, c.cfg.Roll.happened(ctx, w.ID, p.Term, Lost{first})
	}
	page, err := c.cfg.Log.Read(ctx, p.Cursor, w.Filter(), maxBatch)
	if err != nil {
		return false, err
	}
	if len(page.Events) == 0 {
		if page.Next == p.Cursor {
			return false, nil
		}
		return true, c.cfg.Roll.happened(ctx, w.ID, p.Term, Passed{page.Next})
	}
	return true, c.deliver(ctx, w, batch(page.Events, p.Batch))
}

// deliver posts a batch, and notes what became of it.
func (c *Caller) deliver(ctx context.Context, w *webhook, events []Event) error {
	secrets, err := c.cfg.Roll.secrets(ctx, w.ID, time.Now())
	if err != nil {
		return err
	}
	// What is under way when ctx ends has some time to end by itself.
	under, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.cfg.Timeout)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(grace, cancel) })
	defer stop()
	through := events[len(events)-1].Sequence
	answer := c.post(under, w, deliveryID(w, events), secrets, events)
	var h Happening = Taken{Through: through, Events: len(events)}
	if answer.err != "" {
		if ctx.Err() != nil {
			return nil // that may be why
		}
		c.cfg.Logger.WarnContext(ctx, "a webhook did not take its events", slog.String("webhook", string(w.ID)),
			slog.String("host", w.Host()), slog.Int("status", answer.status), slog.String("error", answer.err), slog.Int("failures", w.Progress.Failures+1))
		h = Failed{Through: through, Status: answer.status, Err: answer.err, Asked: answer.asked, Spread: rand.Float64()}
	}
	return c.cfg.Roll.happened(context.WithoutCancel(ctx), w.ID, w.Progress.Term, h)
}
