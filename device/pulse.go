package device

import (
	"math/rand/v2"
	"time"
)

// The constants of the growth of keepalive intervals are Herald's own; Apple's
// are not public (docs/protocol/courier.md#growth).
const (
	// DefaultKeepAliveMin and DefaultKeepAliveMax bound the interval where
	// Config does not.
	DefaultKeepAliveMin = time.Minute
	DefaultKeepAliveMax = 30 * time.Minute

	growBy     = 3 * time.Minute // in initial growth
	refineBy   = time.Minute     // in refined growth
	steadyMin  = time.Hour       // in steady state before growth is tried again; else
	steadyFor  = 24              // intervals
	maxSteady  = 24 * time.Hour  // at most, after many vain attempts
	minimumFor = 24 * time.Hour  // at the minimum before growth is tried again
	earlyPart  = 20              // up to this part of an interval a keepalive comes early
)

// stage is how an interval is being found.
type stage string

// The stages.
const (
	stageGrowth  stage = "initial growth" // large steps, until one fails
	stageRefined stage = "refined growth" // small steps, until one fails
	stageSteady  stage = "steady state"   // what was found; growth is tried again now and then
	stageBackoff stage = "backoff"        // what was found does not hold any more: shorter, until it does
	stageMinimum stage = "minimum"        // nothing holds: the shortest, for a day
)

// pulse finds the longest silence that a network bears: a middlebox forgets a
// connection on which nothing moves for long. It is the state of one network.
// The zero value knows nothing.
type pulse struct {
	Stage    stage         `json:"stage"`
	Interval time.Duration `json:"interval_ns"`
	Good     time.Duration `json:"good_ns,omitempty"` // the longest that held lately
	Bad      time.Duration `json:"bad_ns,omitempty"`  // the shortest that did not, since
	// Since is when the stage began, if it ends with time.
	Since time.Time `json:"since,omitzero"`
	// Patience is how long the steady state lasts.
	Patience time.Duration `json:"patience_ns,omitempty"`
	// Used is when a device was last connected through the network.
	Used time.Time `json:"used"`
}

// bounds are the shortest and the longest interval.
type bounds struct{ least, most time.Duration }

// valid reports whether p is one that was written.
func (p *pulse) valid() bool {
	switch p.Stage {
	case stageGrowth, stageRefined, stageSteady, stageBackoff, stageMinimum, "":
	default:
		return false
	}
	for _, d := range []time.Duration{p.Interval, p.Good, p.Bad, p.Patience} {
		if d < 0 || d > maxSteady {
			return false
		}
	}
	return true
}

// within brings p into bounds, which may have changed, and begins it.
func (p *pulse) within(b bounds) {
	if p.Stage == "" {
		p.Stage = stageGrowth
	}
	p.Interval = min(max(p.Interval, b.least), b.most)
}

// succeeded takes note that a silence of the interval was borne.
func (p *pulse) succeeded(now time.Time, b bounds) {
	p.Good = p.Interval
	switch p.Stage {
	case stageGrowth:
		if p.grow(growBy, b) {
			return
		}
		p.Stage = stageRefined
		fallthrough
	case stageRefined:
		if !p.grow(refineBy, b) {
			p.settle(now)
		}
	case stageSteady:
		if p.Interval < b.most && now.Sub(p.Since) >= p.Patience {
			p.Stage, p.Bad = stageRefined, 0
			p.grow(refineBy, b)
		}
	case stageBackoff:
		p.settle(now)
	case stageMinimum:
		if now.Sub(p.Since) >= minimumFor {
			p.Stage, p.Bad, p.Patience = stageGrowth, 0, 0
			p.grow(growBy, b)
		}
	}
}

// grow makes the interval longer by a step, unless that is known to be too long
// or there is no more room.
func (p *pulse) grow(by time.Duration, b bounds) bool {
	next := min(p.Interval+by, b.most)
	if next == p.Interval || p.Bad > 0 && next >= p.Bad {
		return false
	}
	p.Interval = next
	return true
}

