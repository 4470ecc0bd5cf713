package gateway_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
	"github.com/heraldpush/herald/wire"
)

// Ports of the legacy interface and the feedback service.
const (
	legacyPort   = ":2195"
	feedbackPort = ":2196"
)

// serveLegacy starts the legacy interface for both environments. The function it
// returns ends it and waits; it is called at the end of the test.
func (w *world) serveLegacy(tb testing.TB) (stop func()) {
	tb.Helper()
	return w.serveOn(tb, legacyPort, w.gateway.ServeLegacy)
}

func (w *world) serveOn(tb testing.TB, port string, serve func(context.Context, net.Listener, apns.Environment) error) (stop func()) {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(tb.Context()))
	var serving sync.WaitGroup
	for name, env := range map[string]apns.Environment{sandboxName: apns.Sandbox, productionName: apns.Production} {
		l, err := w.network.Listen(name + port)
		if err != nil {
			tb.Fatal(err)
		}
		serving.Go(func() {
			if err := serve(ctx, l, env); err != nil {
				tb.Errorf("serving on %s: got %v, want nil", port, err)
			}
		})
	}
	stop = func() {
		cancel()
		serving.Wait()
	}
	tb.Cleanup(stop)
	return stop
}

// old is a provider of the legacy interface.
type old struct {
	*tls.Conn
	tb testing.TB
}

// dialOld connects to a port with a certificate of the demo app, or the one of d.
func (w *world) dialOld(tb testing.TB, port string, d dialing) old {
	tb.Helper()
	if d.certificate == nil {
		if w.universal == nil {
			w.universal = w.pushCertificate(tb, demo, credential.PushUniversal)
		}
		d.certificate = w.universal
	}
	conn, err := w.dialOldTLS(tb, port, d)
	if err != nil {
		tb.Fatalf("dialling %s: %v", port, err)
	}
	return old{conn, tb}
}

func (w *world) dialOldTLS(tb testing.TB, port string, d dialing) (*tls.Conn, error) {
	tb.Helper()
	if d.address == "" {
		d.address = sandboxName
	}
	if d.serverName == "" {
		d.serverName = d.address
	}
	cfg := &tls.Config{RootCAs: w.roots, ServerName: d.serverName, NextProtos: d.protocols, MinVersion: d.version, MaxVersion: d.version}
	if d.certificate != nil {
		cfg.Certificates = []tls.Certificate{*d.certificate}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(tb.Context()), patience)
	defer cancel()
	raw, err := w.network.DialContext(ctx, "tcp", d.address+port)
	if err != nil {
		return nil, err
	}
	tb.Cleanup(func() { _ = raw.Close() })
	conn := tls.Client(raw, cfg)
	return conn, conn.HandshakeContext(ctx)
}

// send writes in one go.
func (o old) send(messages ...interface{ Append(b []byte) []byte }) {
	o.tb.Helper()
	var b []byte
	for _, m := range messages {
		b = m.Append(b)
	}
	if _, err := o.Write(b); err != nil {
		o.tb.Fatalf("sending: %v", err)
	}
}

// raw is bytes to be sent as they are.
type raw string

func (r raw) Append(b []byte) []byte { return append(b, r...) }

// rest reads until the service ends the connection, which it must do well.
func (o old) rest() []byte {
	o.tb.Helper()
	if err := o.SetReadDeadline(time.Now().Add(2 * time.Hour)); err != nil {
		o.tb.Fatal(err)
	}
	b, err := io.ReadAll(o)
	if err != nil {
		o.tb.Errorf("reading to the end: got %v after %x, want none", err, b)
	}
	return b
}

// want reads to the end and checks that one error came, or nothing if it is nil.
// Then the provider closes.
func (o old) want(want *wire.LegacyError) {
	o.tb.Helper()
	var wantBytes []byte
	if want != nil {
		wantBytes = want.Append(nil)
	}
	if diff := cmp.Diff(wantBytes, o.rest(), cmpopts.EquateEmpty()); diff != "" {
		o.tb.Errorf("answer (-want +got):\n%s", diff)
	}
	if err := o.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		o.tb.Logf("closing: %v", err)
	}
}

// enhanced returns a notification of the demo app in that form.
func (w *world) enhanced(tb testing.TB, id uint32, payload string) wire.LegacyEnhanced {
	tb.Helper()
	return wire.LegacyEnhanced{
		Identifier: id, Expiry: 4000000000 - 1<<31, DeviceToken: w.deviceToken(tb, demo, apns.Sandbox), Payload: apns.Payload(payload),
	}
}

// forged returns a device token that differs from a genuine one in its last byte.
func forged(t apns.DeviceToken) apns.DeviceToken {
	last := len(t) - 1
	return t[:last] + apns.DeviceToken([]byte{t[last] ^ 1})
}
