package faults

import (
	"fmt"
	"slices"
	"time"

	"github.com/heraldpush/herald/apns"
)

// EventKind is what happened at the gateway.
type EventKind uint8

// The events in the life of a connection.
const (
	// Opened is a new connection, before TLS.
	Opened EventKind = iota + 1
	// Requested is a push that passed all checks but those of the device token.
	Requested
	// Closed is the end of a connection.
	Closed
)

// Event is something that may meet a fault.
type Event struct {
	Kind EventKind
	// Now is the time.
	Now time.Time
	// Number is the connection's, unlike that of any other.
	Number uint64
	// Environment is the gateway's.
	Environment apns.Environment

	// The rest is of Requested.

	Topic       apns.Topic
	Team        apns.TeamID
	DeviceToken apns.DeviceToken
	// IssuedAt is when the provider token was made; zero with a certificate.
	IssuedAt time.Time
}

// Answer is what becomes of a request.
type Answer uint8

// The answers. Usual is the one that it would get anyhow.
const (
	Usual Answer = iota
	Reject
	Lose        // 200, and nothing is delivered
	Silence     // none
	ResetStream // RST_STREAM
)

// Line is what becomes of a connection.
type Line uint8

// The fates of a connection. Steady is that nothing happens to it.
const (
	Steady Line = iota
	GoAway
	ResetConnection
	BlackHole
)

// Fault is what an event meets. The zero Fault is none.
type Fault struct {
	// Delay is how long the answer waits, up to MaxDelay.
	Delay time.Duration

	Answer Answer
	// Rejection is of Reject.
	Rejection *apns.Rejection
	// ResetCode is of ResetStream.
	ResetCode ErrorCode

	Line Line
	// GoAwayCode and GoAwayReason are of GoAway.
	GoAwayCode   ErrorCode
	GoAwayReason apns.Reason

	// StreamLimit is how many streams the connection may have from now on. Zero
	// means as many as ever.
	StreamLimit uint32
	// MayVanish says of a connection that was opened that it may become a black
	// hole.
	MayVanish bool
}

// IsNone reports whether nothing happens.
func (f Fault) IsNone() bool { return f == Fault{} }

// The bounds between which a provider token is good, before and after it was made
// (docs/protocol/provider.md#provider-tokens).
const maxTokenAge, maxTokenSkew = time.Hour, time.Hour

// Machine decides which faults a plan brings. It is for one goroutine at a time.
type Machine struct {
	plan  Plan
	start time.Time
	rules []rule
	lines map[uint64]*line
	next  uint64 // ordinal of the next connection
}

// rule is a Rule at work.
type rule struct {
	*Rule
	share, connections float64
	points             []point // of a delay in percentiles
	times              uint64  // how often it acted
}

// line is what the machine remembers of a connection.
type line struct {
	ordinal  uint64 // counted from the start of the plan, so that chance repeats itself
	requests uint64
	opened   bool   // since the plan came into force
	met      []bool // by rule: it has met this connection; nil for none
}

// NewMachine returns a machine for a plan that comes into force at start. The
// error is that of Plan.Validate.
func NewMachine(p Plan, start time.Time) (*Machine, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	m := &Machine{plan: p, start: start, lines: make(map[uint64]*line)}
	for i := range p.Rules {
		r := rule{Rule: &p.Rules[i], share: share(p.Rules[i].Share), connections: share(p.Rules[i].Match.Connections)}
		if r.Delay != nil && len(r.Delay.Percentiles) > 0 {
			points, err := r.Delay.points()
			if err != nil {
				return nil, err
			}
			r.points = points
		}
		m.rules = append(m.rules, r)
	}
	return m, nil
}

// Decide returns what an event meets.
func (m *Machine) Decide(ev Event) Fault {
	switch ev.Kind {
	case Opened:
		return m.opened(ev)
	case Requested:
		return m.requested(ev)
	case Closed:
		delete(m.lines, ev.Number)
	}
	return Fault{}
}

