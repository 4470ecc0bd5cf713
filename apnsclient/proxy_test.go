package apnsclient

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heraldpush/herald/credential"
)

const proxyHost = "proxy.example.com"

// proxied starts a proxy beside g, which handles each connection with f. Where
// f returns an address, the connection is a tunnel to it from then on.
func (g *gateway) proxied(t *testing.T, secure bool, f func(c net.Conn, r *bufio.Reader) string) {
	t.Helper()
	l, err := g.network.Listen(proxyHost + ":8080")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if secure {
				key := newKey(t)
				now := time.Now()
				leaf, err := g.root.IssueServer(credential.ServerProfile{DNSNames: []string{proxyHost}}, key.Public(),
					credential.Validity{NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour)})
				if err != nil {
					t.Error(err)
				}
				c = tls.Server(c, &tls.Config{Certificates: []tls.Certificate{credential.Identity{Certificate: leaf, Key: key}.TLS()}})
			}
			serving.Go(func() {
				defer c.Close()
				r := bufio.NewReader(c)
				addr := f(c, r)
				if addr == "" {
					return
				}
				far, err := g.network.DialContext(t.Context(), "tcp", addr)
				if err != nil {
					t.Errorf("tunnel: %v", err)
					return
				}
				defer far.Close()
				var tunnel sync.WaitGroup
				tunnel.Go(func() {
					io.Copy(far, r) //nolint:errcheck // the ends see how far it came
					far.Close()
				})
				io.Copy(c, far) //nolint:errcheck // the ends see how far it came
				c.Close()
				tunnel.Wait()
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		serving.Wait()
	})
}

// via returns a dialer to g through the proxy.
func (g *gateway) via(t *testing.T, proxy string) *dialer {
	t.Helper()
	u, err := url.Parse(proxy)
	if err != nil {
		t.Fatal(err)
	}
	return g.dialer(t, func(c *dialerConfig) { c.proxy = u })
}

// says answers what was read up to an empty line with text.
func says(text string) func(net.Conn, *bufio.Reader) string {
	return func(c net.Conn, r *bufio.Reader) string {
		for {
			if line, err := r.ReadString('\n'); err != nil || line == "\r\n" {
				break
			}
		}
		io.WriteString(c, text) //nolint:errcheck // the other side sees what comes
		return ""
	}
}

// converse reads and writes in turn: what is read has to be as given.
func converse(t *testing.T, c net.Conn, r *bufio.Reader, steps ...string) bool {
	t.Helper()
	for i, s := range steps {
		if i%2 == 1 {
			io.WriteString(c, s) //nolint:errcheck // the other side sees what comes
			continue
		}
		got := make([]byte, len(s))
		if _, err := io.ReadFull(r, got); err != nil || string(got) != s {
			t.Errorf("step %d: got %q, %v, want %q", i, got, err, s)
			return false
		}
	}
	return true
}

const (
	socksAskName  = "\x05\x01\x00\x03\x13gateway.example.com\x01\xbb"
	socksGood     = "\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00"
	socksGoodIPv6 = "\x05\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	socksGoodName = "\x05\x00\x00\x03\x03abc\x00\x00"
)

