package apnsclient

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/h2"
	"github.com/heraldpush/herald/wire"
)

const (
	// pingAfter is how long a connection may be silent while pushes wait for
	// their answers before a PING asks whether it is still there, and pingTimeout
	// how long the answer may take.
	pingAfter   = 15 * time.Second
	pingTimeout = 15 * time.Second
	// probeAfter is how long a connection may have been silent before a push goes
	// onto it only after a PING was answered: what goes onto a dead one is
	// neither known to have been sent nor not to.
	probeAfter = time.Minute
	// writeTimeout is how long a write may be stuck. Without it a full
	// connection would never get as far as the PING.
	writeTimeout = 15 * time.Second
	// maxAnswerHeaderBytes bounds the header of an answer.
	maxAnswerHeaderBytes = 16 << 10
)

// link is one connection, from its SETTINGS to its end.
type link struct {
	engine  *engine
	id      uint64
	address string
	nc      net.Conn
	conn    *h2.ClientConn
	opened  time.Time
	ready   chan struct{} // closed when the SETTINGS have come
	ended   chan struct{} // closed when err is set and all calls are finished
	err     error         // what ended it; nil for its good order

	// Guarded by the engine's mu.

	used     bool      // it was put among the links
	full     bool      // it had no room when last asked
	going    bool      // it takes no more, and that was told
	limit    int       // as was last told
	proven   bool      // it has brought an answer, other than that it shuts down
	timeouts int       // calls in a row without an answer
	until    time.Time // when it is to be replaced
}

// opening is a connection that is being made.
type opening struct {
	startsAt time.Time
	cancel   context.CancelFunc
	hurry    chan struct{} // closed when there is no time for its pause; nil afterwards
}

// open has a connection made, after the pause that is due. mu is held.
//
//nolint:contextcheck,nolintlint // it is for all pushes, and outlives the one that it is begun for
func (e *engine) open(now time.Time) {
	b := &e.backoff
	if len(e.links) > 0 {
		b = &e.further
	}
	pause := b.pause()
	b.failed() // until an answer shows otherwise
	ctx, cancel := context.WithTimeout(context.Background(), pause+e.timeout)
	hurry := make(chan struct{})
	e.opening = &opening{startsAt: now.Add(pause), cancel: cancel, hurry: hurry}
	e.made++
	id := e.made
	e.running.Go(func() {
		defer cancel()
		e.opened(e.connect(ctx, id, pause, hurry))
	})
}

// connect makes a link after the given pause, or when there is hurry. It waits for
// the gateway's SETTINGS, which say how many pushes it takes at a time, and which
// do not come where it refuses the certificate.
func (e *engine) connect(ctx context.Context, id uint64, pause time.Duration, hurry <-chan struct{}) (*link, error) {
	l := &link{engine: e, id: id, opened: time.Now(), ready: make(chan struct{}), ended: make(chan struct{})}
	if pause > 0 {
		timer := time.NewTimer(pause)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-hurry:
		case <-ctx.Done():
			return l, ctx.Err()
		}
		l.opened = time.Now()
	}
	nc, address, err := e.dialer.dial(ctx)
	if err != nil {
		return l, err
	}
	l.nc, l.address = nc, address
	l.conn = h2.NewClientConn(nc, h2.ClientConfig{
		Finished:           func(calls []*h2.Call) { e.finished(l, calls) },
		Changed:            func() { e.changed(l) },
		Indexed:            indexedFields,
		Wanted:             wantedFields,
		MaxStreams:         e.maxStreams,
		MaxBodyBytes:       e.answerBytes,
		MaxHeaderListBytes: maxAnswerHeaderBytes,
		SettingsTimeout:    e.timeout,
		WriteTimeout:       writeTimeout,
		PingAfter:          pingAfter,
		PingTimeout:        pingTimeout,
		ProbeAfter:         probeAfter,
		IdleTimeout:        e.idleTimeout,
		DrainTimeout:       e.timeout,
	})
	e.running.Go(func() {
		l.err = e.dialer.explain(nc, l.conn.Run(context.WithoutCancel(ctx)))
		close(l.ended)
		e.ended(l)
	})
	select {
	case <-l.ready:
		return l, nil
	case <-l.ended:
		err = l.farewell()
	case <-ctx.Done():
		err = ctx.Err()
	}
	l.conn.GoAway()
	return l, fmt.Errorf("waiting for the gateway's settings: %w", err)
}

// farewell returns why l goes or has ended: the gateway's reason if it gave one,
// else the error, or that it was closed.
func (l *link) farewell() error {
	if r := goAwayReason(l.conn.State().GoAway); r != nil {
		return r
	}
	select {
	case <-l.ended:
		if l.err != nil {
			return l.err
		}
	default:
	}
	return errors.New("the gateway closed the connection")
}

// goAwayReason returns the rejection that a GOAWAY has for its reason
// (docs/protocol/provider.md#goaway), nil if there is none.
func goAwayReason(g *h2.GoAwayError) *apns.Rejection {
	if g == nil {
		return nil
	}
	r := wire.ParseRejection(0, g.DebugData, "")
	if r.Reason == "" {
		return nil
	}
	return apns.Reject(r.Reason, "the gateway ended the connection")
}

