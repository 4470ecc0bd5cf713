package gateway_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
)

func TestProtocolNegotiation(t *testing.T) {
	w := newWorld(t)
	for _, tt := range []struct {
		name      string
		protocols []string
		want      string // what was negotiated
	}{
		{"h2", nil, "h2"},
		{"h2 and HTTP/1.1", []string{"http/1.1", "h2"}, "h2"},
		{"nothing", []string{}, ""},
	} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			t.Run(tt.name+" "+tls.VersionName(version), func(t *testing.T) {
				p := w.dial(t, dialing{protocols: tt.protocols, version: version})
				conn, ok := p.nc.(*tls.Conn)
				if !ok {
					t.Fatalf("got %T", p.nc)
				}
				if got := conn.ConnectionState().NegotiatedProtocol; got != tt.want {
					t.Errorf("negotiated: got %q, want %q", got, tt.want)
				}
				p.want(w.push(t), accepted)
				p.want(w.push(t).to("x"), refused(apns.BadDeviceToken))
			})
		}
	}
	for _, tt := range []struct {
		dialing
		want string
	}{
		{dialing{protocols: []string{"http/1.1"}}, "no application protocol"},
		{dialing{protocols: []string{"http/1.0", "http/1.1"}, version: tls.VersionTLS12}, "no application protocol"},
		{dialing{protocols: []string{"apns-pack-v1"}}, "no application protocol"},
		{dialing{version: tls.VersionTLS11}, "protocol version not supported"},
	} {
		if _, err := w.dialTLS(t, tt.dialing); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v, %s: got %v, want %q", tt.protocols, tls.VersionName(tt.version), err, tt.want)
		}
	}
}

// TestNotHTTP2 proves that whatever else is at the other end is let go, and
// when.
func TestNotHTTP2(t *testing.T) {
	for _, tt := range []struct {
		name      string
		plain     bool // no TLS at all
		protocols []string
		sent      string
		within    time.Duration
	}{
		{"nothing", true, nil, "", 10 * time.Second},
		{"no TLS", true, nil, "GET / HTTP/1.1\r\n\r\n", 0},
		{"half a TLS record", true, nil, "\x16\x03\x01\x02\x00", 10 * time.Second},
		{"nothing after TLS", false, []string{}, "", 10 * time.Second},
		{"nothing after h2", false, nil, "", 10 * time.Second},
		{"the legacy interface", false, []string{}, "\x02\x00\x00\x00", 0},
		{"HTTP/1.1", false, []string{}, "GET / HTTP/1.1\r\n\r\n", 0},
		{"HTTP/1.1, a method with P", false, []string{}, "POST / HTTP/1.1\r\n\r\n", time.Second}, // the peer may read GOAWAY
		{"half a preface", false, []string{}, http2.ClientPreface[:10], 10 * time.Second},
		{"half a preface after h2", false, nil, http2.ClientPreface[:10], 10 * time.Second},
		{"no SETTINGS", false, []string{}, http2.ClientPreface, 10 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				var conn net.Conn
				var err error
				if tt.plain {
					conn, err = w.network.DialContext(t.Context(), "tcp", sandboxName+":443")
				} else {
					conn, err = w.dialTLS(t, dialing{protocols: tt.protocols})
				}
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				start := time.Now()
				if _, err := io.WriteString(conn, tt.sent); err != nil {
					t.Fatal(err)
				}
				// The error is that of a connection that was closed in one way or another.
				_, err = io.Copy(io.Discard, conn)
				if took := time.Since(start); took > tt.within {
					t.Errorf("closed after %v (%v), want within %v", took, err, tt.within)
				}
			})
		})
	}
}

