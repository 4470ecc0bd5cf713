package courier

import (
	"errors"
	"slices"
	"time"

	"github.com/heraldpush/herald/wire"
)

// Limits in time for a device that says nothing
// (docs/protocol/courier.md#liveness).
const (
	// idleUnknown is the idle limit of a device whose interval is not known.
	idleUnknown = 35 * time.Minute
	// idleLeast is the shortest idle limit.
	idleLeast = 6 * time.Minute
	// idleMargin is what a device may be late.
	idleMargin = time.Minute
	// ackTimeout is how long a notification may be unacknowledged.
	ackTimeout = 30 * time.Second
)

// Why a connection is given up.
var (
	// errSilent says that the device was silent for too long.
	errSilent = errors.New("the device was silent for too long")
	// errNoFilter says that no Filter came in time.
	errNoFilter = errors.New("no Filter came in time")
	// errSuspect says that a notification was written and nothing at all came
	// back.
	errSuspect = errors.New("nothing came since a notification was written")
	// errForgotten says that a device lives and yet does not acknowledge.
	errForgotten = errors.New("the device lives, but does not acknowledge a notification")
)

// liveness tells from what comes from a device, and when, whether it is still
// there. It does no I/O and has no clock. The zero value knows nothing.
type liveness struct {
	seenAt    time.Time     // when the last frame came
	interval  time.Duration // of keepalives, as announced last; zero for not at all
	rhythm    rhythm        // of those that announced nothing
	respondAt time.Time     // when the device wants its response; zero if it wants none
	// quietFrom is when the first notification was written after seenAt; zero if
	// none was.
	quietFrom time.Time
	unacked   []unacked // what was written and not acknowledged, the oldest first
	// probes says that the device answers a CancelKeepAlive at any time. Then it is
	// asked before it is given up for its silence.
	probes   bool
	probedAt time.Time // when it was asked; zero if it was not since seenAt
}

// probeTimeout is how long a device may take to answer that is asked whether it
// is there.
const probeTimeout = 20 * time.Second

// unacked is a notification that was written.
type unacked struct {
	id uint32
	at time.Time
}

// seen is told of each frame. It makes a response void that the device still
// waited for: a frame is a sign of life, and the device that sends one does not
// sleep.
func (l *liveness) seen(now time.Time) {
	l.seenAt, l.respondAt, l.quietFrom, l.probedAt = now, time.Time{}, time.Time{}, time.Time{}
}

// keepAlive is told of a KeepAlive, with the interval that the device announced,
// if it did, and the delay that it wants for the response, if it does. After an
// error the connection is to be closed.
func (l *liveness) keepAlive(announced, delay time.Duration, now time.Time) error {
	switch {
	case delay != 0:
		l.interval = delay
		l.respondAt = now.Add(delay)
	case announced != 0:
		l.interval = announced
	case l.interval == 0:
		l.rhythm.beat(now)
	}
	if len(l.unacked) > 0 && now.Sub(l.unacked[0].at) >= ackTimeout {
		return errForgotten
	}
	return nil
}

// wrote is told of a notification that is written now.
func (l *liveness) wrote(id uint32, now time.Time) {
	if l.quietFrom.IsZero() {
		l.quietFrom = now
	}
	l.unacked = append(l.unacked, unacked{id, now})
}

// acked is told of an acknowledgement of all from first to last.
func (l *liveness) acked(first, last uint32) {
	l.unacked = slices.DeleteFunc(l.unacked, func(u unacked) bool { return first <= u.id && u.id <= last })
	if len(l.unacked) == 0 {
		l.unacked = nil // most devices have none, most of the time
	}
}

// idle returns how long the device may be silent.
func (l *liveness) idle() time.Duration {
	interval := l.interval
	if interval == 0 {
		interval = l.rhythm.interval()
	}
	if interval == 0 {
		return idleUnknown
	}
	return max(2*interval+idleMargin, idleLeast)
}

// silent returns when the device was silent for too long.
func (l *liveness) silent() time.Time {
	if !l.probedAt.IsZero() {
		return l.probedAt.Add(probeTimeout)
	}
	return l.seenAt.Add(l.idle())
}

// due returns when tick is to be called, if nothing happens before.
func (l *liveness) due() time.Time {
	at := l.silent()
	if !l.quietFrom.IsZero() {
		at = earlier(at, l.quietFrom.Add(ackTimeout))
	}
	if !l.respondAt.IsZero() {
		at = earlier(at, l.respondAt)
	}
	return at
}

// tick is a step that time alone makes; it may come early. It appends what is to
// be written to out. After an error the connection is to be closed.
func (l *liveness) tick(now time.Time, out []byte) ([]byte, error) {
	switch {
	case !l.quietFrom.IsZero() && !now.Before(l.quietFrom.Add(ackTimeout)):
		return out, errSuspect
	case now.Before(l.silent()):
	case !l.probes || !l.probedAt.IsZero():
		return out, errSilent
	default:
		l.probedAt = now
		return wire.CancelKeepAlive{}.Append(out), nil
	}
	if !l.respondAt.IsZero() && !now.Before(l.respondAt) {
		l.respondAt = time.Time{}
		out = wire.KeepAliveResponse{Code: wire.KeepAliveGrow, HasCode: true}.Append(out)
	}
	return out, nil
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// rhythm estimates the interval of keepalives that announce none, by the gaps
// between them. The estimate rises at once and falls slowly, so that a few quick
// ones do not cost a device its connection.
type rhythm struct {
	last  time.Time
	gap   time.Duration
	beats int
}

// steadyBeats is how many keepalives it takes for an estimate.
const steadyBeats = 4

func (r *rhythm) beat(now time.Time) {
	if r.beats > 0 {
		r.gap = max(now.Sub(r.last), r.gap-r.gap/8)
	}
	r.last, r.beats = now, min(r.beats+1, steadyBeats)
}

// interval returns the estimate, zero if there is none yet.
func (r *rhythm) interval() time.Duration {
	if r.beats < steadyBeats {
		return 0
	}
	return r.gap
}