// verdict returns why the gateway wants nothing to do with this credential: an
// *apns.Rejection or a *CertificateError. It is nil if err says no such thing,
// so that another connection may fare better.
func verdict(err error) error {
	if refused, ok := errors.AsType[*CertificateError](err); ok {
		return refused
	}
	if g, ok := errors.AsType[*h2.GoAwayError](err); ok {
		if r := goAwayReason(g); r != nil {
			err = r
		}
	}
	if r, ok := errors.AsType[*apns.Rejection](err); ok && outcomeOfRejection(r) == ProviderFault {
		return r
	}
	return nil
}

// opened takes a connection that was made, or the error that it was not.
func (e *engine) opened(l *link, err error) {
	now := time.Now()
	e.mu.Lock()
	if err == nil && l.going {
		err = l.farewell()
	}
	e.unlock()
	e.tell(ConnectionEvent{Kind: Opened, Connection: l.id, Address: l.address, Limit: l.streams(), Duration: now.Sub(l.opened), Err: err})
	e.mu.Lock()
	defer e.unlock()
	e.opening = nil
	switch {
	case err != nil:
		e.notOpened(err)
		e.dispatch(now)
		return
	case l.going || e.closed && e.all.count == 0:
		l.conn.GoAway()
		e.dispatch(now)
		return
	}
	l.used, l.limit = true, l.streams()
	l.until = now.Add(spread(e.maxAge, nil))
	e.links = append(e.links, l)
	for _, old := range e.links {
		if now.After(old.until) {
			e.retire(old)
			break
		}
	}
	e.dispatch(now)
}

// notOpened ends what waits if there is no hope, or if enough connections have
// failed while it waited.
func (e *engine) notOpened(err error) {
	e.noted(err)
	if len(e.links) > 0 {
		return // others serve it
	}
	e.failures++
	unsent := &UnsentError{Host: e.addr, Err: err}
	// What is not trusted now is not trusted in a second either.
	_, untrusted := errors.AsType[*tls.CertificateVerificationError](err)
	e.failWaiting(unsent, func(f *flight) bool { return untrusted || e.failures-f.dials >= e.retry.Attempts })
}

// streams returns how many pushes l takes at a time, 0 if it was not made.
func (l *link) streams() int {
	if l.conn == nil {
		return 0
	}
	return l.conn.State().Limit
}

// changed is told that l may have more room, or goes.
func (e *engine) changed(l *link) {
	state := l.conn.State()
	if state.Settled {
		select {
		case <-l.ready:
		default:
			close(l.ready) // changed is called by one goroutine at a time
		}
	}
	event := ConnectionEvent{Connection: l.id, Address: l.address, Limit: state.Limit}
	e.mu.Lock()
	switch {
	case state.Going:
		if e.drop(l) {
			event.Kind = GoingAway
			if r := goAwayReason(state.GoAway); r != nil {
				event.Reason = r.Reason
				e.noted(r)
			}
		}
	case l.used && state.Limit != l.limit:
		event.Kind, l.limit = LimitChanged, state.Limit
	}
	l.full = false
	e.dispatch(time.Now())
	e.unlock()
	if event.Kind != 0 {
		e.tell(event)
	}
}

// drop takes l out of those that take pushes, and reports whether it was in use
// until now. mu is held.
func (e *engine) drop(l *link) bool {
	l.going = true
	for i, other := range e.links {
		if other == l {
			e.links = append(e.links[:i], e.links[i+1:]...)
			e.hurry(l)
			return true
		}
	}
	return false
}

// hurry ends the pause of a connection that was to be a further one, if l was the
// last that there was, and served.
func (e *engine) hurry(l *link) {
	if o := e.opening; o != nil && o.hurry != nil && len(e.links) == 0 && l.proven {
		close(o.hurry)
		o.hurry, o.startsAt = nil, time.Now()
	}
}

// retire keeps further pushes off l; it closes when those on it are done. mu is
// held.
func (e *engine) retire(l *link) {
	e.drop(l)
	l.conn.GoAway()
}

// rotate replaces a link that is old. mu is held.
func (e *engine) rotate(now time.Time) {
	if e.opening != nil || e.closed {
		return
	}
	for _, l := range e.links {
		if now.After(l.until) {
			e.open(now)
			return
		}
	}
}

// ended is told that l has ended.
func (e *engine) ended(l *link) {
	now := time.Now()
	err := l.err
	if err != nil {
		err = l.farewell()
	}
	e.mu.Lock()
	e.drop(l)
	used := l.used
	if used && err != nil {
		e.noted(err)
	}
	e.dispatch(now)
	e.unlock()
	if used {
		e.tell(ConnectionEvent{Kind: Closed, Connection: l.id, Address: l.address, Duration: now.Sub(l.opened), Err: err})
	}
}

// noted notes what ended a connection, and ends what waits if another one would end
// the same way. mu is held.
func (e *engine) noted(err error) {
	e.last = err
	if refused := verdict(err); refused != nil && len(e.links) == 0 {
		e.failWaiting(refused, func(*flight) bool { return true })
	}
}

// tell tells the hook of an event. mu is not held.
func (e *engine) tell(event ConnectionEvent) {
	if event.Kind == Opened && event.Err != nil {
		event.Kind = Failed
	}
	if e.hooks.Connection != nil {
		e.hooks.Connection(event)
	}
}