func TestProxyOpens(t *testing.T) {
	const connect = "CONNECT gateway.example.com:443 HTTP/1.1\r\nHost: gateway.example.com:443\r\n"
	for _, tt := range []struct {
		name, url string
		steps     []string // what the proxy reads and writes in turn
	}{
		{"http", "http://proxy.example.com:8080", []string{connect + "\r\n", "HTTP/1.1 200 Connection established\r\n\r\n"}},
		{"http, HTTP/1.0 answer with fields", "http://proxy.example.com:8080/", []string{
			connect + "\r\n", "HTTP/1.0 200 OK\r\nVia: a proxy\r\nContent-Length: 0\r\n\r\n",
		}},
		{"http with password", "http://me:se%20cret@proxy.example.com:8080", []string{
			connect + "Proxy-Authorization: Basic bWU6c2UgY3JldA==\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n",
		}},
		{"https", "https://proxy.example.com:8080", []string{connect + "\r\n", "HTTP/1.1 200 OK\r\n\r\n"}},
		{"socks5", "socks5://proxy.example.com:8080", []string{"\x05\x01\x00", "\x05\x00", socksAskName, socksGood}},
		{"socks5h with password", "socks5h://me:secret@proxy.example.com:8080", []string{
			"\x05\x02\x00\x02", "\x05\x02", "\x01\x02me\x06secret", "\x01\x00", socksAskName, socksGoodIPv6,
		}},
		{"socks5 with password that is not wanted", "socks5://me:secret@proxy.example.com:8080", []string{
			"\x05\x02\x00\x02", "\x05\x00", socksAskName, socksGoodName,
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newGateway(t).echo(t)
			g.proxied(t, strings.HasPrefix(tt.url, "https:"), func(c net.Conn, r *bufio.Reader) string {
				if !converse(t, c, r, tt.steps...) {
					return ""
				}
				return gatewayHost + ":443"
			})
			c, address, err := g.via(t, tt.url).dial(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if want := "gateway.example.com:443 by way of proxy.example.com:8080"; address != want {
				t.Errorf("got address %q, want %q", address, want)
			}
			mustEcho(t, c)
		})
	}
}

func TestProxyRefuses(t *testing.T) {
	const (
		plain    = "http://proxy.example.com:8080"
		named    = "http://me:secret@proxy.example.com:8080"
		socks    = "socks5://proxy.example.com:8080"
		socksAs  = "socks5://me:secret@proxy.example.com:8080"
		wantUser = "give a user and password"
	)
	steps := func(steps ...string) func(net.Conn, *bufio.Reader) string {
		return func(c net.Conn, r *bufio.Reader) string {
			for i, s := range steps {
				if i%2 == 1 {
					io.WriteString(c, s) //nolint:errcheck // the other side sees what comes
				} else {
					io.ReadFull(r, make([]byte, len(s))) //nolint:errcheck // what is read is of no interest
				}
			}
			return ""
		}
	}
	for _, tt := range []struct {
		name, url string
		proxy     func(net.Conn, *bufio.Reader) string
		status    int
		want      string
	}{
		{"407 without a user", plain, says("HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"x\"\r\n\r\n"), 407, wantUser},
		{"407 without a scheme", plain, says("HTTP/1.1 407 Who\r\n\r\n"), 407, wantUser},
		{"407 with the wrong one", named, says("HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"x\"\r\n\r\n"), 407, "are wrong"},
		{"407 NTLM", named, says("HTTP/1.1 407 No\r\nProxy-Authenticate: NTLM\r\nProxy-Authenticate: Negotiate\r\n\r\n"), 407, "it wants NTLM or Negotiate"},
		{"403", plain, says("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"), 403, "have it allow CONNECT"},
		{"502", plain, says("HTTP/1.1 502 Bad Gateway\r\n\r\n"), 502, "cannot reach the gateway"},
		{"404", plain, says("HTTP/1.1 404 Not Found\r\n\r\n"), 404, `"404 Not Found"`},
		{"garbage", plain, says("SSH-2.0-OpenSSH_9.6\r\n\r\n"), 0, "HTTP proxy"},
		{"nothing", plain, says(""), 0, "without one"},
		{"endless", plain, says("HTTP/1.1 200 OK\r\nA: " + strings.Repeat("x", 100<<10)), 0, "has no end"},
		{"more than the answer", plain, says("HTTP/1.1 200 OK\r\n\r\nmore"), 0, "more than its answer"},
		{"cut short", plain, says("HTTP/1.1 200 OK\r\n"), 0, "no end"},
		{"not TLS", "https://proxy.example.com:8080", steps("\x16", "HTTP/1.1 400 Bad Request\r\n\r\n"), 0, "does not speak TLS"},
		{"socks wants a password", socks, steps("\x05\x01\x00", "\x05\xff"), 0, wantUser},
		{"socks refuses the password", socksAs, steps("\x05\x02\x00\x02", "\x05\x02", "\x01\x02me\x06secret", "\x01\x01"), 0, "refused user and password"},
		{"socks wants Kerberos", socksAs, steps("\x05\x02\x00\x02", "\x05\x01"), 0, "another proof"},
		{"socks takes a method that was not offered", socks, steps("\x05\x01\x00", "\x05\x02"), 0, "another proof"},
		{"socks by its rules", socks, steps("\x05\x01\x00", "\x05\x00", socksAskName, "\x05\x02\x00\x01"), 0, "rules do not allow"},
		{"socks without the host", socks, steps("\x05\x01\x00", "\x05\x00", socksAskName, "\x05\x04\x00\x01"), 0, "does not know the name"},
		{"socks with a new reply", socks, steps("\x05\x01\x00", "\x05\x00", socksAskName, "\x05\x63\x00\x01"), 0, "reply 99"},
		{"socks that is HTTP", socks, steps("\x05\x01\x00", "HTTP/1.1 400 Bad Request\r\n\r\n"), 0, "does not speak SOCKS5"},
		{"socks with a strange answer", socks, steps("\x05\x01\x00", "\x05\x00", socksAskName, "\x05\x00\x00\x09"), 0, "makes no sense"},
		{"socks that closes", socks, steps("\x05\x01\x00"), 0, "closed the connection"},
		{"socks that closes later", socks, steps("\x05\x01\x00", "\x05\x00", socksAskName, "\x05\x00\x00\x01\x00"), 0, "closed the connection"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newGateway(t)
			g.proxied(t, false, tt.proxy)
			_, _, err := g.via(t, tt.url).dial(t.Context())
			refused, ok := errors.AsType[*ProxyError](err)
			if !ok {
				t.Fatalf("got %v, want a ProxyError", err)
			}
			if refused.Status != tt.status || refused.Proxy != "proxy.example.com:8080" || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got status %d of %q: %v, want status %d, and %q", refused.Status, refused.Proxy, err, tt.status, tt.want)
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("got %q: it tells the password", err)
			}
		})
	}
}

