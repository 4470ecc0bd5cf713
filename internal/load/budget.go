package load

import (
	"sync/atomic"
	"time"
)

// budget is what is left to send, of all connections.
type budget struct {
	pushes int64 // 0 for no limit
	taken  atomic.Int64
	end    time.Time // zero for no limit

	// rate is how many fall due in a second from start on, 0 for all at once.
	rate, links int
	start       time.Time
	turns       atomic.Int64

	// held, if it is set, says whether to wait with the next push, after so many
	// were taken.
	held func(taken int64) bool
}

// heldFor is how long a link waits that was held back, before it asks again.
const heldFor = 100 * time.Microsecond

func newBudget(pushes int64, duration time.Duration, rate, links int) *budget {
	b := &budget{pushes: pushes, rate: rate, links: links, start: time.Now()}
	if duration > 0 {
		b.end = b.start.Add(duration)
	}
	return b
}

// turn is one link's part in a budget: each has every so-manieth push.
type turn struct {
	next int64 // number of the one that falls due next, if there is a rate
}

func (b *budget) turn() *turn { return &turn{next: b.turns.Add(1) - 1} }

// take takes a push and returns its number. If there is a rate, at is when it
// fell due; or, if that is to come, when it will. It is also when to ask again
// if the push is held back.
func (t *turn) take(b *budget, now time.Time) (n int64, at time.Time, ok bool) {
	if b.rate > 0 {
		n = t.next
		if b.pushes > 0 && n >= b.pushes {
			return 0, time.Time{}, false
		}
		at = b.start.Add(time.Duration(float64(n) / float64(b.rate) * float64(time.Second)))
		if !b.end.IsZero() && !at.Before(b.end) {
			return 0, time.Time{}, false
		}
		if at.After(now) {
			return 0, at, false
		}
		t.next += int64(b.links)
		return n, at, true
	}
	if !b.end.IsZero() && !now.Before(b.end) {
		return 0, time.Time{}, false
	}
	if b.held != nil && b.held(b.taken.Load()) {
		return 0, now.Add(heldFor), false
	}
	n = b.taken.Add(1) - 1
	return n, time.Time{}, b.pushes == 0 || n < b.pushes
}
