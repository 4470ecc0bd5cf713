package spool

import (
	"time"

	"github.com/heraldpush/herald/apns"
)

// rules are what all machines of a spool go by, see Config.
type rules struct {
	window   int
	postpone time.Duration // Config.Defer
	linger   time.Duration
	observed bool // Config.Observe is there
}

// forever is later than any time that matters, tens of thousands of years from
// now.
var forever = time.Unix(1<<40, 0)

// over reports whether the time of a waiting notification is over.
func (m *machine) over(it *item, now time.Time) bool {
	if it.kept {
		return it.expired(now)
	}
	return !now.Before(it.Timestamp.Time().Add(m.rules.linger))
}

// open reports whether the rules let the notification go to the device as it is.
func (m *machine) open(c class, e *Entry, now time.Time) bool {
	return m.wakesFor(c, e, now) || c.mayCome() && (m.company || now.Before(m.active))
}

// wakesFor reports whether the rules let the notification go to a device that
// sleeps.
func (m *machine) wakesFor(c class, e *Entry, now time.Time) bool {
	if c != enabled && c != opportunistic {
		return false
	}
	if immediate(e) {
		return true
	}
	at, ok := m.release(e)
	return ok && c == enabled && !now.Before(at)
}

// release returns when a deferred notification goes to a device that sleeps;
// false if it never does.
func (m *machine) release(e *Entry) (time.Time, bool) {
	if p := e.Notification.Priority.OrDefault(); p < apns.PriorityConserve {
		return time.Time{}, false
	}
	return e.Timestamp.Time().Add(m.rules.postpone), true
}

// immediate reports whether the notification does not wait for the device to be
// awake.
func immediate(e *Entry) bool {
	return e.Notification.Priority.OrDefault() >= apns.PriorityImmediate
}

// mayCome reports whether a topic in the list is delivered to a device that is
// awake.
func (c class) mayCome() bool { return c == enabled || c == opportunistic || c == nonWaking }