// lineOf returns what is remembered of the event's connection, which may be
// older than the plan.
func (m *Machine) lineOf(ev Event) *line {
	l := m.lines[ev.Number]
	if l == nil {
		m.next++
		l = &line{ordinal: m.next}
		m.lines[ev.Number] = l
	}
	return l
}

func (m *Machine) opened(ev Event) (f Fault) {
	l := m.lineOf(ev)
	l.opened = true
	m.meetLine(ev, l, &f)
	for i := range m.rules {
		if m.rules[i].Fault == KindBlackHole {
			f.MayVanish = true
		}
	}
	return f
}

func (m *Machine) requested(ev Event) (f Fault) {
	l := m.lineOf(ev)
	l.requests++
	m.meetLine(ev, l, &f)
	if f.Line == ResetConnection || f.Line == BlackHole {
		return f // nothing of an answer would arrive
	}
	if asked, ok := magic(ev.DeviceToken, ev.Now); ok {
		return asked.over(f)
	}
	m.delay(ev, l, &f)
	if m.skew(ev, l, &f) {
		return f
	}
	m.answer(ev, l, &f)
	return f
}

// over returns f, with what befalls the connection anyhow where f leaves it alone.
func (f Fault) over(base Fault) Fault {
	if f.Line == Steady {
		f.Line, f.GoAwayCode, f.GoAwayReason = base.Line, base.GoAwayCode, base.GoAwayReason
	}
	f.StreamLimit = base.StreamLimit
	return f
}

// meetLine applies the faults of connections.
func (m *Machine) meetLine(ev Event, l *line, f *Fault) {
	for i := range m.rules {
		r := &m.rules[i]
		if !r.Fault.ofConnection() || r.After > l.requests || (r.After == 0) != (ev.Kind == Opened) || l.met != nil && l.met[i] ||
			r.Fault != KindStreamLimit && f.Line != Steady || // one fate is enough
			r.Fault == KindBlackHole && !l.opened || // it may not vanish
			!m.acts(r, ev, l) || m.draw(i, l.ordinal, 0) >= r.share {
			continue
		}
		if l.met == nil {
			l.met = make([]bool, len(m.rules))
		}
		l.met[i] = true
		r.times++
		switch r.Fault {
		case KindStreamLimit:
			f.StreamLimit = r.Streams
		case KindGoAway:
			f.Line, f.GoAwayCode, f.GoAwayReason = GoAway, codeOr(r.Code, noError), r.Reason
			if f.GoAwayReason == "" {
				f.GoAwayReason = apns.Shutdown
			}
		case KindResetConnection:
			f.Line = ResetConnection
		case KindBlackHole:
			f.Line = BlackHole
		default:
			// Not a fault of connections.
		}
	}
}

func codeOr(c *ErrorCode, otherwise ErrorCode) ErrorCode {
	if c == nil {
		return otherwise
	}
	return *c
}

// delay applies the first rule of that kind which meets the request.
func (m *Machine) delay(ev Event, l *line, f *Fault) {
	for i := range m.rules {
		r := &m.rules[i]
		if r.Fault != KindDelay || !m.acts(r, ev, l) || m.draw(i, l.ordinal, l.requests) >= r.share {
			continue
		}
		r.times++
		f.Delay = r.length(m.draw(saltLength+i, l.ordinal, l.requests))
		return
	}
}

// length returns the delay for a u from 0 to 1.
func (r *rule) length(u float64) time.Duration {
	switch d := r.Delay; {
	case len(d.Uniform) == 2:
		return between(time.Duration(d.Uniform[0]), time.Duration(d.Uniform[1]), u)
	case len(r.points) > 0:
		before := point{}
		for _, p := range r.points {
			if 100*u < p.at {
				return between(time.Duration(before.delay), time.Duration(p.delay), (100*u-before.at)/(p.at-before.at))
			}
			before = p
		}
		return time.Duration(before.delay)
	default:
		return time.Duration(d.Fixed)
	}
}

