// Package memnet is a network in memory: buffered connections with deadlines,
// and listeners found by address, without a port or a file descriptor.
//
// It behaves like TCP where a protocol can tell: writes are buffered up to a
// bound and then block, a half-closed side can still be read, closing ends
// both. All waiting is on channels, so inside a testing/synctest bubble a
// blocked reader counts as idle and virtual time goes on.
package memnet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// bufferBytes is how much a side may write ahead of its reader, about what a
// kernel's socket buffers hold on loopback.
const bufferBytes = 256 << 10

// Network is a set of listeners that can dial each other. The zero value is
// ready for use.
type Network struct {
	mu        sync.Mutex
	listeners map[string]*Listener // by address; guarded by mu
	port      int                  // last port given out; guarded by mu
}

// Listen announces at address, "host:port". Port 0 takes a free one. It
// returns an error wrapping syscall.EADDRINUSE if the address is taken.
func (n *Network) Listen(address string) (*Listener, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("listening in memory: %w", err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if port == "0" {
		n.port++
		port = strconv.Itoa(49151 + n.port)
	}
	a := Addr(net.JoinHostPort(host, port))
	if _, taken := n.listeners[string(a)]; taken {
		return nil, &net.OpError{Op: "listen", Net: a.Network(), Addr: a, Err: syscall.EADDRINUSE}
	}
	l := &Listener{network: n, addr: a, incoming: make(chan net.Conn), closed: make(chan struct{})}
	if n.listeners == nil {
		n.listeners = make(map[string]*Listener)
	}
	n.listeners[string(a)] = l
	return l, nil
}

// DialContext connects to the listener at address. It has the form of
// net.Dialer.DialContext; the network is not looked at.
func (n *Network) DialContext(ctx context.Context, _, address string) (net.Conn, error) {
	n.mu.Lock()
	l := n.listeners[address]
	n.mu.Unlock()
	refused := &net.OpError{Op: "dial", Net: "mem", Addr: Addr(address), Err: syscall.ECONNREFUSED}
	if l == nil {
		return nil, refused
	}
	near, far := pipe(Addr("memory:0"), l.addr)
	select {
	case l.incoming <- far:
		return near, nil
	case <-l.closed:
		return nil, refused
	case <-ctx.Done():
		return nil, &net.OpError{Op: "dial", Net: "mem", Addr: Addr(address), Err: ctx.Err()}
	}
}

// Listener accepts what is dialled to its address.
type Listener struct {
	network  *Network
	addr     Addr
	incoming chan net.Conn
	once     sync.Once
	closed   chan struct{}
}

// Accept waits for the next connection. It returns net.ErrClosed after Close.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.incoming:
		return c, nil
	case <-l.closed:
		return nil, &net.OpError{Op: "accept", Net: "mem", Addr: l.addr, Err: net.ErrClosed}
	}
}

// Close frees the address and ends Accept. Accepted connections live on.
func (l *Listener) Close() error {
	l.once.Do(func() {
		close(l.closed)
		l.network.mu.Lock()
		defer l.network.mu.Unlock()
		delete(l.network.listeners, string(l.addr))
	})
	return nil
}

// Addr returns the address announced at.
func (l *Listener) Addr() net.Addr { return l.addr }

// Addr is an address of a Network, "host:port".
type Addr string

// Network returns "mem".
func (Addr) Network() string { return "mem" }

// String returns the address.
func (a Addr) String() string { return string(a) }

// Pipe returns the two ends of a connection that was never dialled.
func Pipe() (net.Conn, net.Conn) { return pipe(Addr("memory:1"), Addr("memory:2")) }

func pipe(a, b Addr) (near, far net.Conn) {
	ab, ba := newStream(), newStream()
	return &conn{in: ba, out: ab, local: a, remote: b}, &conn{in: ab, out: ba, local: b, remote: a}
}

// conn is one end of a connection.
type conn struct {
	in, out       *stream
	local, remote Addr
}

func (c *conn) Read(p []byte) (int, error) { n, err := c.in.read(p); return n, c.wrap("read", err) }

func (c *conn) Write(p []byte) (int, error) { n, err := c.out.write(p); return n, c.wrap("write", err) }
func (c *conn) LocalAddr() net.Addr         { return c.local }
func (c *conn) RemoteAddr() net.Addr        { return c.remote }

