package courier

import (
	"cmp"
	"errors"
	"hash/maphash"
	"math"
	"sync"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/wire"
)

// paceWindow is the time in which a device may connect Config.MaxConnects times.
const paceWindow = time.Minute

// maxPaced bounds a generation of devices that are remembered, at about 40 bytes
// each.
const maxPaced = 1 << 18

var errTooOften = errors.New("the device connects too often")

// pace bounds how often a device connects, so that one in a tight loop does not
// cost others the use of the courier. It remembers each for at least as long as
// that matters.
type pace struct {
	seed  maphash.Seed
	bound int // of a generation; zero means maxPaced

	mu      sync.Mutex
	current map[uint64]time.Time // until when a device's connects are paid for; guarded by mu
	former  map[uint64]time.Time // guarded by mu
	since   time.Time            // when current began; guarded by mu
}

// take counts a connect of the device, of which there may be most in paceWindow.
// It returns zero if it may, and otherwise when it may again.
func (p *pace) take(id apns.DeviceID, most int, now time.Time) time.Duration {
	if most < 0 {
		return 0
	}
	each := paceWindow / time.Duration(most)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.current == nil || now.Sub(p.since) > paceWindow || len(p.current) >= cmp.Or(p.bound, maxPaced) {
		if p.current == nil {
			p.seed = maphash.MakeSeed()
		}
		p.former, p.current, p.since = p.current, make(map[uint64]time.Time), now
	}
	key := maphash.String(p.seed, string(id))
	paid, ok := p.current[key]
	if !ok {
		paid = p.former[key]
	}
	if paid.Before(now) {
		paid = now
	}
	paid = paid.Add(each)
	if over := paid.Sub(now) - each*time.Duration(most); over > 0 {
		return over
	}
	p.current[key] = paid
	return 0
}

// refuseOften returns the error for a device that may connect again after a
// time.
func (g greeting) refuseOften(after time.Duration) error {
	g.courier.counts.tooOften.Add(1)
	e := &partingError{err: errTooOften}
	if g.herald {
		seconds := time.Duration(math.Ceil(after.Seconds())) * time.Second
		e.frames = wire.Redirect{Reason: "too many connections", RetryAfter: seconds, HasRetryAfter: true}.Append(nil)
	}
	return e
}
