package gateway_test

import (
	"context"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
	"github.com/heraldpush/herald/spool"
	"github.com/heraldpush/herald/wire"
)

// TestLegacyTopic proves that the topic is that of the certificate's user ID.
func TestLegacyTopic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.serveLegacy(t)
		for _, tt := range []struct {
			app   apns.Topic
			kind  credential.PushKind
			env   apns.Environment
			topic apns.Topic
		}{
			{demo, credential.PushSandbox, apns.Sandbox, demo},
			{demo, credential.PushUniversal, apns.Sandbox, demo},
			{demo, credential.PushUniversal, apns.Production, demo},
			{demo, credential.PushVoIP, apns.Sandbox, demo + ".voip"},
			{demo, credential.PushComplication, apns.Sandbox, demo + ".complication"},
			{pass, credential.PushPass, apns.Production, pass},
		} {
			name := fmt.Sprintf("%s %v", tt.kind, tt.env)
			address := sandboxName
			if tt.env == apns.Production {
				address = productionName
			}
			o := w.dialOld(t, legacyPort, dialing{address: address, certificate: w.pushCertificate(t, tt.app, tt.kind)})
			m := w.enhanced(t, 1, hello)
			m.DeviceToken = w.deviceToken(t, tt.topic, tt.env)
			o.send(m)
			if err := o.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			o.want(nil)
			in, err := w.spool.Attach(t.Context(), w.device, tt.env, spool.NewBell())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := in.SetFilter(t.Context(), spool.Filter{Enabled: []apns.TopicHash{tt.topic.Hash()}}); err != nil {
				t.Fatal(err)
			}
			if got := receive(t, in); len(got) != 1 {
				t.Errorf("%s: got %q, want one", name, got)
			}
			in.Detach()
		}
	})
}

// TestLegacyHandshakes proves who gets in.
func TestLegacyHandshakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.serveLegacy(t)
		sandbox := w.pushCertificate(t, demo, credential.PushSandbox)
		universal := w.pushCertificate(t, demo, credential.PushUniversal)
		revoked := w.pushCertificate(t, demo, credential.PushVoIP)
		w.revoke(t, revoked)
		foreign := newWorld(t).pushCertificate(t, demo, credential.PushUniversal)
		for _, tt := range []struct {
			name string
			dialing
			want string // part of the error; empty for none
		}{
			{"sandbox", dialing{certificate: sandbox}, ""},
			{"universal", dialing{certificate: universal}, ""},
			{"universal, production", dialing{certificate: universal, address: productionName}, ""},
			{"other protocols", dialing{certificate: universal, protocols: []string{"http/1.1"}}, ""},
			{"sandbox at production", dialing{certificate: sandbox, address: productionName}, "bad certificate"},
			{"sandbox at production, by name", dialing{certificate: sandbox, address: productionName, serverName: "gateway.sandbox.push.apple.com"}, ""},
			{"sandbox at sandbox, by the other name", dialing{certificate: sandbox, serverName: "gateway.push.apple.com"}, "bad certificate"},
			{"none", dialing{}, "certificate required"},
			{"revoked", dialing{certificate: revoked}, "bad certificate"},
			{"foreign", dialing{certificate: foreign}, "unknown certificate authority"},
			{"HTTP/2", dialing{certificate: universal, protocols: []string{"h2"}}, "no application protocol"},
			{"TLS 1.1", dialing{certificate: universal, version: tls.VersionTLS11}, "protocol version not supported"},
		} {
			conn, err := w.dialOldTLS(t, legacyPort, tt.dialing)
			if err == nil { // under TLS 1.3 the client is through before the server
				_ = conn.CloseWrite() // it may have been refused meanwhile
				_, err = io.ReadAll(conn)
				_ = conn.Close() // it has ended
			}
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("%s: got %v, want none", tt.name, err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
			}
		}
	})
}

