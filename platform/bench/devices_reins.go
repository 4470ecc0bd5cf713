package bench

import (
	"sync"
	"time"
)

// reins hold a load back while as many of its pushes are under way to devices as
// may be. There are fewer of them than devices, and those are pushed to in turn,
// so that none gives way to a newer one: what is measured is the road to its end,
// at the speed at which the end keeps up.
type reins struct {
	crowd *crowd
	most  int64

	mu        sync.Mutex
	delivered int64     // when last asked; guarded by mu
	since     time.Time // when that was new; guarded by mu
	gone      int64     // pushes that nobody waits for any more; guarded by mu
}

// goneAfter is how long nothing is delivered until what is under way is given
// up.
const goneAfter = 500 * time.Millisecond

// hold is for load.Load.HoldBack.
func (r *reins) hold(sent int64) bool {
	r.crowd.mu.Lock()
	delivered := r.crowd.tally.Delivered
	r.crowd.mu.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := time.Now(); delivered != r.delivered || r.since.IsZero() {
		r.delivered, r.since = delivered, now
	} else if now.Sub(r.since) > goneAfter {
		r.gone, r.since = max(0, sent-delivered), now
	}
	return sent-delivered-r.gone >= r.most
}

// closeLoad closes the load of a crowd, if it has one.
func (c *crowd) closeLoad() (err error) {
	if c.load != nil {
		err = c.load.Close()
		c.load = nil
	}
	return err
}
