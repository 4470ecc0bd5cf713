package courier

import (
	"time"

	"github.com/heraldpush/herald/wire"
)

// defaultActive is how long a device is active that never said.
const defaultActive = 10 * time.Minute

// activity is what a device said of its use (docs/protocol/courier.md#activity).
type activity struct {
	// interval is how long it is active that does not say with SetActiveState;
	// zero means defaultActive.
	interval time.Duration
	// since is when it said so without a time of its own; zero if it is not
	// active by that.
	since time.Time
	until time.Time // zero if it is not active
}

// set takes a SetActiveState. It reports whether until was set.
func (a *activity) set(m wire.SetActiveState, now time.Time) bool {
	switch m.State {
	case wire.Inactive:
		a.since, a.until = time.Time{}, time.Time{}
	case wire.Active:
		if m.For != 0 {
			a.since, a.until = time.Time{}, now.Add(m.For)
			break
		}
		a.since = now
		a.extend()
	default:
		return false
	}
	return true
}

// setInterval takes a SetActiveInterval; zero stands for one that names none.
// It reports whether until was set.
func (a *activity) setInterval(d time.Duration) bool {
	if d == 0 {
		return false
	}
	a.interval = d
	if a.since.IsZero() {
		return false
	}
	a.extend()
	return true
}

func (a *activity) extend() {
	d := a.interval
	if d == 0 {
		d = defaultActive
	}
	a.until = a.since.Add(d)
}
