package h2

import "time"

// alarm wakes the keeper of a connection at the earliest of the times it was set to.
// It is guarded by the mutex of the connection, but the keeper waits for timer without.
type alarm struct {
	timer *time.Timer // nil before start
	at    time.Time   // zero if the timer is not running
}

// start has the keeper woken at once, to find out when that is due next.
func (a *alarm) start(now time.Time) { a.timer, a.at = time.NewTimer(0), now }

// set sees to it that the keeper is woken at t or before. It does nothing before
// start.
func (a *alarm) set(t time.Time) {
	if a.timer == nil || !a.at.IsZero() && !t.Before(a.at) {
		return
	}
	a.at = t
	a.timer.Reset(time.Until(t))
}
