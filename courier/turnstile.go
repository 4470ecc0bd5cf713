package courier

import (
	"errors"
	"sync/atomic"
	"time"
)

// turnstile bounds how many handshakes are computed at a time: more would only take
// the processors from those that are nearly done, and from devices that are
// connected.
type turnstile struct {
	inside  chan struct{} // holds one for each that is inside
	waiting atomic.Int64
	late    atomic.Uint64 // how many waited too long
}

// turnTimeout is how long a connection may wait for its handshake. A device that
// waited longer has given up, or will.
const turnTimeout = 5 * time.Second

var (
	errLate    = errors.New("too many handshakes are waiting")
	errStopped = errors.New("the courier stops")
)

func (t *turnstile) open(width int) { t.inside = make(chan struct{}, width) }

// enter waits for a place, in the order of arrival. The error is errLate, or
// errStopped when ended is closed.
func (t *turnstile) enter(ended <-chan struct{}) error {
	select {
	case t.inside <- struct{}{}:
		return nil
	default:
	}
	t.waiting.Add(1)
	defer t.waiting.Add(-1)
	limit := time.NewTimer(turnTimeout)
	defer limit.Stop()
	select {
	case t.inside <- struct{}{}:
		return nil
	case <-limit.C:
		t.late.Add(1)
		return errLate
	case <-ended:
		return errStopped
	}
}

func (t *turnstile) leave() { <-t.inside }
