package h2

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/heraldpush/herald/internal/memnet"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// certificate returns a certificate for localhost and a pool with it.
func certificate(tb testing.TB) (tls.Certificate, *x509.CertPool) {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		tb.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// over runs test with the clients of net/http and x/net over each kind of
// connection. All must be gone when it returns.
func over(t *testing.T, cfg Config, test func(t *testing.T, client *http.Client)) {
	t.Helper()
	cert, pool := certificate(t)
	// Without ALPN too, as several real clients do it.
	for _, name := range []string{"memory", "TLS", "TLS without ALPN"} {
		t.Run(name, func(t *testing.T) {
			before := runtime.NumGoroutine()
			ctx, cancel := context.WithCancel(t.Context())
			var conns sync.WaitGroup
			serve := func(nc net.Conn) {
				conns.Go(func() {
					if tc, ok := nc.(*tls.Conn); ok {
						if err := tc.HandshakeContext(ctx); err != nil {
							// A client dials more than it needs and gives the rest
							// up; a handshake that mattered makes a request fail.
							t.Logf("handshake: %v, closing: %v", err, nc.Close())
							return
						}
					}
					err := NewConn(nc, cfg).Serve(ctx)
					t.Logf("Serve: %v", err)
				})
			}
			dial := func(ctx context.Context) (net.Conn, error) {
				near, far := memnet.Pipe()
				if name == "memory" {
					serve(far)
					return near, nil
				}
				var protos []string
				if name == "TLS" {
					protos = []string{"h2"}
				}
				serve(tls.Server(far, &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: protos}))
				tc := tls.Client(near, &tls.Config{RootCAs: pool, ServerName: "localhost", NextProtos: protos})
				return tc, tc.HandshakeContext(ctx)
			}
			client := &http.Client{Timeout: 20 * time.Second}
			if name == "TLS" {
				client.Transport = &http2.Transport{ //nolint:staticcheck // a real peer beside that of net/http
					DialTLSContext: func(ctx context.Context, _, _ string, _ *tls.Config) (net.Conn, error) { return dial(ctx) }, //nolint:staticcheck // as above
				}
			} else {
				// With prior knowledge net/http asks neither for TLS nor for ALPN.
				tr := &http.Transport{Protocols: new(http.Protocols)}
				tr.Protocols.SetUnencryptedHTTP2(true)
				tr.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) }
				client.Transport = tr
			}
			test(t, client)
			client.CloseIdleConnections()
			cancel()
			conns.Wait()
			for range 1000 {
				if runtime.NumGoroutine() <= before {
					return
				}
				runtime.Gosched()
				<-time.After(time.Millisecond)
			}
			t.Errorf("goroutines: got %d, want %d", runtime.NumGoroutine(), before)
		})
	}
}

// exchange posts body and returns status and body of the answer.
func exchange(ctx context.Context, client *http.Client, body []byte) (int, string, error) {
	scheme := "http"
	if _, ok := client.Transport.(*http2.Transport); ok { //nolint:staticcheck // see over
		scheme = "https"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, scheme+"://localhost/3/device/00", bytes.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	b, err := io.ReadAll(resp.Body)
	if err := resp.Body.Close(); err != nil {
		return 0, "", err
	}
	return resp.StatusCode, string(b), err
}

func TestRealClient(t *testing.T) {
	cfg := Config{MaxBodyBytes: 4096, Handler: handlerFunc(func(r *Request) {
		answer := func() {
			status := 200
			if r.BodyTooLarge {
				status = 413
			}
			r.Respond(status, []hpack.HeaderField{{Name: "content-type", Value: "text/plain"}}, r.Body)
		}
		if r.StreamID()%4 == 1 {
			go answer()
			return
		}
		answer()
	})}
	over(t, cfg, func(t *testing.T, client *http.Client) {
		t.Helper()
		var wg sync.WaitGroup
		for i := range 500 {
			wg.Go(func() {
				body := fmt.Sprintf("%d %s", i, strings.Repeat("x", i*7%4000))
				status, got, err := exchange(t.Context(), client, []byte(body))
				if err != nil || status != 200 || got != body {
					t.Errorf("request %d: got %d, %d bytes, %v; want 200, %d bytes", i, status, len(got), err, len(body))
				}
			})
		}
		wg.Wait()
		status, got, err := exchange(t.Context(), client, make([]byte, 300_000))
		if err != nil || status != 413 || len(got) != 4096 {
			t.Errorf("body too large: got %d, %d bytes, %v", status, len(got), err)
		}
	})
}

// A client that meets a limit that changes all the time loses nothing. (With
// StrictMaxConcurrentStreams, x/net v0.62 counts the requests that wait for
// the limit against it, and may wait for ever.)
func TestRealClientAndLimits(t *testing.T) {
	cfg := Config{MaxConcurrentStreams: 1, Handler: handlerFunc(func(r *Request) {
		r.Conn().SetMaxConcurrentStreams(r.StreamID()/2%7 + 1)
		go r.Respond(200, nil, nil)
	})}
	over(t, cfg, func(t *testing.T, client *http.Client) {
		t.Helper()
		var wg sync.WaitGroup
		for i := range 150 {
			wg.Go(func() {
				if status, _, err := exchange(t.Context(), client, []byte("x")); err != nil || status != 200 {
					t.Errorf("request %d: got %d, %v; want 200", i, status, err)
				}
			})
		}
		wg.Wait()
	})
}

// A client that is told to go elsewhere in the middle of its work loses nothing.
func TestRealClientAndGoAway(t *testing.T) {
	cfg := Config{Handler: handlerFunc(func(r *Request) {
		if r.StreamID() > 100 {
			r.Conn().GoAway(http2.ErrCodeNo, []byte(shutdown))
		}
		go r.Respond(200, nil, []byte("done"))
	})}
	over(t, cfg, func(t *testing.T, client *http.Client) {
		t.Helper()
		var wg sync.WaitGroup
		for i := range 150 {
			wg.Go(func() {
				status, got, err := exchange(t.Context(), client, []byte("x"))
				if err != nil || status != 200 || got != "done" {
					t.Errorf("request %d: got %d %q, %v; want 200", i, status, got, err)
				}
			})
		}
		wg.Wait()
	})
}
