package courier

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/wire"
)

// greeting is a connection whose device has not identified itself. It can do
// nothing but that; success makes a session of it.
type greeting struct {
	courier *Courier
	env     apns.Environment
	// herald reports that extension items were negotiated.
	herald bool
	// certificate is the device's if TLS has proved it, nil where Connect has
	// to.
	certificate *x509.Certificate
}

func newGreeting(c *Courier, state tls.ConnectionState, env apns.Environment) greeting {
	g := greeting{courier: c, env: env, herald: state.NegotiatedProtocol == wire.ALPNHerald}
	if len(state.PeerCertificates) > 0 {
		g.certificate = state.PeerCertificates[0]
	}
	return g
}

// refusedError says that a device did not prove who it is. It is told so, and
// the connection is to be closed, unless it may try again.
type refusedError struct {
	err error
	// again is set if nothing but the time of the nonce was wrong.
	again bool
}

func refuse(format string, args ...any) error {
	return &refusedError{err: fmt.Errorf(format, args...)}
}

func (e *refusedError) Error() string { return e.err.Error() }

// ack returns what the device is told.
func (e *refusedError) ack(now time.Time) wire.ConnectAck {
	ack := connectAck(wire.StatusInvalid, now)
	if e.again {
		ack.NonceTime = now
	}
	return ack
}

// connectAck returns a ConnectAck with the items that devices insist on
// (docs/protocol/courier.md#connect-ack).
func connectAck(status wire.ConnectStatus, now time.Time) wire.ConnectAck {
	return wire.ConnectAck{
		Status:            status,
		MaxMessageBytes:   wire.DefaultMaxMessageBytes,
		LargeMessageBytes: wire.DefaultLargeMessageBytes,
		Time:              now,
	}
}

// connect makes a session on a line for the device that m proves to be. The
// error is a refusedError if it does not, a partingError if it is not the time;
// any other is a fault of a store, or the stop of the spool.
func (g greeting) connect(ctx context.Context, m wire.Connect, now time.Time, on line) (*session, error) {
	if g.courier.draining.Load() {
		return nil, g.refuseDraining(now)
	}
	revoked := g.courier.cfg.Portal.Revoked() // before the question, so that none is missed
	id, leaf, err := g.identify(m, now)
	if err != nil {
		return nil, err
	}
	if wait := g.courier.pace.take(id, g.courier.cfg.MaxConnects, now); wait > 0 {
		return nil, g.refuseOften(wait)
	}
	connected := &g.courier.connected
	connected.Enter(id, on)
	select {
	case <-revoked: // it may be this one's, and was not there yet to be found
		if _, err := g.courier.cfg.Portal.AdmitDevice(leaf); err != nil {
			connected.Leave(id, on)
			return nil, &refusedError{err: err}
		}
	default:
	}
	s, err := g.attach(ctx, id, m, now, on)
	if err != nil {
		connected.Leave(id, on)
		return nil, err
	}
	s.on = on
	g.courier.sessions.enter(s)
	return s, nil
}

// attach makes a session for a device that presents a base token in m, or none.
func (g greeting) attach(ctx context.Context, id apns.DeviceID, m wire.Connect, now time.Time, on line) (*session, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	on.yield()
	defer on.resume()
	reg := g.courier.cfg.Registry
	device, err := reg.EnterDevice(ctx, id)
	if err != nil {
		return nil, err
	}
	// A base token that cannot be read is replaced below. One of another
	// device is refused: that would be a device posing as another.
	if of, err := reg.OpenBaseToken(m.BaseToken, g.env); err == nil && of != device {
		return nil, refuse("device %s: the base token is of another device", id)
	}
	inbox, err := g.courier.cfg.Spool.Attach(ctx, device, g.env, on)
	if err != nil {
		return nil, fmt.Errorf("device %s: %w", id, err)
	}
	s := &session{
		traced: traced{number: g.courier.counts.sessions.Add(1)}, courier: g.courier, env: g.env, herald: g.herald,
		id: id, device: device, base: reg.BaseToken(device, g.env), inbox: inbox,
		active:   activity{interval: m.ActiveInterval},
		filterBy: now.Add(filterTimeout),
		life:     liveness{seenAt: now, probes: g.herald},
	}
	s.resume(ctx, m)
	return s, nil
}

// identify returns the device that m proves to be, by certificate and signed
// nonce or by what TLS has proved (docs/protocol/courier.md#nonce), and that
// certificate. The error is a refusedError.
func (g greeting) identify(m wire.Connect, now time.Time) (_ apns.DeviceID, leaf *x509.Certificate, _ error) {
	leaf = g.certificate
	if leaf == nil {
		if len(m.Certificates) == 0 {
			return "", nil, refuse("no certificate, in Connect or in TLS")
		}
		var err error
		if leaf, err = x509.ParseCertificate(m.Certificates[0]); err != nil {
			return "", nil, refuse("device certificate: %w", err)
		}
	}
	// The certificate first: no work for a stranger's signature.
	id, err := g.courier.cfg.Portal.AdmitDevice(leaf)
	if err != nil {
		return "", nil, &refusedError{err: err}
	}
	if g.certificate != nil {
		return id, leaf, nil
	}
	if err := wire.VerifySignature(leaf.PublicKey, m.Nonce, m.Signature); err != nil {
		return "", nil, refuse("device %s: %w", id, err)
	}
	if off := m.Nonce.Time().Sub(now).Abs(); off > nonceWindow {
		return "", nil, &refusedError{err: fmt.Errorf("device %s: the nonce is %v off", id, off.Round(time.Second)), again: true}
	}
	if !g.courier.nonces.use(m.Nonce, now) {
		return "", nil, refuse("device %s: the nonce was used before", id)
	}
	return id, leaf, nil
}