// settle begins the steady state. Each vain attempt to grow makes it longer.
func (p *pulse) settle(now time.Time) {
	p.Stage, p.Since = stageSteady, now
	p.Patience = min(max(2*p.Patience, steadyMin, steadyFor*p.Interval), maxSteady)
}

// failed takes note that a silence of the interval was not borne.
func (p *pulse) failed(now time.Time, b bounds) {
	p.Bad = p.Interval
	switch {
	case p.Stage == stageGrowth && p.Good >= b.least && p.Good < p.Interval:
		p.Stage, p.Interval = stageRefined, p.Good
	case p.Stage == stageRefined && p.Good >= b.least && p.Good < p.Interval:
		p.Interval = p.Good
		p.settle(now)
	default:
		p.Stage, p.Good, p.Patience = stageBackoff, 0, 0
		if p.Interval = max(p.Interval*3/4, b.least); p.Interval == b.least {
			p.Stage, p.Since = stageMinimum, now
		}
	}
}

// early is how much sooner than its interval a keepalive comes, at random, so
// that devices that lost their courier together do not stay together. What is
// being measured comes on time.
func (p *pulse) early() time.Duration {
	if p.Stage != stageSteady && p.Stage != stageMinimum {
		return 0
	}
	return rand.N(p.Interval/earlyPart + 1) //nolint:gosec // spreads load, guards nothing
}

// defaultNetwork names the network of a device that tells none apart.
const defaultNetwork = "default"

// maxNetworks bounds the networks that are remembered. The one that was used
// longest ago gives way.
const maxNetworks = 64

// maxNetworkName bounds the name of one, in bytes; what is longer is cut.
const maxNetworkName = 100

// pulseOf returns the state of a network.
func (m *memory) pulseOf(network string, now time.Time) *pulse {
	if network == "" {
		network = defaultNetwork
	}
	network = network[:min(len(network), maxNetworkName)]
	p := m.networks[network]
	if p == nil {
		if len(m.networks) >= maxNetworks {
			oldest := ""
			for name, p := range m.networks {
				if oldest == "" || p.Used.Before(m.networks[oldest].Used) {
					oldest = name
				}
			}
			delete(m.networks, oldest)
		}
		p = new(pulse)
		m.networks[network] = p
	}
	p.Used, m.changed = now.Truncate(time.Second), true
	return p
}

// adaptive is the part of a session that finds its interval.
type adaptive struct {
	pulse  *pulse // of memory
	bounds bounds
	early  time.Duration // of the next keepalive
	// measuring tells that a sign of life was asked for after a silence of the
	// interval, and that there is no answer yet.
	measuring bool
}

// adapt makes the interval of a session follow that of its network.
func (s *session) adapt(p *pulse, b bounds) {
	p.within(b)
	s.keepAlive = p.Interval
	s.adaptive = &adaptive{pulse: p, bounds: b, early: p.early()}
}

// borne takes note of an answer.
func (s *session) borne(now time.Time) {
	a := s.adaptive
	if a == nil || !a.measuring {
		return
	}
	a.measuring = false
	a.pulse.succeeded(now, a.bounds)
	a.early = a.pulse.early()
	s.keepAlive, s.memory.changed = a.pulse.Interval, true
}

// suspicion is a connection that ended while it was measured.
type suspicion struct {
	pulse  *pulse
	bounds bounds
	at     time.Time
}

// suspicionFor is how soon the next connection must be there for the network to
// be what forgot the last one: else it was gone as a whole.
const suspicionFor = 30 * time.Second

// suspect returns why a connection may have ended, nil for nothing to do with
// its silence.
func (s *session) suspect(now time.Time) *suspicion {
	if a := s.adaptive; a != nil && a.measuring {
		return &suspicion{a.pulse, a.bounds, now}
	}
	return nil
}

// confirm shortens the interval, as the device was connected again at once.
func (x *suspicion) confirm(now time.Time) {
	if x != nil && now.Sub(x.at) <= suspicionFor {
		x.pulse.failed(now, x.bounds)
	}
}
