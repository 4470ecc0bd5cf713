package spool

// Waker is told that there is reason to look at an inbox: Next may have something
// again, or the inbox has ended. What wakes may have been seen to already.
//
// Wake is called from any goroutine and with locks of the spool held. So it
// returns at once, and does not call the spool: it takes note, for another to
// call Next until that has no more. An inbox that has nothing costs neither a
// goroutine, nor a channel, nor a timer.
type Waker interface {
	Wake()
}

// Bell is a Waker for a goroutine that waits: it receives after a Wake. Wakes
// that nobody waited for are one.
type Bell chan struct{}

// NewBell returns a bell.
func NewBell() Bell { return make(Bell, 1) }

// Wake implements Waker.
func (b Bell) Wake() {
	select {
	case b <- struct{}{}:
	default:
	}
}
