package courier

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"time"
)

// prelude is a connection from its start until the TLS handshake is done. It has
// a goroutine, whose stack is thrown away with it.
type prelude struct {
	courier *Courier
	raw     net.Conn
	guest   *guest
	by      time.Time // when a Connect must have been accepted
	under   *seam
	wait    *patient
	tls     *tls.Conn
}

// firstBytes is how much of a connection is read before anything is done for it:
// part of a ClientHello. Strangers who say nothing cost no more than this.
const firstBytes = 512

// serveConn serves a connection until there is a conn for it, or it has ended.
func (c *Courier) serveConn(ctx context.Context, raw net.Conn, web *handoff, on *loops) {
	now := time.Now()
	g, err := c.entrance.enter(raw.RemoteAddr(), now)
	if err != nil {
		_ = raw.Close()
		c.cfg.Logger.DebugContext(ctx, "connection was refused", slog.Any("error", err))
		return
	}
	tune(raw)
	p := &prelude{courier: c, raw: raw, guest: g, by: now.Add(connectTimeout)}
	stay := context.AfterFunc(ctx, func() { _ = raw.Close() })
	if err := p.handshake(ctx); err != nil {
		c.cfg.Logger.DebugContext(ctx, "device connection failed in TLS", slog.Any("error", err), slog.String("remote", raw.RemoteAddr().String()))
		p.drop(stay)
		return
	}
	first, isHTTP, err := p.kind()
	switch {
	case err != nil:
		c.cfg.Logger.DebugContext(ctx, "device connection ended before Connect", slog.Any("error", err), slog.String("remote", raw.RemoteAddr().String()))
		p.drop(stay)
	case isHTTP:
		_ = p.tls.SetDeadline(time.Time{}) // the web server has its own
		stay()                             // as for the end
		web.give(ctx, &peeked{Conn: p.tls, first: first, done: make(chan struct{})})
		p.drop(stay)
	case stay():
		p.begin(first, on.pick())
	default: // the courier stops, and has closed it
		p.drop(stay)
	}
}

// drop ends the connection.
func (p *prelude) drop(stay func() bool) {
	stay()
	if p.tls != nil {
		_ = p.tls.Close()
	} else {
		_ = p.raw.Close()
	}
	p.guest.leave()
}

// handshake does the TLS handshake, within the bounds of the door.
func (p *prelude) handshake(ctx context.Context) error {
	if err := p.raw.SetDeadline(p.by); err != nil {
		return err
	}
	first := make([]byte, firstBytes)
	n, err := p.raw.Read(first)
	if err != nil {
		return err
	}
	p.wait = &patient{Conn: p.raw, ahead: first[:n], turn: &p.courier.turnstile, ended: ctx.Done()}
	p.under = &seam{p.wait}
	if err := p.wait.enter(); err != nil {
		return err
	}
	defer p.wait.leave()
	p.tls = tls.Server(p.under, p.courier.tls)
	// The end of ctx closes the connection; no goroutine is needed to see it.
	return p.tls.HandshakeContext(context.WithoutCancel(ctx))
}

// kind tells whether the connection is one for the activation door, and what had
// to be read to see that.
func (p *prelude) kind() (first []byte, isHTTP bool, err error) {
	switch p.tls.ConnectionState().NegotiatedProtocol {
	case alpnHTTP:
		return nil, true, nil
	case "":
		first = make([]byte, 1)
		if _, err := io.ReadFull(p.tls, first); err != nil {
			return nil, false, err
		}
		return first, isLetter(first[0]), nil
	}
	return nil, false, nil
}

// begin hands the connection to a loop.
func (p *prelude) begin(first []byte, on *loop) {
	_ = p.raw.SetDeadline(time.Time{}) // an error of a closed connection comes again
	state := p.tls.ConnectionState()
	c := &conn{guest: p.guest}
	c.talk = conversation{
		greeting: newGreeting(p.courier, state, p.courier.environment(state.ServerName)),
		line:     c, greetBy: p.by, rest: first,
	}
	c.events.Store(evQueued) // they wait until it has a transport and a loop
	c.wire = newTransport(p, c, on)
	if !on.enter(c) {
		c.wire.close(false)
		p.guest.leave()
		return
	}
	c.events.Or(evReadable) // what came may be within TLS already
	on.crew.add(c)
}

// left returns what was read, and not by TLS yet; nil if that is nothing, so that
// no buffer is kept for it.
func (p *patient) left() []byte {
	if len(p.ahead) == 0 {
		return nil
	}
	return p.ahead
}

// patient is what is beneath TLS during the handshake. While it waits for the
// device, another handshake may be computed.
type patient struct {
	net.Conn
	ahead  []byte // was read, and not by TLS yet
	turn   *turnstile
	inside bool            // of the turnstile
	ended  <-chan struct{} // closed when the courier stops
}

func (p *patient) Read(b []byte) (int, error) {
	if len(p.ahead) > 0 {
		n := copy(b, p.ahead)
		p.ahead = p.ahead[n:]
		return n, nil
	}
	if !p.inside {
		return p.Conn.Read(b)
	}
	p.leave()
	n, err := p.Conn.Read(b)
	if e := p.enter(); e != nil {
		err = errors.Join(err, e)
	}
	return n, err
}

func (p *patient) enter() error {
	err := p.turn.enter(p.ended)
	p.inside = err == nil
	return err
}

func (p *patient) leave() {
	if p.inside {
		p.inside = false
		p.turn.leave()
	}
}
