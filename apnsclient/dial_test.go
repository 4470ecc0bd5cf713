package apnsclient

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heraldpush/herald/credential"
)

// dialer returns a dialer to g.
func (g *gateway) dialer(t *testing.T, change func(*dialerConfig)) *dialer {
	t.Helper()
	cfg := dialerConfig{
		addr: gatewayHost + ":443", serverName: gatewayHost, roots: g.roots(), dial: g.network.DialContext, timeout: 10 * time.Second,
	}
	if change != nil {
		change(&cfg)
	}
	d, err := newDialer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// echo has g repeat what it gets.
func (g *gateway) echo(t *testing.T) *gateway {
	t.Helper()
	return g.script(t, func(_ int, c *tls.Conn) {
		io.Copy(c, c) //nolint:errcheck // the other side sees how far it came
	})
}

// mustEcho proves that the gateway is at the other end of c, and closes it.
func mustEcho(t *testing.T, c net.Conn) {
	t.Helper()
	defer c.Close()
	if _, err := io.WriteString(c, "hello"); err != nil {
		t.Fatal(err)
	}
	var got [5]byte
	if _, err := io.ReadFull(c, got[:]); err != nil || string(got[:]) != "hello" {
		t.Fatalf("got %q, %v, want hello", got, err)
	}
}

func TestDial(t *testing.T) {
	g := newGateway(t).echo(t)
	var state tls.ConnectionState
	d := g.dialer(t, func(c *dialerConfig) {
		c.verify = func(s tls.ConnectionState) error { state = s; return nil }
	})
	c, address, err := d.dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if state.NegotiatedProtocol != "h2" || state.ServerName != gatewayHost {
		t.Errorf("got protocol %q with %q, want h2 with %q", state.NegotiatedProtocol, state.ServerName, gatewayHost)
	}
	if address != gatewayHost+":443" {
		t.Errorf("got address %q", address)
	}
	mustEcho(t, c)
}

func TestDialPinned(t *testing.T) {
	pinned := errors.New("another key than the one that was pinned")
	d := newGateway(t).echo(t).dialer(t, func(c *dialerConfig) {
		c.verify = func(tls.ConnectionState) error { return pinned }
	})
	if _, _, err := d.dial(t.Context()); !errors.Is(err, pinned) {
		t.Errorf("got %v, want the error of the pin", err)
	}
}

func TestDialALPN(t *testing.T) {
	const likely = "likely no push gateway"
	for _, tt := range []struct {
		name   string
		offers []string
		noALPN bool
		want   string // in the error; empty for none
	}{
		{"h2", []string{"http/1.1", "h2"}, false, ""},
		{"nothing", nil, false, likely},
		{"http/1.1 alone", []string{"http/1.1"}, false, likely},
		{"nothing, and not asked", nil, true, ""},
		{"not asked", []string{"h2"}, true, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newGateway(t)
			g.tls.NextProtos = tt.offers
			c, _, err := g.echo(t).dialer(t, func(c *dialerConfig) { c.noALPN = tt.noALPN }).dial(t.Context())
			switch {
			case tt.want == "" && err != nil:
				t.Fatal(err)
			case tt.want == "":
				mustEcho(t, c)
			case err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "NoALPN"):
				t.Errorf("got %v, want %q, and NoALPN", err, tt.want)
			}
		})
	}
}

func TestDialUntrusted(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*dialerConfig)
		want   []string
	}{
		{"authority", func(c *dialerConfig) { c.roots = newGateway(t).roots() }, []string{"CN=Test Root", "Roots", "proxy"}},
		{"name", func(c *dialerConfig) { c.serverName = "api.push.apple.com" }, []string{"api.push.apple.com", "ServerName"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := newGateway(t).echo(t).dialer(t, tt.change).dial(t.Context())
			if _, ok := errors.AsType[*tls.CertificateVerificationError](err); !ok {
				t.Fatalf("got %v, want a CertificateVerificationError", err)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %q, want it to name %q", err, want)
				}
			}
		})
	}
}

func TestDialWithoutTLS(t *testing.T) {
	g := newGateway(t)
	g.start(t, func() {
		if c, err := g.listener.Accept(); err == nil {
			defer c.Close()
			c.Read(make([]byte, 4<<10))                           //nolint:errcheck // what is read is of no interest
			io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n") //nolint:errcheck // the other side sees what comes
		}
	}, func() { g.listener.Close() })
	_, _, err := g.dialer(t, nil).dial(t.Context())
	if err == nil || !strings.Contains(err.Error(), "does not speak TLS on this port") {
		t.Errorf("got %v, want the hint that this is not TLS", err)
	}
}

func TestDialEndsAtItsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		g.start(t, func() {
			if c, err := g.listener.Accept(); err == nil {
				io.Copy(io.Discard, c) //nolint:errcheck // it says nothing
				c.Close()
			}
		}, func() { g.listener.Close() })
		began := time.Now()
		_, _, err := g.dialer(t, nil).dial(t.Context())
		if took := time.Since(began); took != 10*time.Second || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v after %v, want DeadlineExceeded after 10s", err, took)
		}
	})
}

// The certificate is asked for with each connection, so that it can be another
// one each time.
func TestDialPresents(t *testing.T) {
	g := newGateway(t)
	presented := make(chan string, 1)
	g.script(t, func(_ int, c *tls.Conn) {
		presented <- c.ConnectionState().PeerCertificates[0].Subject.CommonName
	})
	certificate, fault := g.certificate(t, g.root, credential.PushUniversal), error(nil)
	d := g.dialer(t, func(c *dialerConfig) {
		c.certificate = func() (*tls.Certificate, error) { return certificate, fault }
	})
	for _, kind := range []credential.PushKind{credential.PushUniversal, credential.PushVoIP} {
		certificate = g.certificate(t, g.root, kind)
		c, _, err := d.dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got, want := <-presented, certificate.Leaf.Subject.CommonName; got != want {
			t.Errorf("got certificate %q, want %q", got, want)
		}
		c.Close()
	}
	fault = errors.New("no certificate today")
	if _, _, err := d.dial(t.Context()); !errors.Is(err, fault) {
		t.Errorf("got %v, want %v", err, fault)
	}
}

// A gateway refuses a certificate in the handshake (TLS 1.2) or after it
// (TLS 1.3), and the sender hears of it whether it reads first or writes.
func TestDialCertificateIsRefused(t *testing.T) {
	for _, tt := range []struct {
		name    string
		version uint16
		use     func(c net.Conn) error // returns what ended it
	}{
		{"TLS 1.2", tls.VersionTLS12, nil},
		{"TLS 1.3, reading", tls.VersionTLS13, func(c net.Conn) error {
			_, err := c.Read(make([]byte, 1))
			return err
		}},
		{"TLS 1.3, writing", tls.VersionTLS13, func(c net.Conn) error {
			for {
				if _, err := c.Write(make([]byte, 1<<10)); err != nil {
					return err
				}
				synctest.Wait()
			}
		}},
		{"TLS 1.3, writing and reading", tls.VersionTLS13, func(c net.Conn) error {
			var reading sync.WaitGroup
			reading.Go(func() {
				if _, err := c.Read(make([]byte, 1)); err == nil {
					t.Error("read something")
				}
			})
			var err error
			for err == nil {
				_, err = c.Write(make([]byte, 1<<10))
				synctest.Wait()
			}
			c.Close()
			reading.Wait()
			return err
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newGateway(t)
				g.tls.MinVersion, g.tls.MaxVersion = tt.version, tt.version
				g.echo(t)
				certificate := g.certificate(t, newGateway(t).root, credential.PushUniversal)
				d := g.dialer(t, func(c *dialerConfig) {
					c.certificate = func() (*tls.Certificate, error) { return certificate, nil }
				})
				c, _, err := d.dial(t.Context())
				if tt.use != nil {
					if err != nil {
						t.Fatal(err)
					}
					err = tt.use(c)
					c.Close()
					err = d.explain(c, err)
				}
				refused, ok := errors.AsType[*CertificateError](err)
				if !ok || refused.Certificate != "Apple Push Services: com.example.demo" {
					t.Errorf("got %v, want a CertificateError with the certificate's name", err)
				}
			})
		})
	}
}

// What ends a connection otherwise stays what it is.
func TestExplainOtherEnds(t *testing.T) {
	g := newGateway(t).echo(t)
	d := g.dialer(t, nil)
	c, _, err := d.dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, err := range []error{io.EOF, &net.OpError{Op: "remote error", Err: errors.New("tls: internal error")}, nil} {
		if got := d.explain(c, err); !errors.Is(got, err) || got != nil && got.Error() != err.Error() {
			t.Errorf("got %v, want %v", got, err)
		}
	}
}
