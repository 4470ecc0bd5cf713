package apnsclient

import (
	"net/http"
	"time"
)

// clockReading is what an answer's date told about this machine's clock. The
// zero value tells nothing.
type clockReading struct {
	at    time.Time     // by the monotonic clock
	wall  time.Time     // by the clock that may be set
	ahead time.Duration // how far that one was ahead of the gateway's
}

// read takes in the date of an answer that came now. One that is missing or
// cannot be read tells nothing.
func (r *clockReading) read(date string, now time.Time) {
	theirs, err := http.ParseTime(date)
	if err != nil {
		return
	}
	*r = clockReading{at: now, wall: now.Round(0), ahead: now.Sub(theirs).Round(time.Second)}
}

// skew returns how far the clock is ahead, zero where that is not far, or not
// known: also where the clock was set since it was read, or the machine slept.
func (r *clockReading) skew(now time.Time) time.Duration {
	if r.at.IsZero() || r.ahead.Abs() <= clockTolerance {
		return 0
	}
	if set := now.Round(0).Sub(r.wall) - now.Sub(r.at); set.Abs() > clockTolerance {
		return 0
	}
	return r.ahead
}