// TestCertificatesRefused proves that TLS refuses what is no provider's
// certificate of this service.
func TestCertificatesRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var expired *tls.Certificate
		w := newWorldWith(t, options{early: func(w *world) {
			expired = w.pushCertificate(t, demo, credential.PushUniversal)
			time.Sleep(396 * 24 * time.Hour)
		}})
		foreign := newWorld(t).pushCertificate(t, demo, credential.PushUniversal)
		key := newKey(t)
		_, code, err := w.portal.CreateEnrolmentCode(t.Context(), 1, 0)
		if err != nil {
			t.Fatal(err)
		}
		activated, err := w.portal.ActivateDevice(t.Context(), code, newRequest(t, key))
		if err != nil {
			t.Fatal(err)
		}
		server, err := w.portal.ServerCertificate([]string{"provider.example.com"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		good := w.pushCertificate(t, demo, credential.PushUniversal)
		without := *good
		without.PrivateKey = newKey(t)
		alone := *good
		alone.Certificate = good.Certificate[:1]

		for _, tt := range []struct {
			name string
			cert *tls.Certificate
			want string // part of the error; empty for none
		}{
			{"good", good, ""},
			{"good, without its issuer's", &alone, ""},
			{"expired", expired, "expired certificate"},
			{"foreign", foreign, "unknown certificate authority"},
			{"a device's", withKey(t, key, activated.DER), "unknown certificate authority"},
			{"a server's", &server, "unknown certificate authority"},
			{"another's", &without, "error decrypting message"}, // the key is not its holder's
		} {
			for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
				conn, err := w.dialTLS(t, dialing{certificate: tt.cert, version: version})
				if err == nil { // under TLS 1.3 the client is through before the server
					_, err = conn.Read(make([]byte, 1))
				}
				switch {
				case tt.want == "" && err != nil:
					t.Errorf("%s, %s: got %v, want none", tt.name, tls.VersionName(version), err)
				case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
					t.Errorf("%s, %s: got %v, want %q", tt.name, tls.VersionName(version), err, tt.want)
				}
			}
		}
	})
}

// TestCertificateTopics proves what a certificate stands for.
func TestCertificateTopics(t *testing.T) {
	w := newWorld(t)
	good := func(topic apns.Topic, env apns.Environment) *push {
		return w.push(t).drop("authorization").to(w.deviceToken(t, topic, env)).set("apns-topic", string(topic))
	}

	p := w.dial(t, dialing{certificate: w.pushCertificate(t, demo, credential.PushUniversal)})
	p.want(good(demo, apns.Sandbox).drop("apns-topic"), refused(apns.MissingTopic))
	p.want(good(demo, apns.Sandbox).set("authorization", "bearer "+w.otherTeam.token(t, time.Now())), accepted)
	p.want(good(demo, apns.Sandbox).set("authorization", "nonsense"), accepted)
	p.want(good(demo+".voip", apns.Sandbox), accepted)
	p.want(good(demo+".complication", apns.Sandbox), accepted)
	p.want(good(demo+".push-type.liveactivity", apns.Sandbox), refused(apns.TopicDisallowed))
	p.want(good(second, apns.Sandbox), refused(apns.TopicDisallowed))

	p = w.dial(t, dialing{address: productionName, certificate: w.pushCertificate(t, pass, credential.PushPass)})
	p.want(good(pass, apns.Production).carrying(`{}`), accepted)
	p.want(good(pass, apns.Production).carrying(`{}`).drop("apns-topic"), accepted)
	p.want(good(pass, apns.Production).carrying(`{}`).set("apns-topic", ""), refused(apns.BadTopic))
	p.want(good(demo, apns.Production), refused(apns.TopicDisallowed))
}

func TestCertificateEnvironment(t *testing.T) {
	w := newWorld(t)
	sandbox := w.pushCertificate(t, demo, credential.PushSandbox)
	production := w.pushCertificate(t, pass, credential.PushPass)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, tt := range []struct {
			name string
			dialing
		}{
			{"sandbox certificate on production", dialing{address: productionName, certificate: sandbox}},
			{"sandbox certificate, production by name", dialing{serverName: "api.push.apple.com", certificate: sandbox}},
			{"sandbox certificate on production, nothing negotiated", dialing{address: productionName, certificate: sandbox, protocols: []string{}}},
			{"production certificate on the sandbox", dialing{certificate: production}},
		} {
			tt.version = version
			conn, err := w.dialTLS(t, tt.dialing)
			if err != nil {
				t.Errorf("%s: handshake: %v", tt.name, err)
				continue
			}
			p := newPeer(t, conn)
			p.hello()
			p.send(w.push(t)) // before it reads
			p.drained(`NO_ERROR 0 {"reason":"BadCertificateEnvironment"}`)
			if len(p.answers) > 0 {
				t.Errorf("%s: got %d answers, want none", tt.name, len(p.answers))
			}
			_ = conn.Close()
		}
	}
	p := w.dial(t, dialing{certificate: sandbox})
	p.want(w.push(t), accepted)
	p = w.dial(t, dialing{address: productionName, serverName: "api.sandbox.push.apple.com", certificate: sandbox})
	p.want(w.push(t), accepted)
}

