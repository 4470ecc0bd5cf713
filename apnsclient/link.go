package apnsclient

import (
	"context"
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// The pause before a connection is tried again doubles from the first to the
// second, until one has brought an answer.
const (
	minPause = time.Second
	maxPause = time.Minute
)

// link is one connection.
type link struct {
	cc       *clientConn
	conn     *watched
	timeouts atomic.Int32 // pushes in a row without an answer
}

// usable reports whether l takes further pushes, now or when one under way is
// answered.
func (l *link) usable() bool {
	s := l.cc.State()
	full := s.StreamsActive+s.StreamsReserved+s.StreamsPending >= int(s.MaxConcurrentStreams)
	return !s.Closed && !s.Closing && (full || l.cc.CanTakeNewRequest())
}

// retire keeps further pushes off l; it closes when those under way are done.
func (l *link) retire() { l.cc.SetDoNotReuse() }

// dialing is a connection that is being made, which any number of pushes wait
// for.
type dialing struct {
	startsAt time.Time
	cancel   context.CancelFunc
	done     chan struct{} // closed when link or err is set
	link     *link
	err      error
}

// take returns a usable link, and has one made where there is none.
func (e *engine) take(ctx context.Context) (*link, error) {
	for {
		e.mu.Lock()
		if e.closed {
			e.mu.Unlock()
			return nil, ErrClosed
		}
		if l := e.current; l != nil && l.usable() {
			e.mu.Unlock()
			return l, nil
		}
		if e.dialling == nil {
			e.startDialing(ctx)
		}
		d, last := e.dialling, e.last
		e.mu.Unlock()
		if deadline, ok := ctx.Deadline(); ok && d.startsAt.After(deadline) {
			return nil, after(fmt.Errorf("not connecting again before %s", d.startsAt.UTC().Format(time.RFC3339)), last)
		}
		select {
		case <-d.done:
		case <-ctx.Done():
			return nil, after(fmt.Errorf("connecting: %w", ctx.Err()), last)
		}
		if d.err != nil {
			return nil, d.err
		}
		if err := d.link.conn.verdict(); err != nil {
			return nil, err
		}
	}
}

// after returns err with what went before it, which may be nil.
func after(err, last error) error {
	if last == nil {
		return err
	}
	return fmt.Errorf("%w, after: %w", err, last)
}

// startDialing replaces what is left of the current link. The caller holds mu.
func (e *engine) startDialing(ctx context.Context) {
	// What is begun here is for all who wait, and outlives the first of them.
	lasting := context.WithoutCancel(ctx)
	if old := e.current; old != nil {
		e.current, e.last = nil, old.conn.cause()
		e.running.Go(func() { old.shutdown(lasting, e.timeout) })
	}
	pause := e.pause()
	dialCtx, cancel := context.WithTimeout(lasting, pause+e.timeout)
	d := &dialing{startsAt: time.Now().Add(pause), cancel: cancel, done: make(chan struct{})}
	e.dialling = d
	e.unproven++
	e.running.Go(func() {
		defer cancel()
		l, err := e.connect(dialCtx, pause)
		e.mu.Lock()
		defer e.mu.Unlock()
		d.link, d.err = l, err
		e.dialling, e.last, e.current = nil, err, l
		close(d.done)
	})
}

// pause returns how long to wait before the next try. The caller holds mu.
func (e *engine) pause() time.Duration {
	if e.unproven == 0 {
		return 0
	}
	d := min(minPause<<min(e.unproven-1, 10), maxPause)
	return d/2 + rand.N(d/2)
}

// retire has the next push go over a new link.
func (e *engine) retire() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.current != nil {
		e.current.retire()
	}
}

// proven says that l brought an answer.
func (e *engine) proven(l *link) {
	l.timeouts.Store(0)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.unproven = 0
}

// connect makes a link after the given pause. It waits for the gateway's
// SETTINGS, which say how many pushes it takes at a time, and which do not
// come where it refuses the certificate.
func (e *engine) connect(ctx context.Context, pause time.Duration) (*link, error) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	raw, err := e.dialRaw(ctx, "tcp", e.addr)
	if err != nil {
		return nil, fmt.Errorf("connecting: %w", err)
	}
	secure := tls.Client(raw, e.tls)
	if err := secure.HandshakeContext(ctx); err != nil {
		raw.Close() // the handshake's error says more
		return nil, fmt.Errorf("TLS handshake: %w", certificateError(err, e.name))
	}
	conn := newWatched(secure, e.name)
	cc, err := e.transport.newClientConn(conn)
	if err != nil {
		conn.Close() // it could not be written to
		return nil, fmt.Errorf("HTTP/2: %w", err)
	}
	select {
	case <-conn.ready:
		return &link{cc: cc, conn: conn}, nil
	case <-conn.ended:
		err = conn.cause()
	case <-ctx.Done():
		err = ctx.Err()
	}
	cc.Close() // there is no use for it
	return nil, fmt.Errorf("waiting for the gateway's settings: %w", err)
}

// shutdown closes l when the pushes under way are answered, or after the given
// time.
func (l *link) shutdown(ctx context.Context, limit time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if l.cc.Shutdown(ctx) != nil {
		l.cc.Close() // the gateway is gone already
	}
	select { // the engine's reader ends
	case <-l.conn.ended:
	case <-ctx.Done():
	}
}

// close ends the engine. No push is under way, and none comes.
func (e *engine) close() {
	e.mu.Lock()
	e.closed = true
	l, d := e.current, e.dialling
	e.current = nil
	e.mu.Unlock()
	if d != nil {
		d.cancel()
	}
	if l != nil {
		l.shutdown(context.Background(), closeTimeout)
	}
	e.running.Wait()
	e.mu.Lock()
	l, e.current = e.current, nil
	e.mu.Unlock()
	if l != nil { // made while the engine was being closed
		l.shutdown(context.Background(), closeTimeout)
	}
}
