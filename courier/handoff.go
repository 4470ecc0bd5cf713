package courier

import (
	"context"
	"net"
	"sync"
	"time"
)

// handoff is a listener whose connections were accepted by another.
type handoff struct {
	addr   net.Addr
	given  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func newHandoff(addr net.Addr) *handoff {
	return &handoff{addr: addr, given: make(chan net.Conn), closed: make(chan struct{})}
}

// give hands a connection to whoever accepts, and returns when that one has
// done with it. When ctx ends, a request that is being answered may take until
// stopTimeout.
func (h *handoff) give(ctx context.Context, c *peeked) {
	select {
	case h.given <- c:
	case <-h.closed:
		return
	case <-ctx.Done():
		return
	}
	select {
	case <-c.done:
		return
	case <-ctx.Done():
	}
	last := time.AfterFunc(stopTimeout, func() { _ = c.Close() })
	defer last.Stop()
	<-c.done
}

func (h *handoff) Accept() (net.Conn, error) {
	select {
	case c := <-h.given:
		return c, nil
	case <-h.closed:
		return nil, net.ErrClosed
	}
}

func (h *handoff) Close() error {
	h.once.Do(func() { close(h.closed) })
	return nil
}

func (h *handoff) Addr() net.Addr { return h.addr }

// peeked is a connection of which a byte was read already.
type peeked struct {
	net.Conn
	first []byte        // not read again yet
	done  chan struct{} // closed when whoever accepted it has done with it
}

func (p *peeked) Read(b []byte) (int, error) {
	if len(p.first) > 0 {
		n := copy(b, p.first)
		p.first = p.first[n:]
		return n, nil
	}
	return p.Conn.Read(b)
}
