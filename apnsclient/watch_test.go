package apnsclient

import (
	"crypto/tls"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"golang.org/x/net/http2"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
)

func TestGoAwayReasonIsTheRejection(t *testing.T) {
	tests := []struct {
		name string
		code http2.ErrCode
		body string
		want apns.Reason
	}{
		{"environment", http2.ErrCodeNo, `{"reason":"BadCertificateEnvironment"}`, apns.BadCertificateEnvironment},
		{"with an error code", http2.ErrCodeProtocol, `{"reason":"BadCertificate"}`, apns.BadCertificate},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newGateway(t).script(t, func(_ int, c *tls.Conn) {
					p := greet(t, c)
					p.push()
					p.must(p.WriteGoAway(0, tt.code, []byte(tt.body)))
					if tt.code == http2.ErrCodeNo { // a second one has been seen
						p.must(p.WriteGoAway(0, tt.code, nil))
					}
					p.drain()
				})
				cfg := g.config()
				cfg.Certificate = g.certificate(t, g.root, credential.PushUniversal)
				s := newSender(t, cfg)
				_, err := s.Push(t.Context(), deviceToken, hello)
				var got *apns.Rejection
				if !errors.As(err, &got) || got.Reason != tt.want || got.Status != 403 {
					t.Errorf("got %v, want 403 %s", err, tt.want)
				}
				if n := g.links.Load(); n != 1 {
					t.Errorf("got %d connections, want 1: another would be told the same", n)
				}
			})
		})
	}
}

// A GOAWAY before any push is told to the push that waited for the connection.
func TestGoAwayAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t).script(t, func(_ int, c *tls.Conn) {
			p := greet(t, c)
			p.must(p.WriteGoAway(0, http2.ErrCodeNo, []byte(`{"reason":"BadCertificateEnvironment"}`)))
			p.drain()
		})
		cfg := g.config()
		cfg.Certificate = g.certificate(t, g.root, credential.PushUniversal)
		_, err := newSender(t, cfg).Push(t.Context(), deviceToken, hello)
		if !errors.Is(err, apns.Reject(apns.BadCertificateEnvironment, "")) {
			t.Errorf("got %v, want BadCertificateEnvironment", err)
		}
	})
}

// What the gateway did not begin with goes over another connection, and
// nobody is told.
func TestGoAwayForRotationMovesThePush(t *testing.T) {
	for _, body := range []string{"", `{"reason":"Shutdown"}`, `{"reason":"IdleTimeout"}`} {
		t.Run(body, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newGateway(t).script(t, func(n int, c *tls.Conn) {
					p := greet(t, c)
					first := p.push()
					p.accept(first)
					if second := p.push(); n == 1 {
						p.must(p.WriteGoAway(first, http2.ErrCodeNo, []byte(body)))
					} else if second != 0 {
						p.accept(second)
					}
					p.drain()
				})
				s := newSender(t, g.withKey(t))
				for range 2 {
					if _, err := s.Push(t.Context(), deviceToken, hello); err != nil {
						t.Error(err)
					}
				}
				if n := g.links.Load(); n != 2 {
					t.Errorf("got %d connections, want 2", n)
				}
			})
		})
	}
}

// A GOAWAY that took the push in, and an end without an answer to it: nobody
// knows what became of it, whatever the reason given.
func TestGoAwayAfterThePushWasTakenIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t).script(t, func(_ int, c *tls.Conn) {
			p := greet(t, c)
			p.must(p.WriteGoAway(p.push(), http2.ErrCodeNo, []byte(`{"reason":"Forbidden"}`)))
		})
		_, err := newSender(t, g.withKey(t)).Push(t.Context(), deviceToken, hello)
		if _, ok := errors.AsType[*UnansweredError](err); !ok || !strings.Contains(err.Error(), "Forbidden") {
			t.Errorf("got %v, want an UnansweredError that tells of the reason", err)
		}
		if n := g.links.Load(); n != 1 {
			t.Errorf("got %d connections, want 1: the push must not be repeated", n)
		}
	})
}

// A gateway under TLS 1.3 refuses a certificate when the handshake is over for
// the sender.
func TestCertificateIsRefused(t *testing.T) {
	for name, version := range map[string]uint16{"TLS 1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newGateway(t)
				g.tls.MinVersion, g.tls.MaxVersion = version, version
				g.serve(t, accept)
				other := newGateway(t).root // an authority that the gateway does not know
				cfg := g.config()
				cfg.Certificate = g.certificate(t, other, credential.PushUniversal)
				s := newSender(t, cfg)
				for range 2 { // the second waits for its turn to connect
					_, err := s.Push(t.Context(), deviceToken, hello)
					if _, ok := errors.AsType[*CertificateError](err); !ok {
						t.Fatalf("got %v, want a CertificateError", err)
					}
					if want := `the gateway refused the certificate "Apple Push Services: com.example.demo": `; !strings.HasPrefix(err.Error(), want) {
						t.Errorf("got %q, want it to start with %q", err, want)
					}
				}
			})
		})
	}
}

func TestGatewayWantsACertificate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		g.tls.ClientAuth = tls.RequireAndVerifyClientCert
		g.serve(t, accept)
		_, err := newSender(t, g.withKey(t)).Push(t.Context(), deviceToken, hello)
		var refused *CertificateError
		if !errors.As(err, &refused) || refused.Certificate != "" {
			t.Errorf("got %v, want a CertificateError without a name", err)
		}
	})
}