func between(a, b time.Duration, u float64) time.Duration { return a + time.Duration(u*float64(b-a)) }

// skew applies the first wrong clock that the request's connection meets, and
// reports whether the provider token does not suit it.
func (m *Machine) skew(ev Event, l *line, f *Fault) bool {
	if ev.IssuedAt.IsZero() {
		return false
	}
	for i := range m.rules {
		r := &m.rules[i]
		if r.Fault != KindClockSkew || !m.acts(r, ev, l) || m.draw(i, l.ordinal, 0) >= r.share {
			continue
		}
		var why apns.Reason
		switch age := ev.Now.Add(time.Duration(r.Skew)).Sub(ev.IssuedAt); {
		case age > maxTokenAge:
			why = apns.ExpiredProviderToken
		case age < -maxTokenSkew:
			why = apns.InvalidProviderToken
		default:
			return false
		}
		r.times++
		f.Answer, f.Rejection = Reject, rejection(why, 0, 0, ev.Now, r.name(i))
		return true
	}
	return false
}

// answer applies the rules that decide about the answer. One throw of the dice
// is divided among those that match, so that each has its share of the whole.
func (m *Machine) answer(ev Event, l *line, f *Fault) {
	u := m.draw(saltAnswer, l.ordinal, l.requests)
	for i := range m.rules {
		r := &m.rules[i]
		switch r.Fault {
		case KindReject, KindLose, KindSilence, KindResetStream:
		default:
			continue
		}
		if !m.acts(r, ev, l) {
			continue
		}
		if u -= r.share; u >= 0 {
			continue
		}
		r.times++
		switch r.Fault {
		case KindReject:
			f.Answer = Reject
			f.Rejection = rejection(r.Reason, time.Duration(r.Since), time.Duration(r.RetryAfter), ev.Now, r.name(i))
		case KindLose:
			f.Answer = Lose
		case KindSilence:
			f.Answer = Silence
		default:
			f.Answer, f.ResetCode = ResetStream, codeOr(r.Code, internalError)
		}
		return
	}
}

// name returns what logs call the rule.
func (r *rule) name(i int) string {
	if r.Name != "" {
		return r.Name
	}
	return fmt.Sprintf("rules[%d]", i)
}

// acts reports whether a rule is in force and looks at the event.
func (m *Machine) acts(r *rule, ev Event, l *line) bool {
	since := ev.Now.Sub(m.start)
	switch {
	case since < time.Duration(r.From),
		r.Until != 0 && since >= time.Duration(r.Until),
		r.Limit != 0 && r.times >= r.Limit,
		r.Match.Environment != 0 && r.Match.Environment != ev.Environment,
		len(r.Match.Topics) > 0 && !slices.Contains(r.Match.Topics, ev.Topic),
		len(r.Match.Teams) > 0 && !slices.Contains(r.Match.Teams, ev.Team):
		return false
	}
	return r.connections == 1 || m.draw(saltConnection, l.ordinal, 0) < r.connections
}

// What the dice are thrown for, besides each rule by its index.
const (
	saltAnswer     = -1
	saltConnection = -2
	saltLength     = maxRules // and more
)

// draw returns a number from 0 to below 1, by chance but the same each time. It
// depends on nothing that other connections do.
func (m *Machine) draw(salt int, ordinal, request uint64) float64 {
	h := mix(m.plan.Seed)
	for _, v := range [...]uint64{uint64(int64(salt)), ordinal, request} {
		h = mix(h ^ v)
	}
	return float64(h>>11) / (1 << 53)
}

// mix is the step of the generator SplitMix64.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// Times returns how often each rule has acted.
func (m *Machine) Times() []uint64 {
	times := make([]uint64, len(m.rules))
	for i := range m.rules {
		times[i] = m.rules[i].times
	}
	return times
}
