package scripted

import (
	"net"
	"sync"
	"time"
)

// pacing is how a connection is read.
type pacing struct {
	Pace
	stopped bool
}

// pacedConn is a connection that is read as slowly as it is told.
type pacedConn struct {
	net.Conn
	closed chan struct{}
	once   sync.Once
	rest   []byte // read and not yet handed on; the reader's

	mu      sync.Mutex
	pacing  pacing        // guarded by mu
	changed chan struct{} // closed and replaced when pacing changes; guarded by mu
}

func newPacedConn(nc net.Conn, p Pace) *pacedConn {
	return &pacedConn{Conn: nc, pacing: pacing{Pace: p}, closed: make(chan struct{}), changed: make(chan struct{})}
}

func (c *pacedConn) set(p pacing) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pacing = p
	close(c.changed)
	c.changed = make(chan struct{})
}

func (c *pacedConn) get() (pacing, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pacing, c.changed
}

// Read reads no more than a piece, and returns when the time for it has passed. It
// is called by one goroutine at a time.
func (c *pacedConn) Read(p []byte) (n int, err error) {
	if err := c.wait(0); err != nil {
		return 0, err
	}
	if len(c.rest) > 0 {
		n = copy(p, c.rest)
	} else if n, err = c.Conn.Read(p); err != nil {
		return n, err
	} else {
		c.rest = append(c.rest[:0], p[:n]...)
	}
	// The pace may have become another while the network was waited for. What is more
	// than a piece of it comes next time, and where reading was stopped, all waits.
	now, _ := c.get()
	if now.Bytes > 0 {
		n = min(n, now.Bytes)
	}
	c.rest = c.rest[n:]
	return n, c.wait(now.Every)
}

// wait waits for the time, and for as long as reading is stopped.
func (c *pacedConn) wait(d time.Duration) error {
	if d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-c.closed:
			return net.ErrClosed
		}
	}
	for {
		now, changed := c.get()
		if !now.stopped {
			return nil
		}
		select {
		case <-changed:
		case <-c.closed:
			return net.ErrClosed
		}
	}
}

// Close closes the connection and ends a Read that waits.
func (c *pacedConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

// closeWrite ends what is written. A connection that cannot do that by halves is
// closed.
func (c *pacedConn) closeWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return c.Close()
}

// reset closes the connection with a TCP reset, where it is one of TCP.
func (c *pacedConn) reset() error {
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		if err := tcp.SetLinger(0); err != nil {
			return err
		}
	}
	return c.Close()
}