func TestProxyIsNotThere(t *testing.T) {
	_, _, err := newGateway(t).via(t, "http://proxy.example.com").dial(t.Context())
	if refused, ok := errors.AsType[*ProxyError](err); !ok || refused.Proxy != "proxy.example.com:80" || refused.Err == nil {
		t.Errorf("got %v, want a ProxyError that wraps why", err)
	}
}

// A proxy that never answers costs the time for connecting, and no more.
func TestProxyIsSlow(t *testing.T) {
	for _, scheme := range []string{"http", "https", "socks5"} {
		t.Run(scheme, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newGateway(t)
				g.proxied(t, false, func(_ net.Conn, r *bufio.Reader) string {
					io.Copy(io.Discard, r) //nolint:errcheck // it says nothing
					return ""
				})
				began := time.Now()
				_, _, err := g.via(t, scheme+"://proxy.example.com:8080").dial(t.Context())
				if took := time.Since(began); took != 10*time.Second || !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("got %v after %v, want DeadlineExceeded after 10s", err, took)
				}
				if _, ok := errors.AsType[*ProxyError](err); !ok {
					t.Errorf("got %v, want a ProxyError", err)
				}
			})
		})
	}
}

// A proxy that leads elsewhere does not get the pushes: TLS is verified to the
// name of the gateway.
func TestProxyLeadsElsewhere(t *testing.T) {
	g := newGateway(t).echo(t)
	g.proxied(t, false, func(c net.Conn, r *bufio.Reader) string {
		says("HTTP/1.1 200 OK\r\n\r\n")(c, r)
		return gatewayHost + ":443"
	})
	d := g.dialer(t, func(c *dialerConfig) {
		c.addr, c.serverName = "api.push.apple.com:443", "api.push.apple.com"
		c.proxy = &url.URL{Scheme: "http", Host: proxyHost + ":8080"}
	})
	_, _, err := d.dial(t.Context())
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); !ok {
		t.Errorf("got %v, want a CertificateVerificationError", err)
	}
}

func TestNewProxyRefuses(t *testing.T) {
	for _, tt := range []struct{ url, want string }{
		{"ftp://me:secret@proxy.example.com", "scheme"},
		{"proxy.example.com:8080", "scheme"},
		{"http://", "no host"},
		{"http://proxy.example.com/path", "path"},
		{"http://proxy.example.com?secret", "path"},
		{"socks5://:secret@proxy.example.com", "1 to 255 bytes"},
		{"socks5://" + strings.Repeat("x", 256) + "@proxy.example.com", "1 to 255 bytes"},
	} {
		u, err := url.Parse(tt.url)
		if err != nil {
			t.Fatal(err)
		}
		_, err = newDialer(dialerConfig{proxy: u})
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: got %v, want an error with %q and no secret", tt.url, err, tt.want)
		}
	}
}

