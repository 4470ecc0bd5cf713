package gateway

import (
	"context"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/faults"
	"github.com/heraldpush/herald/h2"
	"github.com/heraldpush/herald/portal"
	"github.com/heraldpush/herald/spool"
	"github.com/heraldpush/herald/wire"
)

// Faults decides about faults on demand. It is asked when a connection is opened,
// for each push that passed the checks of its credential, headers and payload,
// and told when a connection has ended. It is safe for concurrent use and answers
// at once. See package faults.
type Faults interface {
	Decide(ev faults.Event) faults.Fault
}

// flight is a connection that may meet faults on demand. The methods of a nil
// flight, which meets none, do nothing.
type flight struct {
	faults Faults
	number uint64
	raw    net.Conn
	hole   *hole         // nil if the connection cannot become one
	first  faults.Fault  // what it met when it was opened
	limit  atomic.Uint32 // of streams; zero means as many as ever

	mu      sync.Mutex
	ended   bool               // nothing is held any more; guarded by mu
	held    map[*held]struct{} // no more than the connection has streams; guarded by mu
	letting sync.WaitGroup     // what was held and is being let go
}

// held is a request that waits.
type held struct {
	timer *time.Timer
	drop  func() // called instead when the connection ends first
}

// takeOff asks what a new connection meets. It returns a nil flight if there are
// no faults, and nil for the connection if that came to its end here.
func (g *Gateway) takeOff(ctx context.Context, raw net.Conn, env apns.Environment) (*flight, net.Conn) {
	if g.cfg.Faults == nil {
		return nil, raw
	}
	f := &flight{faults: g.cfg.Faults, number: g.flights.Add(1), raw: raw, held: make(map[*held]struct{})}
	f.first = f.faults.Decide(faults.Event{Kind: faults.Opened, Now: time.Now(), Number: f.number, Environment: env})
	if f.first.Line != faults.Steady || f.first.StreamLimit > 0 {
		g.cfg.Logger.DebugContext(ctx, "connection meets a fault on demand", slog.String("remote", raw.RemoteAddr().String()), slog.Any("fault", f.first))
	}
	switch f.first.Line {
	case faults.ResetConnection:
		f.reset()
		f.land()
		return nil, nil
	case faults.BlackHole:
		swallow(ctx, raw)
		f.land()
		return nil, nil
	case faults.Steady, faults.GoAway:
	}
	f.limit.Store(f.first.StreamLimit)
	if f.first.MayVanish {
		f.hole = &hole{Conn: raw}
		return f, f.hole
	}
	return f, raw
}

// swallow reads what comes and answers nothing, until the peer has enough of it.
func swallow(ctx context.Context, raw net.Conn) {
	defer context.AfterFunc(ctx, func() { _ = raw.Close() })()
	defer func() { _ = raw.Close() }()
	if raw.SetReadDeadline(time.Now().Add(faults.MaxDelay)) == nil {
		_, _ = io.Copy(io.Discard, raw) // however it ends, it has
	}
}

// land says that the connection has ended.
func (f *flight) land() {
	if f != nil {
		f.faults.Decide(faults.Event{Kind: faults.Closed, Now: time.Now(), Number: f.number})
	}
}

// reset ends the connection in the way of a machine that knows nothing of it.
func (f *flight) reset() {
	if c, ok := f.raw.(interface{ SetLinger(seconds int) error }); ok {
		_ = c.SetLinger(0) // else it ends more politely
	}
	_ = f.raw.Close()
}

// capped returns n, or the limit of streams if that is lower.
func (f *flight) capped(n uint32) uint32 {
	if f == nil {
		return n
	}
	if limit := f.limit.Load(); limit > 0 {
		return min(n, limit)
	}
	return n
}

// turnAway tells a connection that was met when it was opened that it has to go.
func (f *flight) turnAway(c *h2.Conn) {
	if f != nil && f.first.Line == faults.GoAway {
		c.Refuse(http2.ErrCode(f.first.GoAwayCode), wire.AppendRejection(nil, apns.Reject(f.first.GoAwayReason, "")))
	}
}

// hold has do called after a time, on another goroutine, or drop if the connection
// ends before. Both are quick.
func (f *flight) hold(d time.Duration, do, drop func()) {
	f.mu.Lock()
	if f.ended {
		f.mu.Unlock()
		drop()
		return
	}
	defer f.mu.Unlock()
	f.letting.Add(1)
	h := &held{drop: drop}
	f.held[h] = struct{}{}
	h.timer = time.AfterFunc(d, func() {
		defer f.letting.Done()
		f.mu.Lock()
		_, mine := f.held[h]
		delete(f.held, h)
		f.mu.Unlock()
		if mine {
			do()
		}
	})
}