// TestCertificateEnvironmentSilent has a provider of the wrong environment wait
// for the gateway to speak first, and stay: it is told, and cut.
func TestCertificateEnvironmentSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		conn, err := w.dialTLS(t, dialing{address: productionName, certificate: w.pushCertificate(t, demo, credential.PushSandbox)})
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		p := newPeer(t, conn)
		p.drained(`NO_ERROR 0 {"reason":"BadCertificateEnvironment"}`)
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("it lasted %v", took)
		}
		if got, want := p.limits, []uint32{1000}; !slices.Equal(got, want) {
			t.Errorf("limits: got %v, want %v", got, want)
		}
	})
}

// TestCertificateExpires proves that a certificate ends on a connection that
// outlives it.
func TestCertificateExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cert *tls.Certificate
		w := newWorldWith(t, options{early: func(w *world) {
			cert = w.pushCertificate(t, demo, credential.PushUniversal)
			time.Sleep(time.Until(cert.Leaf.NotAfter) - time.Minute)
		}})
		p := w.dial(t, dialing{certificate: cert})
		p.want(w.push(t), accepted)
		time.Sleep(time.Minute)
		p.want(w.push(t), accepted) // both ends count
		time.Sleep(time.Second)
		p.want(w.push(t), refused(apns.BadCertificate))
		p.want(w.push(t), refused(apns.BadCertificate))
	})
}

// TestEnvironmentByName proves that Apple's names say which environment is
// wanted, whichever listener the provider came to.
func TestEnvironmentByName(t *testing.T) {
	w := newWorld(t)
	for _, tt := range []struct {
		address, serverName string
		want                apns.Environment
	}{
		{sandboxName, sandboxName, apns.Sandbox},
		{productionName, productionName, apns.Production},
		{productionName, "api.sandbox.push.apple.com", apns.Sandbox},
		{productionName, "api.development.push.apple.com", apns.Sandbox},
		{productionName, "API.Sandbox.Push.Apple.com", apns.Sandbox},
		{sandboxName, "api.push.apple.com", apns.Production},
		{productionName, "api-broadcast.sandbox.push.apple.com", apns.Sandbox},
		{sandboxName, "api-broadcast.push.apple.com", apns.Production},
		{productionName, "api-manage-broadcast.sandbox.push.apple.com", apns.Sandbox},
		{sandboxName, "api-manage-broadcast.push.apple.com", apns.Production},
		{productionName, "gateway.sandbox.push.apple.com", apns.Sandbox},
		{sandboxName, "gateway.push.apple.com", apns.Production},
		{productionName, "feedback.sandbox.push.apple.com", apns.Sandbox},
		{sandboxName, "feedback.push.apple.com", apns.Production},
		{sandboxName, productionName, apns.Sandbox},
	} {
		p := w.dial(t, dialing{address: tt.address, serverName: tt.serverName})
		for _, env := range apns.Environments {
			want := accepted
			if env != tt.want {
				want = refused(apns.BadDeviceToken)
			}
			if got := p.ask(w.push(t).to(w.deviceToken(t, demo, env))).outcome(); got != want {
				t.Errorf("%s at %s, device token of %v: got %s, want %s", tt.serverName, tt.address, env, got, want)
			}
		}
	}
}

// TestServerNameMissing proves that a provider that asks for no name, such as
// one that connects to an address, gets the listener's environment.
func TestServerNameMissing(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	raw, err := w.network.DialContext(ctx, "tcp", productionName+":443")
	if err != nil {
		t.Fatal(err)
	}
	// Without a name there is nothing to verify the gateway's certificate by.
	conn := tls.Client(raw, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}) //nolint:gosec // see above
	defer conn.Close()
	p := newPeer(t, conn)
	p.hello()
	for len(p.limits) == 0 {
		p.read()
	}
	p.want(w.push(t).to(w.deviceToken(t, demo, apns.Production)), accepted)
}