func TestProxyFromEnvironment(t *testing.T) {
	for _, name := range []string{"HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "HTTP_PROXY", "http_proxy"} {
		t.Setenv(name, "")
	}
	for _, tt := range []struct{ proxy, except, host, want string }{
		{"", "", "api.push.apple.com", ""},
		{"http://proxy.example.com:3128", "", "api.push.apple.com", "http://proxy.example.com:3128"},
		{"proxy.example.com:3128", "", "api.push.apple.com:2197", "http://proxy.example.com:3128"},
		{"socks5://me:secret@proxy.example.com", ".example.com", "api.push.apple.com", "socks5://me:secret@proxy.example.com"},
		{"http://proxy.example.com:3128", ".example.com", "gateway.example.com:443", ""},
		{"http://proxy.example.com:3128", "", "localhost:2197", ""},
	} {
		t.Setenv("HTTPS_PROXY", tt.proxy)
		t.Setenv("NO_PROXY", tt.except)
		u, err := ProxyFromEnvironment(tt.host)
		got := ""
		if u != nil {
			got = u.String()
		}
		if err != nil || got != tt.want {
			t.Errorf("%+v: got %q, %v", tt, got, err)
		}
	}
	// What cannot be read is told, and not passed by.
	for _, bad := range []string{"http://[::1", "http://me:secret@proxy example:3128", "%"} {
		t.Setenv("HTTPS_PROXY", bad)
		if u, err := ProxyFromEnvironment("api.push.apple.com"); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: got %v, %v, want an error without the password", bad, u, err)
		}
	}
}

// FuzzProxyAnswer: whatever a proxy says, it is an answer or an error.
func FuzzProxyAnswer(f *testing.F) {
	for _, s := range []string{
		"HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 407 No\r\nProxy-Authenticate: NTLM\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
		"\x05\x00" + socksGood, "\x05\x02\x01\x00" + socksGoodName, "\x05\x00" + socksGoodIPv6, "\x05\xff",
	} {
		f.Add([]byte(s), true)
		f.Add([]byte(s), false)
	}
	f.Fuzz(func(t *testing.T, said []byte, http bool) {
		p := &proxy{addr: "proxy.example.com:1", user: url.UserPassword("me", "secret")}
		c := &scriptedConn{in: said}
		var err error
		if http {
			err = p.connect(c, "gateway.example.com:443")
		} else {
			err = p.socks(c, "gateway.example.com:443")
		}
		if err != nil && (strings.Contains(err.Error(), "secret") || len(err.Error()) > 1000) {
			t.Errorf("got %q", err)
		}
	})
}

// scriptedConn answers with in, and takes what is written.
type scriptedConn struct {
	net.Conn
	in []byte
}

func (c *scriptedConn) Read(b []byte) (int, error) {
	if len(c.in) == 0 {
		return 0, io.EOF
	}
	n := copy(b, c.in)
	c.in = c.in[n:]
	return n, nil
}

func (c *scriptedConn) Write(b []byte) (int, error) { return len(b), nil }

// A push goes through the proxy, and says so where it does not get through.
func TestPushThroughProxy(t *testing.T) {
	for _, tt := range []struct {
		name, url string
		proxy     func(t *testing.T) func(net.Conn, *bufio.Reader) string
		want      string // in the error; empty for none
	}{
		{"http", "http://proxy.example.com:8080", func(*testing.T) func(net.Conn, *bufio.Reader) string {
			return func(c net.Conn, r *bufio.Reader) string {
				says("HTTP/1.1 200 OK\r\n\r\n")(c, r)
				return gatewayHost + ":443"
			}
		}, ""},
		{"socks5", "socks5://proxy.example.com:8080", func(t *testing.T) func(net.Conn, *bufio.Reader) string {
			t.Helper()
			return func(c net.Conn, r *bufio.Reader) string {
				converse(t, c, r, "\x05\x01\x00", "\x05\x00", socksAskName, socksGood)
				return gatewayHost + ":443"
			}
		}, ""},
		{"refused", "http://proxy.example.com:8080", func(*testing.T) func(net.Conn, *bufio.Reader) string {
			return says("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
		}, "give a user and password in the proxy's URL"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newGateway(t).serve(t, accept)
				g.proxied(t, false, tt.proxy(t))
				cfg := g.withKey(t)
				var err error
				if cfg.Proxy, err = url.Parse(tt.url); err != nil {
					t.Fatal(err)
				}
				_, err = newSender(t, cfg).Push(t.Context(), deviceToken, hello)
				switch _, proxied := errors.AsType[*ProxyError](err); {
				case tt.want == "" && err != nil:
					t.Error(err)
				case tt.want != "" && (!proxied || OutcomeOf(err) != ConnectionFault || !strings.Contains(err.Error(), tt.want)):
					t.Errorf("got %v, want a ProxyError in an UnsentError: %q", err, tt.want)
				}
			})
		})
	}
}
