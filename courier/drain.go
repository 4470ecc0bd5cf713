package courier

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/heraldpush/herald/wire"
)

// partingTime is how long a device may take to leave that was told to.
const partingTime = time.Second

// drainReason is the reason in a Redirect of a courier that drains.
const drainReason = "drain"

// roster is the sessions there are. The zero roster is empty.
type roster struct {
	mu    sync.Mutex
	all   map[*session]struct{} // guarded by mu
	empty chan struct{}         // closed when the last one leaves; nil if nobody waits; guarded by mu
}

func (r *roster) enter(s *session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.all == nil {
		r.all = make(map[*session]struct{})
	}
	r.all[s] = struct{}{}
}

func (r *roster) leave(s *session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.all, s)
	if len(r.all) == 0 && r.empty != nil {
		close(r.empty)
		r.empty = nil
	}
}

// emptied returns a channel that is closed when there is no session, the next
// time.
func (r *roster) emptied() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	empty := make(chan struct{})
	if len(r.all) == 0 {
		close(empty)
	} else {
		r.empty = empty
	}
	return empty
}

func (r *roster) has(s *session) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, ok := r.all[s]
	return ok
}

// byIdleness returns the sessions, the one first that was silent for longest.
func (r *roster) byIdleness() []*session {
	type idle struct {
		session *session
		since   time.Time
	}
	r.mu.Lock()
	list := make([]idle, 0, len(r.all))
	for s := range r.all {
		list = append(list, idle{s, s.seenAt()})
	}
	r.mu.Unlock()
	slices.SortFunc(list, func(a, b idle) int { return a.since.Compare(b.since) })
	sessions := make([]*session, len(list))
	for i, one := range list {
		sessions[i] = one.session
	}
	return sessions
}

// drain has the devices leave, spread over Config.DrainSpread: first those that
// are silent for longest, last those that have something to acknowledge. It
// returns when all have been let go, or when ctx ends
// (docs/protocol/courier.md#drain).
func (c *Courier) drain(ctx context.Context) {
	c.draining.Store(true)
	began, spread := time.Now(), c.cfg.DrainSpread
	sessions := c.sessions.byIdleness()
	c.cfg.Logger.InfoContext(ctx, "courier drains", slog.Int("devices", len(sessions)), slog.Duration("spread", spread))
	part := func(s *session) {
		if c.sessions.has(s) {
			s.on.part()
		}
	}
	var busy []*session
	for i, s := range sessions {
		if !sleepUntil(ctx, began.Add(spread*time.Duration(i)/time.Duration(len(sessions)))) {
			return
		}
		if s.busy() {
			busy = append(busy, s)
			continue
		}
		part(s)
	}
	if len(busy) > 0 && !sleepUntil(ctx, began.Add(spread)) {
		return
	}
	for _, s := range busy {
		part(s)
	}
	last := time.NewTimer(partingTime)
	defer last.Stop()
	select {
	case <-c.sessions.emptied():
	case <-last.C:
	case <-ctx.Done():
	}
}

// sleepUntil waits for a time. It reports false if ctx ended before.
func sleepUntil(ctx context.Context, at time.Time) bool {
	timer := time.NewTimer(time.Until(at))
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// seenAt returns when the last frame came. It may be called from any goroutine.
func (s *session) seenAt() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.life.seenAt
}

// busy reports whether the device has something to acknowledge. It may be called
// from any goroutine.
func (s *session) busy() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.life.unacked) > 0
}

// part tells the device to leave, in the words that it knows, which are appended
// to out; after partingTime its connection ends. After an error it is to be
// closed at once.
func (s *session) part(now time.Time, out []byte) ([]byte, error) {
	words := s.farewell()
	if len(words) == 0 {
		return out, errDraining
	}
	s.partBy = now.Add(partingTime)
	return append(out, words...), nil
}

// farewell returns what a device is told that is to leave.
func (s *session) farewell() []byte {
	s.mu.Lock()
	waits := !s.life.respondAt.IsZero()
	s.mu.Unlock()
	var b []byte
	if waits { // it would trust in a response that does not come
		b = wire.CancelKeepAlive{}.Append(b)
	}
	m := wire.Redirect{Host: s.courier.cfg.RedirectHost, Reason: drainReason}
	if s.herald {
		if m.HasRetryAfter = true; m.Host == "" {
			m.RetryAfter = s.courier.cfg.DrainSpread
		}
	}
	if m.Host != "" || m.HasRetryAfter {
		b = m.Append(b)
	}
	return b
}

// partingError says that a device cannot be accepted now, which is no fault of
// its own: it is sent the frames, if there are any, and the connection is to be
// closed.
type partingError struct {
	err    error
	frames []byte
}

func (e *partingError) Error() string { return e.err.Error() }

var errDraining = errors.New("the courier drains")

// refuseDraining returns the error for a Connect while the courier drains.
func (g greeting) refuseDraining(now time.Time) error {
	e := &partingError{err: errDraining}
	switch cfg := &g.courier.cfg; {
	case cfg.RedirectHost != "":
		ack := connectAck(wire.StatusAccepted, now)
		ack.RedirectHost, ack.RedirectReason = cfg.RedirectHost, drainReason
		e.frames = ack.Append(nil)
	case g.herald:
		e.frames = wire.Redirect{Reason: drainReason, RetryAfter: cfg.DrainSpread, HasRetryAfter: true}.Append(nil)
	}
	return e
}

// gate is a listener that can stop to accept, and yet not end.
type gate struct {
	net.Listener
	once   sync.Once
	shut   chan struct{} // closed by stop
	closed chan struct{} // closed by Close
}

func newGate(l net.Listener) *gate {
	return &gate{Listener: l, shut: make(chan struct{}), closed: make(chan struct{})}
}

// stop has nothing more accepted.
func (g *gate) stop() {
	close(g.shut)
	_ = g.Listener.Close()
}

// Accept fails only by Close after stop was called.
func (g *gate) Accept() (net.Conn, error) {
	c, err := g.Listener.Accept()
	if err == nil {
		return c, nil
	}
	select {
	case <-g.shut:
		<-g.closed
		return nil, net.ErrClosed
	default:
		return nil, err
	}
}

func (g *gate) Close() error {
	g.once.Do(func() { close(g.closed) })
	return g.Listener.Close()
}
