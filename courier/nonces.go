package courier

import (
	"sync"
	"time"

	"github.com/heraldpush/herald/wire"
)

// nonceWindow is how far the time of a nonce may be from ours, either way.
// Apple's window is not public; devices that do not try again with our time
// need a wide one (docs/protocol/courier.md#nonce).
const nonceWindow = 15 * time.Minute

// maxNonces bounds a generation of remembered nonces, at about 40 bytes each.
const maxNonces = 1 << 19

// nonces remembers those that opened a connection, so that none does twice.
// It keeps them for at least the time in which they could be used again.
type nonces struct {
	mu      sync.Mutex
	current map[wire.Nonce]struct{} // guarded by mu
	former  map[wire.Nonce]struct{} // guarded by mu
	since   time.Time               // when current began; guarded by mu
}

// use reports whether n is new, and remembers it.
func (ns *nonces) use(n wire.Nonce, now time.Time) bool { return ns.useWithin(n, now, maxNonces) }

// useWithin is use with a bound of its own for a generation.
func (ns *nonces) useWithin(n wire.Nonce, now time.Time, most int) bool {
	ns.mu.Lock()
	defer ns.mu.Unlock()
	if ns.current == nil || now.Sub(ns.since) > 2*nonceWindow || len(ns.current) >= most {
		ns.former, ns.current, ns.since = ns.current, make(map[wire.Nonce]struct{}), now
	}
	_, inCurrent := ns.current[n]
	_, inFormer := ns.former[n]
	if inCurrent || inFormer {
		return false
	}
	ns.current[n] = struct{}{}
	return true
}
