package dispatch

import (
	"sync"
	"time"

	"github.com/heraldpush/herald/apns"
)

// later has the device tokens that the gateway wants to be left alone for a while,
// each until a time of its own: it takes so many pushes to a device at a time. A
// shard is tried again when its first member may be; these are passed over until
// their own time. It is forgotten with the process: they are asked once more then.
type later struct {
	mu    sync.Mutex
	until map[recipient]time.Time // guarded by mu
	swept time.Time               // when those were looked for whose time is over; guarded by mu
}

type recipient struct {
	environment apns.Environment
	deviceToken apns.DeviceToken
}

// maxLater bounds the device tokens that are left alone at a time. Those beyond are
// asked again when their shard is.
const maxLater = 1 << 16

// longestLater is for how long a device token is left alone at most: a gateway that asks
// for more is not believed. sweepEvery is how often those are looked for whose time is
// over, when there are as many as there may be: not with each answer of a wave.
const (
	longestLater = time.Hour
	sweepEvery   = time.Second
)

func newLater() *later { return &later{until: make(map[recipient]time.Time)} }

// put has a device token left alone for a time.
func (l *later) put(r recipient, now time.Time, asked time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.until) >= maxLater && now.Sub(l.swept).Abs() >= sweepEvery {
		l.swept = now
		for r, until := range l.until {
			if !now.Before(until) {
				delete(l.until, r)
			}
		}
	}
	if len(l.until) < maxLater {
		l.until[r] = now.Add(min(asked, longestLater))
	}
}

// wait returns for how long a device token is to be left alone, zero if it is not.
func (l *later) wait(r recipient, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	until, ok := l.until[r]
	if !ok {
		return 0
	}
	if wait := until.Sub(now); wait > 0 {
		return wait
	}
	delete(l.until, r)
	return 0
}

// empty reports whether no device token is left alone.
func (l *later) empty() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.until) == 0
}
