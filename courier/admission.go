package courier

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"
)

// admission decides, before any cryptography, who is let in: a storm of devices
// that come back is bounded by handshakes, and to close a connection at once
// costs a tenth of one.
type admission struct {
	most          int     // strangers at a time
	mostPerPrefix int     // of one network; negative for any number
	rate          float64 // connections a second; 0 for any number

	mu       sync.Mutex
	guests   int                  // guarded by mu
	prefixes map[netip.Prefix]int // strangers by network; none is 0; guarded by mu
	tokens   float64              // connections that may come at once; guarded by mu
	since    time.Time            // when tokens was right; guarded by mu
	refused  [refusals]uint64     // by cause; guarded by mu
	accepted uint64               // guarded by mu
}

// Causes of a refusal.
const (
	tooManyStrangers = iota
	tooManyOfPrefix
	tooFast
	refusals
)

var errRefused = [refusals]error{
	tooManyStrangers: errors.New("too many connections have not proved who they are"),
	tooManyOfPrefix:  errors.New("too many connections of its network have not proved who they are"),
	tooFast:          errors.New("connections come too fast"),
}

// guest is a connection that has not proved who it is.
type guest struct {
	at     *admission
	prefix netip.Prefix // the zero Prefix is not counted
}

// enter counts a connection from an address, or says why it is to be closed.
func (a *admission) enter(from net.Addr, now time.Time) (*guest, error) {
	prefix := a.prefix(from)
	a.mu.Lock()
	defer a.mu.Unlock()
	cause := refusals
	switch {
	case a.guests >= a.most:
		cause = tooManyStrangers
	case prefix.IsValid() && a.prefixes[prefix] >= a.mostPerPrefix:
		cause = tooManyOfPrefix
	case !a.take(now):
		cause = tooFast
	}
	if cause != refusals {
		a.refused[cause]++
		return nil, errRefused[cause]
	}
	a.accepted++
	a.guests++
	if prefix.IsValid() {
		if a.prefixes == nil {
			a.prefixes = make(map[netip.Prefix]int)
		}
		a.prefixes[prefix]++
	}
	return &guest{a, prefix}, nil
}

// take takes one of the connections that may come now. The bucket has room for
// those of a second. The lock is held.
func (a *admission) take(now time.Time) bool {
	if a.rate == 0 {
		return true
	}
	if a.since.IsZero() {
		a.tokens = a.rate
	} else if d := now.Sub(a.since); d > 0 {
		a.tokens = min(a.tokens+a.rate*d.Seconds(), max(a.rate, 1))
	}
	a.since = now
	if a.tokens < 1 {
		return false
	}
	a.tokens--
	return true
}

// leave ends the count: the device has proved who it is, or the connection has
// ended.
func (g *guest) leave() {
	a := g.at
	a.mu.Lock()
	defer a.mu.Unlock()
	a.guests--
	if g.prefix.IsValid() {
		if a.prefixes[g.prefix]--; a.prefixes[g.prefix] == 0 {
			delete(a.prefixes, g.prefix)
		}
	}
}

// Sizes of the network that an address is taken to be of.
const (
	prefixBits4 = 24
	prefixBits6 = 56
)

// prefix returns the network of an address, or the zero Prefix if it is not to be
// counted.
func (a *admission) prefix(from net.Addr) netip.Prefix {
	tcp, ok := from.(*net.TCPAddr)
	if !ok || a.mostPerPrefix < 0 {
		return netip.Prefix{}
	}
	ip := tcp.AddrPort().Addr().Unmap().WithZone("")
	if ip.IsLoopback() || !ip.IsValid() {
		return netip.Prefix{}
	}
	n := prefixBits6
	if ip.Is4() {
		n = prefixBits4
	}
	p, err := ip.Prefix(n)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}
