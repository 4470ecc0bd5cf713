package device

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/heraldpush/herald/wire"
)

const (
	// connectTimeout bounds all up to the courier's ConnectAck
	// (docs/protocol/courier.md#timers).
	connectTimeout = 30 * time.Second
	// writeTimeout bounds one write: a courier that takes nothing for so long
	// is gone.
	writeTimeout = 20 * time.Second
	// goodbyeTimeout bounds the last write, which is a courtesy.
	goodbyeTimeout = 2 * time.Second
)

// link moves bytes between a courier and what decides about them.
type link struct {
	device  *Device
	conn    *tls.Conn
	reader  *bufio.Reader
	effects chan<- effect
	herald  bool // the extensions were negotiated
}

// connect connects to a courier and stays with it. It returns how long the
// device was accepted there, and why that is over.
func (d *Device) connect(ctx context.Context, courier string, redirects uint16, effects chan<- effect) (up time.Duration, err error) {
	d.mu.Lock()
	suspicion := d.suspicion
	d.suspicion = nil // it is confirmed now, or not at all
	d.mu.Unlock()
	dialled, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	raw, err := d.config.Dial(dialled, "tcp", courier)
	if err != nil {
		return 0, fmt.Errorf("connecting to %s: %w", courier, err)
	}
	defer func() { _ = raw.Close() }() // nothing is in it that was to arrive
	conn := tls.Client(raw, &tls.Config{
		ServerName: d.config.ServerName,
		RootCAs:    d.config.Roots,
		NextProtos: []string{wire.ALPNHerald, wire.ALPNSecurityV3},
		MinVersion: tls.VersionTLS12,
	})
	if err := conn.HandshakeContext(dialled); err != nil {
		return 0, fmt.Errorf("connecting to %s: %w", courier, err)
	}
	l := &link{device: d, conn: conn, reader: bufio.NewReader(conn), effects: effects}
	l.herald = conn.ConnectionState().NegotiatedProtocol == wire.ALPNHerald
	s, err := l.greet(dialled, redirects)
	if err != nil {
		return 0, fmt.Errorf("connecting to %s: %w", courier, err)
	}
	since := time.Now()
	d.mu.Lock()
	suspicion.confirm(since)
	if s.adaptive != nil {
		s.adapt(s.adaptive.pulse, s.adaptive.bounds) // what is confirmed
	}
	d.mu.Unlock()
	d.config.Logger.Info("connected", "courier", courier, "protocol", conn.ConnectionState().NegotiatedProtocol)
	if d.config.DidConnect != nil {
		d.config.DidConnect(courier)
	}
	err = l.talk(ctx, s)
	if ctx.Err() == nil {
		d.mu.Lock()
		d.suspicion = s.suspect(time.Now())
		d.mu.Unlock()
	}
	return time.Since(since), fmt.Errorf("connected to %s: %w", courier, err)
}

// greet says who the device is until it is accepted, within ctx.
func (l *link) greet(ctx context.Context, redirects uint16) (*session, error) {
	// Closing what is below is what ends a read when ctx does.
	stop := context.AfterFunc(ctx, func() { _ = l.conn.NetConn().Close() })
	defer stop()
	d := l.device
	network := d.config.Network()
	d.mu.Lock()
	g := &greeting{memory: d.memory, keepAlive: d.config.KeepAlive, redirects: redirects, herald: l.herald}
	if g.keepAlive == 0 {
		g.pulse, g.bounds = d.memory.pulseOf(network, time.Now()), bounds{d.config.KeepAliveMin, d.config.KeepAliveMax}
	}
	first := g.hello(time.Now())
	d.mu.Unlock()
	for login := &first; ; {
		if login != nil {
			if err := l.login(*login); err != nil {
				return nil, err
			}
		}
		f, err := l.read()
		if ctx.Err() != nil {
			return nil, fmt.Errorf("no answer to Connect: %w", ctx.Err())
		}
		if err != nil {
			return nil, err
		}
		d.mu.Lock()
		s, again, err := g.step(f, time.Now())
		d.mu.Unlock()
		if s != nil || err != nil {
			return s, err
		}
		login = again
	}
}

