package scripted

import (
	"cmp"
	"encoding/binary"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"time"

	"golang.org/x/net/http2"

	"github.com/heraldpush/herald/apns"
)

// Weather is what goes wrong at random, for long runs: each rate is the part of
// pushes or connections that it happens to, from 0 to 1. What happens to a push
// depends on nothing but the seed, its device token, its apns-id and which attempt
// it is, and what happens to a connection on nothing but the seed and its number: so
// the same seed brings the same weather, in whatever order things come. The zero
// value is fine weather.
type Weather struct {
	// Seed chooses one weather of all those with these rates.
	Seed uint64

	// Of the pushes.

	// Refuse is the rate of answers that refuse, each with one of Reasons.
	Refuse float64
	// Reasons are those that Refuse takes. Nil stands for reasons that pass:
	// TooManyRequests, InternalServerError, ServiceUnavailable and Shutdown.
	Reasons []apns.Reason
	// RefuseStream is the rate of REFUSED_STREAM.
	RefuseStream float64
	// Silence is the rate of pushes that are not processed and never answered, and
	// Unanswered of those that are processed and never answered.
	Silence, Unanswered float64
	// Half is the rate of answers that are cut off behind their header fields. The
	// pushes are processed.
	Half float64
	// Broken is the rate of streams reset with INTERNAL_ERROR: half of these pushes are
	// processed.
	Broken float64
	// Then is the rate of answers behind which something happens to the connection:
	// one of GOAWAY in all forms, closing, cutting a frame, a TCP reset and refusing
	// all that is open.
	Then float64
	// MaxDelay bounds the delay of the answers, which is random. Zero: none.
	MaxDelay time.Duration

	// Of the connections.

	// RefuseDial is the rate of connections that are closed when they were
	// accepted, and FailHandshake of those whose TLS handshake fails.
	RefuseDial, FailHandshake float64
	// Ramp is the rate of connections that begin with one stream until the first push
	// was accepted.
	Ramp float64
	// Swing is the rate of connections whose limit of streams falls to 1 on the way,
	// and rises again later.
	Swing float64
	// Slow is the rate of connections whose SETTINGS come late and that are read
	// slowly, 16 KiB in 10 ms.
	Slow float64
	// Vanish is the rate of connections that after some pushes neither read nor
	// write any more.
	Vanish float64
	// Streams is the limit of streams. Zero stands for 1,000.
	Streams int
}

// passing are the reasons that a sender may try again after.
var passing = []apns.Reason{apns.TooManyRequests, apns.InternalServerError, apns.ServiceUnavailable, apns.Shutdown}

// Weather sets a weather, in place of what OnPush and OnConnect said.
func (g *Gateway) Weather(w Weather) {
	g.OnPush(w.Reply)
	g.OnConnect(w.Script)
}

// Reply is the reply to a push in this weather: something for [Gateway.OnPush].
func (w Weather) Reply(p Push) Reply {
	key := p.Key()
	var attempt [8]byte
	binary.BigEndian.PutUint64(attempt[:], uint64(p.Attempt))
	dice := w.dice("push", []byte(key.DeviceToken), []byte(key.ID), attempt[:])
	r := w.outcome(dice)
	if w.MaxDelay > 0 {
		r = r.Delay(time.Duration(dice.Int64N(int64(w.MaxDelay))))
	}
	if dice.Float64() < w.Then {
		r = r.Then(endings[dice.IntN(len(endings))])
	}
	return r
}

// endings are what happens to a connection behind an answer.
var endings = []Action{
	GoAway{},
	GoAway{AtOnce: true},
	GoAway{LeaveOut: 3},
	GoAway{LeaveOut: -1, Code: http2.ErrCodeRefusedStream, Reason: apns.ServiceUnavailable},
	GoAway{Close: true, Code: http2.ErrCodeInternal, Reason: apns.InternalServerError},
	Close, HalfClose, CutFrame, Reset, RefuseOpen,
}

// outcome is what of the rates comes to pass: one at the most.
func (w Weather) outcome(dice *rand.Rand) Reply {
	x := dice.Float64()
	hit := func(rate float64) bool {
		x -= rate
		return x < 0
	}
	switch {
	case hit(w.Refuse):
		reasons := w.Reasons
		if len(reasons) == 0 {
			reasons = passing
		}
		return Refuse(reasons[dice.IntN(len(reasons))])
	case hit(w.RefuseStream):
		return RefuseStream()
	case hit(w.Silence):
		return Silence()
	case hit(w.Unanswered):
		return Accept().Unanswered()
	case hit(w.Half):
		return Accept().Half()
	case hit(w.Broken / 2):
		return Break(http2.ErrCodeInternal)
	case hit(w.Broken / 2):
		return Accept().Broken(http2.ErrCodeInternal)
	}
	return Accept()
}

// Script is how a connection goes in this weather: something for
// [Gateway.OnConnect].
func (w Weather) Script(n int) Script {
	var number [8]byte
	binary.BigEndian.PutUint64(number[:], uint64(n))
	dice := w.dice("connection", number[:])
	s := Script{Streams: w.Streams}
	hit := func(rate float64) bool { return dice.Float64() < rate }
	s.Refuse = hit(w.RefuseDial)
	if hit(w.FailHandshake) {
		s.Handshake = HandshakeAlert + Handshake(dice.IntN(2))
	}
	if hit(w.Ramp) {
		s.Streams = 1
		s.Steps = append(s.Steps, Step{Accepted: 1, Do: Streams(streams(w.Streams))})
	}
	if hit(w.Swing) {
		low := 2 + dice.IntN(100)
		s.Steps = append(
			s.Steps,
			Step{Begun: low, Do: Streams(1)},
			Step{Begun: low + 1 + dice.IntN(20), Do: Streams(streams(w.Streams))},
		)
	}
	if hit(w.Slow) {
		s.SettingsDelay = time.Duration(1+dice.IntN(1000)) * time.Millisecond
		s.Read = Pace{16 << 10, 10 * time.Millisecond}
	}
	if hit(w.Vanish) {
		s.Steps = append(s.Steps, Step{Begun: 1 + dice.IntN(200), Do: Vanish})
	}
	slices.SortStableFunc(s.Steps, func(a, b Step) int { return cmp.Compare(a.Begun, b.Begun) })
	return s
}

// dice returns random numbers that depend on the seed and the words alone.
func (w Weather) dice(kind string, words ...[]byte) *rand.Rand {
	sum := fnv.New64a()
	sum.Write([]byte(kind)) // it never fails, here and below
	for _, word := range words {
		sum.Write([]byte{0})
		sum.Write(word)
	}
	return rand.New(rand.NewPCG(w.Seed, sum.Sum64()))
}