// end drops all that is held, and waits for what is being let go.
func (f *flight) end() {
	if f == nil {
		return
	}
	f.mu.Lock()
	f.ended = true
	all := f.held
	f.held = nil
	f.mu.Unlock()
	for h := range all {
		if h.timer.Stop() {
			f.letting.Done()
		}
		h.drop()
	}
	f.letting.Wait()
}

// serveFaulty asks what a push meets, and has it meet that, or puts it in the
// queue. One that meets a fault may be held, so it gets copies of what its request
// does not have.
func (s *session) serveFaulty(r *h2.Request, o *spool.Offering, sender *portal.Sender) {
	s.binding.claim(sender)
	if f := s.meet(sender, o); !f.IsNone() {
		diverted := *o
		diverted.DeviceToken = apns.DeviceToken(strings.Clone(string(o.DeviceToken)))
		diverted.Notification.ID = apns.NotificationID(strings.Clone(string(o.Notification.ID)))
		s.divert(r, diverted, f)
		return
	}
	s.queue.add(r, o)
}

// meet asks what a push meets.
func (s *session) meet(sender *portal.Sender, o *spool.Offering) faults.Fault {
	return s.flight.faults.Decide(faults.Event{
		Kind: faults.Requested, Now: time.Now(), Number: s.flight.number, Environment: s.env,
		Topic: o.Notification.Topic, Team: sender.Team, DeviceToken: o.DeviceToken, IssuedAt: sender.IssuedAt,
	})
}

// divert does to a push, which has claimed the connection for its sender, and to
// the connection what a fault says.
func (s *session) divert(r *h2.Request, o spool.Offering, f faults.Fault) {
	if s.log.Enabled(context.Background(), slog.LevelDebug) {
		s.log.Debug("push meets a fault on demand", slog.String("apns-id", string(o.Notification.ID)), slog.Any("fault", f))
	}
	if f.StreamLimit > 0 {
		s.flight.limit.Store(f.StreamLimit)
		s.conduct.restate()
	}
	switch f.Line {
	case faults.Steady:
	case faults.GoAway:
		s.goAway(http2.ErrCode(f.GoAwayCode), f.GoAwayReason)
	case faults.ResetConnection:
		s.flight.reset()
		s.abandon(r, http2.ErrCodeCancel)
		return
	case faults.BlackHole:
		s.flight.hole.vanish()
		s.binding.settle(1, false)
		r.Neglect()
		return
	}
	if f.Delay > 0 {
		s.flight.hold(f.Delay, func() { s.settleFault(r, o, f) }, func() { s.abandon(r, http2.ErrCodeCancel) })
		return
	}
	s.settleFault(r, o, f)
}

// settleFault does to a push what its fault says of the answer.
func (s *session) settleFault(r *h2.Request, o spool.Offering, f faults.Fault) {
	switch f.Answer {
	case faults.Reject:
		s.binding.settle(1, false)
		s.refuse(context.Background(), r, &o, f.Rejection)
	case faults.Lose:
		s.binding.settle(1, true)
		s.conduct.accept(1, time.Now())
		s.accept(context.Background(), r, &o, time.Now(), new(uuids))
	case faults.ResetStream:
		s.abandon(r, http2.ErrCode(f.ResetCode))
	case faults.Silence:
		s.binding.settle(1, false)
		r.Neglect()
	case faults.Usual:
		s.queue.add(r, &o)
	}
}

// abandon resets a push that claimed the connection.
func (s *session) abandon(r *h2.Request, code http2.ErrCode) {
	s.binding.settle(1, false)
	r.Reset(code)
}

// restate tells the provider its stream limit once more, as a fault may have capped
// it.
func (c *conduct) restate() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.setStreams(c.streams)
}

// goAway ends the connection in good order, with a code of its own.
func (s *session) goAway(code http2.ErrCode, why apns.Reason) {
	s.departure.beginWith(code, wire.AppendRejection(nil, apns.Reject(why, "")))
}

// hole is a network connection that can vanish: from then on all that comes is
// thrown away, and nothing goes out.
type hole struct {
	net.Conn
	vanished atomic.Bool
}

func (h *hole) vanish() { h.vanished.Store(true) }

// Read reads what came before the connection vanished.
func (h *hole) Read(p []byte) (int, error) {
	for {
		n, err := h.Conn.Read(p)
		if err != nil || !h.vanished.Load() {
			return n, err
		}
	}
}

// Write writes, or seems to.
func (h *hole) Write(p []byte) (int, error) {
	if h.vanished.Load() {
		return len(p), nil
	}
	return h.Conn.Write(p)
}