// CloseWrite ends what this side writes; it can still read.
func (c *conn) CloseWrite() error { c.out.endWriting(); return nil }

func (c *conn) Close() error {
	c.out.endWriting()
	c.in.endReading()
	return nil
}

func (c *conn) SetReadDeadline(t time.Time) error  { c.in.readers.set(t); return nil }
func (c *conn) SetWriteDeadline(t time.Time) error { c.out.writers.set(t); return nil }
func (c *conn) SetDeadline(t time.Time) error {
	c.in.readers.set(t)
	c.out.writers.set(t)
	return nil
}

func (c *conn) wrap(op string, err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	return &net.OpError{Op: op, Net: "mem", Source: c.local, Addr: c.remote, Err: err}
}

// stream is one direction of a connection.
type stream struct {
	readers, writers deadline

	mu      sync.Mutex
	buffer  []byte        // written and not yet read; guarded by mu
	ended   bool          // the writer has closed; guarded by mu
	gone    bool          // the reader has closed; guarded by mu
	changed chan struct{} // closed and replaced at every change; guarded by mu
}

func newStream() *stream {
	return &stream{changed: make(chan struct{}), readers: newDeadline(), writers: newDeadline()}
}

// change wakes whoever waits. The caller holds mu.
func (s *stream) change() {
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *stream) endWriting() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	s.change()
}

func (s *stream) endReading() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gone = true
	s.change()
}

func (s *stream) read(p []byte) (int, error) {
	for {
		s.mu.Lock()
		changed := s.changed
		switch {
		case s.gone:
			s.mu.Unlock()
			return 0, net.ErrClosed
		case s.readers.passed():
			s.mu.Unlock()
			return 0, os.ErrDeadlineExceeded
		case len(s.buffer) > 0:
			n := copy(p, s.buffer)
			if s.buffer = s.buffer[n:]; len(s.buffer) == 0 {
				s.buffer = nil
			}
			s.change()
			s.mu.Unlock()
			return n, nil
		case s.ended:
			s.mu.Unlock()
			return 0, io.EOF
		}
		s.mu.Unlock()
		select {
		case <-changed:
		case <-s.readers.wait():
		}
	}
}

func (s *stream) write(p []byte) (n int, err error) {
	for {
		s.mu.Lock()
		changed := s.changed
		switch {
		case s.ended:
			s.mu.Unlock()
			return n, net.ErrClosed
		case s.gone:
			s.mu.Unlock()
			return n, syscall.EPIPE
		case s.writers.passed():
			s.mu.Unlock()
			return n, os.ErrDeadlineExceeded
		}
		if room := min(bufferBytes-len(s.buffer), len(p)); room > 0 {
			s.buffer = append(s.buffer, p[:room]...)
			p, n = p[room:], n+room
			s.change()
			changed = s.changed
		}
		s.mu.Unlock()
		if len(p) == 0 {
			return n, nil
		}
		select {
		case <-changed:
		case <-s.writers.wait():
		}
	}
}

// deadline is a time after which waiting ends, and which can be moved.
type deadline struct {
	mu    *sync.Mutex
	state *deadlineState // guarded by mu
}

type deadlineState struct {
	timer *time.Timer
	done  chan struct{} // closed when the deadline has passed, or was moved
	over  bool
}

func newDeadline() deadline {
	return deadline{mu: new(sync.Mutex), state: &deadlineState{done: make(chan struct{})}}
}

func (d deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.state
	if s.timer != nil {
		s.timer.Stop()
	}
	close(s.done) // those who wait look again
	s.done, s.over, s.timer = make(chan struct{}), false, nil
	switch wait := time.Until(t); {
	case t.IsZero():
	case wait <= 0:
		s.over = true
	default:
		done := s.done
		s.timer = time.AfterFunc(wait, func() {
			d.mu.Lock()
			defer d.mu.Unlock()
			if s.done == done { // not moved meanwhile
				s.over = true
				close(s.done)
				s.done = make(chan struct{})
			}
		})
	}
}

func (d deadline) passed() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.state.over
}

func (d deadline) wait() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.state.done
}
