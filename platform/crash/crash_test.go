package crash

import (
	"context"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"
)

// Limits in time.
const (
	arriveTimeout = time.Minute            // for all that is left, at the end
	lateTime      = 500 * time.Millisecond // for what comes twice
)

// kills is how often a service is killed.
func kills() int {
	long := os.Getenv("HERALD_LONG") != ""
	switch {
	case raceEnabled && !long:
		return 3 // starting takes seconds
	case raceEnabled || !long:
		return 10
	}
	return 100
}

// moment waits until pushes are accepted, and some time from then on.
func (w *world) moment(ctx context.Context, t *testing.T) {
	t.Helper()
	_, before := w.ledger.outcome()
	for deadline := time.Now().Add(startTimeout); ctx.Err() == nil; sleep(ctx, time.Millisecond) {
		if _, now := w.ledger.outcome(); now > before {
			break
		}
		if time.Now().After(deadline) {
			t.Errorf("nothing is accepted for %v", startTimeout)
			return
		}
	}
	sleep(ctx, rand.N(1200*time.Millisecond))
}

// story has pushes stream in and devices live while f does what it does, and
// then checks that all accounts are settled.
func (w *world) story(t *testing.T, f func(ctx context.Context)) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	defer w.running.Wait()
	defer cancel()
	settled, stop := make(chan struct{}), make(chan struct{})
	for _, p := range w.phones {
		if p.habit == dies {
			continue
		}
		w.running.Go(func() {
			if err := p.live(ctx, settled); err != nil {
				t.Error(err)
			}
		})
	}
	var pushing sync.WaitGroup
	for i := range pushers {
		pushing.Go(func() {
			if err := w.push(ctx, i, stop); err != nil {
				t.Errorf("pusher %d: %v", i, err)
			}
		})
	}
	began := time.Now()
	f(ctx)
	close(stop)
	pushing.Wait()
	streamed := time.Since(began)

	close(settled)
	late := time.After(arriveTimeout)
	for {
		missing, changed := w.ledger.missing()
		if missing == 0 {
			break
		}
		select {
		case <-changed:
			continue
		case <-late:
			t.Errorf("%d mailboxes lack their newest notification after %v", missing, arriveTimeout)
		}
		break
	}
	arrived := time.Since(began) - streamed
	// What was not acknowledged comes again with the next connection.
	w.service.kill()
	w.service.run(t)
	w.reconnected(t, ctx)
	cancel()
	w.running.Wait()

	s, faults := w.ledger.sums()
	for i, fault := range faults {
		if i == 20 {
			t.Errorf("and %d more", len(faults)-i)
			break
		}
		t.Error(fault)
	}
	var nudges int64
	for _, p := range w.phones {
		nudges += p.nudges.Load()
	}
	t.Logf("stored: %d accepted, %d delivered, %d replaced by a newer one, %d lost; not stored: %d accepted, %d delivered; "+
		"%d delivered twice, %d out of order", s.accepted, s.delivered, s.replaced, s.lost, s.unstored, s.unstoredDelivered, s.twice, s.disorder)
	t.Logf("provider: %d pushes without an answer and %d refused with 5xx, which were sent again, %d never sent; "+
		"devices: %d times sent on their way by their network; %.1f s of pushes, %.1f s until the rest had arrived",
		w.ledger.repeats, w.ledger.refused, w.ledger.unsent, nudges, streamed.Seconds(), arrived.Seconds())
}

// reconnected waits until what may come twice would have come.
func (w *world) reconnected(t *testing.T, ctx context.Context) {
	t.Helper()
	sleep(ctx, longPause+lateTime)
}

// TestKilled kills the service at any moment, while it starts as well.
func TestKilled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 8, stays, flaps, away)
	n := kills()
	w.story(t, func(ctx context.Context) {
		for i := range n {
			w.moment(ctx, t)
			w.service.kill()
			if i%4 == 3 { // before it serves
				launched := w.service.start(t)
				select {
				case <-time.After(rand.N(80 * time.Millisecond)):
				case err := <-launched:
					if err != nil {
						t.Error(err)
					}
				}
				w.service.kill()
			}
			w.service.run(t)
		}
	})
	t.Logf("%d kills while it served, %d while it started", n, n/4)
}

// sleep waits, at most until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// TestBothKilled kills the service and the process of the devices, each at any
// moment.
func TestBothKilled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 8, dies, away)
	crowd := newCrowd(t, w)
	n := kills()
	w.story(t, func(ctx context.Context) {
		var killing sync.WaitGroup
		killing.Go(func() {
			for range n {
				w.moment(ctx, t)
				crowd.kill()
				crowd.start(t)
			}
		})
		for range n {
			w.moment(ctx, t)
			w.service.kill()
			w.service.run(t)
		}
		killing.Wait()
	})
	t.Logf("%d kills of the service, %d of the devices; apps were given %d again that they knew", n, n, crowd.again.Load())
}
