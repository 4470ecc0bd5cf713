package apnsclient

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
	"github.com/heraldpush/herald/internal/memnet"
)

const (
	gatewayHost  = "gateway.example.com"
	topic        = apns.Topic("com.example.demo")
	deviceToken  = apns.DeviceToken("\x01\x02\x03\xfe")
	testID       = apns.NotificationID("eabeae54-14a8-11e5-b60b-1697f925ec7b")
	helloPayload = `{"aps":{"alert":"Hello"}}`
)

var hello = apns.Notification{Topic: topic, Payload: apns.Payload(helloPayload)}

// gateway is a gateway in memory: TLS with an authority of its own, and
// either an HTTP handler or a listener to do as one likes with.
type gateway struct {
	network  memnet.Network
	listener net.Listener
	root     credential.Authority
	tls      *tls.Config
	links    atomic.Int32 // connections accepted
	requests atomic.Int32
}

// newGateway starts to listen, and no more.
func newGateway(tb testing.TB) *gateway {
	tb.Helper()
	now := time.Now()
	validity := credential.Validity{NotBefore: now.Add(-time.Hour), NotAfter: now.Add(1000 * time.Hour)}
	g := new(gateway)
	key := newKey(tb)
	root, err := credential.NewRoot("Test Root", key, validity)
	if err != nil {
		tb.Fatal(err)
	}
	g.root = credential.Authority{Certificate: root, Key: key}
	serverKey := newKey(tb)
	leaf, err := g.root.IssueServer(credential.ServerProfile{DNSNames: []string{gatewayHost}}, serverKey.Public(), validity)
	if err != nil {
		tb.Fatal(err)
	}
	g.tls = &tls.Config{
		Certificates: []tls.Certificate{credential.Identity{Certificate: leaf, Key: serverKey}.TLS()},
		NextProtos:   []string{"h2"},
		ClientAuth:   tls.VerifyClientCertIfGiven,
		ClientCAs:    g.roots(),
	}
	l, err := g.network.Listen(gatewayHost + ":443")
	if err != nil {
		tb.Fatal(err)
	}
	g.listener = counting{l, &g.links}
	return g
}

// counting counts the connections that it accepts.
type counting struct {
	net.Listener
	n *atomic.Int32
}

func (l counting) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		l.n.Add(1)
	}
	return c, err
}

func newKey(tb testing.TB) *ecdsa.PrivateKey {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

func (g *gateway) roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(g.root.Certificate)
	return pool
}

// serve answers each push with handler.
func (g *gateway) serve(t *testing.T, handler http.HandlerFunc) *gateway {
	t.Helper()
	srv := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			g.requests.Add(1)
			handler(w, r)
		}),
		TLSConfig:         g.tls,
		ReadHeaderTimeout: time.Minute,
		ErrorLog:          log.New(io.Discard, "", 0),
	}
	g.start(t, func() {
		if err := srv.ServeTLS(g.listener, "", ""); !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("serving: %v", err)
		}
	}, func() { srv.Close() })
	return g
}

// script has each connection handled by f, after the handshake, in a goroutine
// that ends before the test does. The connection is closed after it.
func (g *gateway) script(t *testing.T, f func(n int, c *tls.Conn)) *gateway {
	t.Helper()
	var conns sync.WaitGroup
	var open sync.Map
	g.start(t, func() {
		for n := 1; ; n++ {
			raw, err := g.listener.Accept()
			if err != nil {
				break
			}
			conns.Go(func() {
				c := tls.Server(raw, g.tls)
				open.Store(c, nil)
				defer c.Close()
				if c.HandshakeContext(t.Context()) == nil {
					f(n, c)
				}
			})
		}
		open.Range(func(c, _ any) bool {
			if c, ok := c.(*tls.Conn); ok {
				c.NetConn().Close()
			}
			return true
		})
		conns.Wait()
	}, func() { g.listener.Close() })
	return g
}

// start runs serve until the test ends and stop was called.
func (g *gateway) start(t *testing.T, serve, stop func()) {
	t.Helper()
	var running sync.WaitGroup
	running.Go(serve)
	t.Cleanup(func() {
		stop()
		running.Wait()
	})
}

// config returns what a sender needs to reach g, but for a credential.
func (g *gateway) config() Config {
	return Config{
		Environment: apns.Production,
		Host:        gatewayHost,
		Roots:       g.roots(),
		Dial:        g.network.DialContext,
	}
}

// withKey returns the same with provider tokens.
func (g *gateway) withKey(tb testing.TB) Config {
	tb.Helper()
	cfg := g.config()
	cfg.ProviderTokens = newTokens(tb)
	return cfg
}

func newTokens(tb testing.TB) *ProviderTokens {
	tb.Helper()
	tokens, err := NewProviderTokens("ABCDE12345", "2X9R4HXF34", newKey(tb))
	if err != nil {
		tb.Fatal(err)
	}
	return tokens
}

// certificate issues a push certificate, by the gateway's root or by another.
func (g *gateway) certificate(t *testing.T, by credential.Authority, kind credential.PushKind) *tls.Certificate {
	t.Helper()
	key := newKey(t)
	now := time.Now()
	c, err := by.IssuePush(credential.PushProfile{
		Kind: kind, BundleID: topic, TeamID: "ABCDE12345", Organization: "Example",
	}, key.Public(), credential.Validity{NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	id := credential.Identity{Certificate: c, Key: key}.TLS()
	return &id
}

func newSender(tb testing.TB, cfg Config) *Sender {
	tb.Helper()
	s, err := New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Errorf("closing: %v", err)
		}
	})
	return s
}

// reply writes an answer as a gateway does.
func reply(w http.ResponseWriter, r *http.Request, status int, body string) {
	w.Header().Set("apns-id", r.Header.Get("apns-id"))
	w.WriteHeader(status)
	io.WriteString(w, body) //nolint:errcheck // the sender sees what comes
}

func accept(w http.ResponseWriter, r *http.Request) { reply(w, r, 200, "") }

// bearer returns the provider token of a request.
func bearer(r *http.Request) string {
	s, _ := strings.CutPrefix(r.Header.Get("authorization"), "bearer ")
	return s
}