// TestLegacyRevoked proves that a connection does not outlive its certificate,
// though nothing is sent.
func TestLegacyRevoked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.serveLegacy(t)
		cert, other := w.pushCertificate(t, demo, credential.PushUniversal), w.pushCertificate(t, demo, credential.PushSandbox)
		revoked, stays := w.dialOld(t, legacyPort, dialing{certificate: cert}), w.dialOld(t, legacyPort, dialing{certificate: other})
		revoked.send(w.enhanced(t, 1, `{"n":1}`))
		stays.send(w.enhanced(t, 2, `{"n":2}`))
		synctest.Wait()
		w.revoke(t, cert)
		start := time.Now()
		revoked.want(nil)
		if took := time.Since(start); took > 0 {
			t.Errorf("it ended after %v, want at once", took)
		}
		synctest.Wait()
		stays.send(w.enhanced(t, 3, `{"n":3}`))
		synctest.Wait()
		if diff := cmp.Diff([]string{`{"n":3}`}, receive(t, w.attach(t, w.device, demo))); diff != "" {
			t.Errorf("stored (-want +got):\n%s", diff)
		}
	})
}

// TestLegacyExpired proves the same of one that expires.
func TestLegacyExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cert *tls.Certificate
		w := newWorldWith(t, options{early: func(w *world) {
			cert = w.pushCertificate(t, demo, credential.PushUniversal)
			time.Sleep(time.Until(cert.Leaf.NotAfter) - time.Minute)
		}})
		w.serveLegacy(t)
		o := w.dialOld(t, legacyPort, dialing{certificate: cert})
		o.send(w.enhanced(t, 1, `{"n":1}`))
		time.Sleep(2 * time.Minute)
		o.send(w.enhanced(t, 2, `{"n":2}`))
		o.want(nil)
		if diff := cmp.Diff([]string{`{"n":1}`}, receive(t, w.attach(t, w.device, demo))); diff != "" {
			t.Errorf("stored (-want +got):\n%s", diff)
		}
	})
}

// TestLegacyOnTheProviderPort speaks the legacy interface where HTTP/2 is
// expected.
func TestLegacyOnTheProviderPort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		in := w.attach(t, w.device, demo)
		token := w.deviceToken(t, demo, apns.Sandbox)
		forms := []interface{ Append(b []byte) []byte }{
			wire.LegacySimple{DeviceToken: token, Payload: apns.Payload(`{"n":0}`)},
			w.enhanced(t, 1, `{"n":1}`),
			wire.LegacyFramed{DeviceToken: token, Payload: apns.Payload(`{"n":2}`), Identifier: 2},
		}
		for i, m := range forms {
			o := w.dialOld(t, ":443", dialing{})
			o.send(m, raw("\x09"))
			o.want(refusal(128, 0))
			if diff := cmp.Diff([]string{fmt.Sprintf(`{"n":%d}`, i)}, receive(t, in)); diff != "" {
				t.Errorf("delivered (-want +got):\n%s", diff)
			}
		}
		wrong := w.dialOld(t, ":443", dialing{address: productionName, certificate: w.pushCertificate(t, demo, credential.PushSandbox)})
		wrong.send(forms[0])
		wrong.want(nil)
		if got := receive(t, in); len(got) > 0 {
			t.Errorf("delivered with a certificate of the other environment: %q", got)
		}
	})
}

// TestLegacyOverTCP sends more after the error than the kernel keeps, over real
// sockets: the error is not lost to a reset.
func TestLegacyOverTCP(t *testing.T) {
	w := newWorld(t)
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Skipf("no TCP here: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- w.gateway.ServeLegacy(ctx, l, apns.Sandbox) }()
	cert := w.pushCertificate(t, demo, credential.PushUniversal)
	bad := w.enhanced(t, 2, hello)
	bad.DeviceToken = forged(bad.DeviceToken)
	first := bad.Append(w.enhanced(t, 1, `{"n":1}`).Append(nil))
	var many []byte
	for i := range 1000 {
		many = w.enhanced(t, uint32(i+3), `{"n":3}`).Append(many)
	}
	for range 20 {
		d := tls.Dialer{Config: &tls.Config{RootCAs: w.roots, ServerName: sandboxName, Certificates: []tls.Certificate{*cert}}}
		conn, err := d.DialContext(t.Context(), "tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write(first); err != nil {
			t.Fatal(err)
		}
		for range 100 { // ten megabytes
			if _, err := conn.Write(many); err != nil {
				t.Fatalf("writing after the error: %v", err)
			}
		}
		got, err := io.ReadAll(conn)
		if want := "080800000002"; hex.EncodeToString(got) != want || err != nil {
			t.Errorf("got %x, %v, want %s", got, err, want)
		}
		if err := conn.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			t.Logf("closing: %v", err)
		}
	}
	cancel()
	if err := <-served; err != nil {
		t.Errorf("ServeLegacy: got %v, want nil", err)
	}
}