// login completes a Connect with what proves the device, and sends it.
func (l *link) login(w login) error {
	l.device.mu.Lock()
	identity := l.device.identity
	l.device.mu.Unlock()
	var random [8]byte
	_, _ = rand.Read(random[:]) // never fails
	m := w.connect
	m.Nonce = wire.NewNonce(w.nonceAt, random)
	m.Certificates = append(m.Certificates, identity.Certificate.Raw)
	for _, cert := range identity.Chain {
		m.Certificates = append(m.Certificates, cert.Raw)
	}
	var err error
	if m.Signature, err = m.Nonce.Sign(identity.Key); err != nil {
		return err
	}
	return l.write(m.Append(nil), writeTimeout)
}

// arrival is a frame, or why there are no more.
type arrival struct {
	frame wire.Frame
	err   error
}

// talk is the life of a session. Its error says why it ended: ctx's after a
// goodbye.
func (l *link) talk(ctx context.Context, s *session) error {
	arrivals := make(chan arrival)
	over := make(chan struct{})
	var reader sync.WaitGroup
	reader.Go(func() { l.readAll(arrivals, over) })
	defer reader.Wait()
	defer func() { _ = l.conn.NetConn().Close() }() // ends the read
	defer close(over)

	p := l.newPipeline(s)
	err := p.push(func(time.Time) (outcome, error) { return s.begin(), nil })
	if err == nil {
		l.device.setUp(true, nil)
		err = l.listen(ctx, s, p, arrivals)
	}
	failed := p.end()
	l.device.mu.Lock()
	l.device.memory.settle(time.Now())
	l.device.mu.Unlock()
	if failed != nil {
		return failed // which is why the rest ended, if it did not by itself
	}
	if ctx.Err() != nil {
		return errors.Join(ctx.Err(), l.goodbye(s))
	}
	return err
}

// listen takes the steps of a session, until one of them or the pipeline ends
// it, or ctx.
func (l *link) listen(ctx context.Context, s *session, p *pipeline, arrivals <-chan arrival) error {
	alarm := time.NewTimer(time.Until(s.deadline()))
	defer alarm.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-p.broken:
			return nil
		case a := <-arrivals:
			if a.err != nil {
				return a.err
			}
			err = p.push(func(now time.Time) (outcome, error) { return s.step(a.frame, now) })
		case <-l.device.wake:
			err = p.push(func(time.Time) (outcome, error) { return s.wake(), nil })
		case <-alarm.C:
			if p.behind.Load() > 0 {
				s.held(time.Now()) // what is to be written was not, so nobody can have answered it
				break
			}
			err = p.push(s.tick)
		}
		if err != nil {
			return err
		}
		alarm.Reset(time.Until(s.deadline()))
	}
}

// goodbye tells the courier that the device leaves.
func (l *link) goodbye(s *session) error {
	l.device.mu.Lock()
	frame := s.goodbye()
	l.device.mu.Unlock()
	if err := l.write(frame, goodbyeTimeout); err != nil {
		return err
	}
	return l.conn.CloseWrite()
}

func (l *link) write(b []byte, timeout time.Duration) error {
	if err := l.conn.SetWriteDeadline(time.Now().Add(timeout)); err != nil {
		return err
	}
	if _, err := l.conn.Write(b); err != nil {
		return fmt.Errorf("writing: %w", err)
	}
	return nil
}

// readAll hands over frames until there are no more, or over is closed.
func (l *link) readAll(arrivals chan<- arrival, over <-chan struct{}) {
	for {
		f, err := l.read()
		select {
		case arrivals <- arrival{f, err}:
		case <-over:
			return
		}
		if err != nil {
			return
		}
	}
}

// read returns the next frame, in memory of its own.
func (l *link) read() (wire.Frame, error) {
	header, err := l.reader.Peek(wire.HeaderBytes)
	switch {
	case errors.Is(err, io.EOF):
		return wire.Frame{}, errors.New("the courier closed the connection")
	case err != nil:
		return wire.Frame{}, fmt.Errorf("reading: %w", err)
	}
	// The header alone refuses a frame that is too long, before there is room
	// for it.
	if _, _, err = wire.NextFrame(header, wire.MaxPayloadBytes); err != nil && !errors.Is(err, wire.ErrIncomplete) {
		return wire.Frame{}, err
	}
	b := make([]byte, wire.HeaderBytes+binary.BigEndian.Uint32(header[1:]))
	if _, err := io.ReadFull(l.reader, b); err != nil {
		return wire.Frame{}, fmt.Errorf("reading: %w", err)
	}
	f, _, err := wire.NextFrame(b, wire.MaxPayloadBytes)
	return f, err
}
