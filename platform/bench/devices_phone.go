package bench

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/internal/load"
	"github.com/heraldpush/herald/wire"
)

// phone is a device that is connected: as little of one as a courier can tell
// from a real one.
type phone struct {
	crowd *crowd
	conn  *tls.Conn
	rest  []byte // was read with the answer to Connect
	last  uint64 // timestamp of the latest notification
}

// Limits of what a phone waits for.
const (
	loginTimeout = 30 * time.Second
	phoneBytes   = 512 // of its buffer, as long as nothing larger comes
)

// errRefused says that a courier does not accept a device: to try again would
// not help.
var errRefused = errors.New("the courier refused a device")

// dial shakes hands.
func (c *crowd) dial(ctx context.Context, address string, config *tls.Config) (*tls.Conn, error) {
	raw, err := c.dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	conn := tls.Client(raw, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(err, raw.Close())
	}
	return conn, nil
}

// greetBare waits for the byte of the bare TLS accept loop.
func (p *phone) greetBare(int) error {
	_, err := p.conn.Read(make([]byte, 1))
	return err
}

// greet logs in as the device of the number given, and says what it wants
// (docs/protocol/courier.md#life-cycle).
func (p *phone) greet(number int) error {
	ids := &p.crowd.ids
	var random [8]byte
	_, _ = rand.Read(random[:]) // never fails
	m := wire.Connect{
		State: wire.StateOnline, Interface: wire.InterfaceWiFi, HasInterface: true, Carrier: "WiFi",
		Certificates: [][]byte{ids.Certificates[number], ids.Issuer}, Nonce: wire.NewNonce(time.Now(), random),
	}
	var err error
	if m.Signature, err = m.Nonce.Sign(p.crowd.keys[number-p.crowd.first]); err != nil {
		return err
	}
	if _, err := p.conn.Write(m.Append(nil)); err != nil {
		return err
	}
	frame, rest, err := p.first()
	if err != nil {
		return err
	}
	ack, err := wire.ParseConnectAck(frame.Payload)
	if err != nil {
		return err
	}
	if frame.Command != wire.CommandConnectAck || ack.Status != wire.StatusAccepted {
		return fmt.Errorf("%w: %v, status %d", errRefused, frame.Command, ack.Status)
	}
	p.rest = append([]byte(nil), rest...)
	out := wire.SetActiveState{State: wire.Active, For: wire.ActiveForever}.Append(nil)
	_, err = p.conn.Write(wire.Filter{BaseToken: ack.BaseToken, Enabled: []apns.TopicHash{topic.Hash()}}.Append(out))
	return err
}

// first reads the first frame, and what came with it.
func (p *phone) first() (f wire.Frame, rest []byte, err error) {
	buf := make([]byte, 0, phoneBytes)
	for {
		f, n, err := wire.NextFrame(buf, wire.MaxPayloadBytes)
		if err == nil {
			return f, buf[n:], nil
		}
		if !errors.Is(err, wire.ErrIncomplete) {
			return f, nil, err
		}
		if buf, err = p.read(buf); err != nil {
			return f, nil, err
		}
	}
}

// read reads more behind what is in buf.
func (p *phone) read(buf []byte) ([]byte, error) {
	if len(buf) == cap(buf) { // a frame is bounded, and so is this
		buf = append(make([]byte, 0, 2*cap(buf)), buf...)
	}
	n, err := p.conn.Read(buf[len(buf):cap(buf)])
	if n > 0 {
		err = nil // it will come again
	}
	return buf[:len(buf)+n], err
}

// live takes what comes, and acknowledges it, until the connection ends.
func (p *phone) live() {
	buf := append(make([]byte, 0, phoneBytes), p.rest...)
	p.rest = nil
	var out []byte
	for {
		var handled int
		var err error
		if handled, out, err = p.handle(buf, out[:0]); err != nil {
			p.crowd.lost(err)
			return
		}
		buf = append(buf[:0], buf[handled:]...)
		if len(out) > 0 {
			if _, err := p.conn.Write(out); err != nil {
				p.crowd.lost(err)
				return
			}
		}
		if buf, err = p.read(buf); err != nil {
			p.crowd.lost(err)
			return
		}
	}
}

// handle handles the whole frames in b, and appends what to answer to out.
func (p *phone) handle(b, out []byte) (handled int, _ []byte, err error) {
	for {
		f, n, err := wire.NextFrame(b[handled:], wire.MaxPayloadBytes)
		if errors.Is(err, wire.ErrIncomplete) {
			return handled, out, nil
		}
		if err != nil {
			return handled, out, err
		}
		handled += n
		if f.Command != wire.CommandNotification {
			continue // signs of life, and what belongs to abilities that this has not
		}
		m, err := wire.ParseNotification(f.Payload)
		if err != nil {
			return handled, out, err
		}
		p.crowd.received(&m, m.Timestamp <= p.last, time.Now())
		p.last = max(p.last, m.Timestamp)
		out = wire.Ack{Status: wire.AckOK, MessageID: m.MessageID, HasMessageID: true}.Append(out)
	}
}

// sentAt returns when the provider sent a payload; zero for one that does not
// say.
func sentAt(payload []byte) time.Time {
	if len(payload) < minStamped {
		return time.Time{}
	}
	ns, err := strconv.ParseInt(string(payload[stampAt:stampAt+load.StampDigits]), 10, 64)
	if err != nil || ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns)
}

// hang closes the connection without a word, as a device does that loses its
// network.
func (p *phone) hang() { _ = p.conn.NetConn().Close() }

// source is a dialer from one of the loopback addresses.
func source(address string) (*net.Dialer, error) {
	d := &net.Dialer{Timeout: loginTimeout}
	if address == "" {
		return d, nil
	}
	ip := net.ParseIP(address)
	if ip == nil || !ip.IsLoopback() {
		return nil, fmt.Errorf("%q is not a loopback address", address)
	}
	d.LocalAddr, d.Control = &net.TCPAddr{IP: ip}, bindWithoutPort
	return d, nil
}
