package scripted_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heraldpush/herald/apnstest/scripted"
)

// TestDial shows the ways in which dialling can go.
func TestDial(t *testing.T) {
	refused := func(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }
	ended := func(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, syscall.EPIPE) }
	alert := func(err error) bool { return err != nil && strings.Contains(err.Error(), "bad certificate") }
	late := func(err error) bool { return errors.Is(err, context.DeadlineExceeded) }
	for _, tt := range []struct {
		name   string
		script scripted.Script
		down   bool
		want   func(error) bool
	}{
		{"well", scripted.Script{}, false, func(err error) bool { return err == nil }},
		{"down", scripted.Script{}, true, refused},
		{"closed when accepted", scripted.Script{Refuse: true}, false, ended},
		{"an alert in place of an answer", scripted.Script{Handshake: scripted.HandshakeAlert}, false, alert},
		{"no answer", scripted.Script{Handshake: scripted.HandshakeNever}, false, late},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inFrames(t, func(t peerScene) {
				t.g.Script(tt.script)
				t.g.Down(tt.down)
				nc, err := dial(seconds(t.T, 10), t.g)
				if !tt.want(err) {
					t.Errorf("got %v", err)
				}
				if nc != nil {
					defer nc.Close()
				}
			})
		})
	}
}

// TestRefusedCertificate shows a connection that looks well until it is read: so goes
// TLS 1.3 with a certificate that is not taken.
func TestRefusedCertificate(t *testing.T) {
	inFrames(t, func(t peerScene) {
		t.g.Script(scripted.Script{Handshake: scripted.HandshakeRefused})
		nc, err := dial(t.Context(), t.g)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		_, err = nc.Read(make([]byte, 1))
		if err == nil || !strings.Contains(err.Error(), "bad certificate") {
			t.Errorf("got %v, want the alert", err)
		}
	})
}

// TestRoots shows that nobody takes the gateway for Apple's who was not told to.
func TestRoots(t *testing.T) {
	inFrames(t, func(t peerScene) {
		nc, err := t.g.Dial(t.Context(), "tcp", "api.push.apple.com:443")
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		var unknown x509.UnknownAuthorityError
		secure := tls.Client(nc, &tls.Config{ServerName: "api.push.apple.com", RootCAs: x509.NewCertPool()})
		if err := secure.HandshakeContext(t.Context()); !errors.As(err, &unknown) {
			t.Errorf("got %v, want an unknown authority", err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(t.g.RootPEM()) || !pool.Equal(t.g.Roots()) {
			t.Error("the root as PEM is another")
		}
	})
}

// TestNoALPN shows a gateway from the time before ALPN, and TestPlain one without
// TLS.
func TestNoALPN(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := scripted.Config{NoALPN: true}.New(t)
		nc, err := dial(t.Context(), g)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		secure, ok := nc.(*tls.Conn)
		if !ok {
			t.Fatalf("got a %T", nc)
		}
		if got := secure.ConnectionState(); got.NegotiatedProtocol != "" || !got.HandshakeComplete {
			t.Errorf("got %q, want no protocol", got.NegotiatedProtocol)
		}
	})
}

func TestPlain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := scripted.Config{Plain: true}.New(t)
		rt := &http.Transport{Protocols: new(http.Protocols), DialContext: g.Dial}
		rt.Protocols.SetUnencryptedHTTP2(true)
		defer rt.CloseIdleConnections()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.URL()+"/3/device/00", strings.NewReader(payload))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := rt.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != 200 || resp.ProtoMajor != 2 {
			t.Errorf("got %s %s", resp.Proto, resp.Status)
		}
	})
}

// TestListen pushes over a socket, as a program does that knows neither memory nor
// bubbles.
func TestListen(t *testing.T) {
	g := scripted.Listen(t)
	rt := &http.Transport{
		ForceAttemptHTTP2: true,
		TLSClientConfig:   &tls.Config{RootCAs: g.Roots(), MinVersion: tls.VersionTLS12},
	}
	defer rt.CloseIdleConnections()
	do := func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, g.URL()+"/3/device/00", strings.NewReader(payload))
		if err != nil {
			return err
		}
		resp, err := rt.RoundTrip(req)
		if err != nil {
			return err
		}
		return resp.Body.Close()
	}
	if err := do(t.Context()); err != nil {
		t.Fatal(err)
	}
	// Behind each of these the connection ends, and the next push takes another.
	for _, by := range []scripted.Action{scripted.GoAway{}, scripted.Close, scripted.CutFrame} {
		closed := g.Counts().Closed
		g.Do(by)
		if err := g.Await(t.Context(), func(c scripted.Counts) bool { return c.Closed > closed }); err != nil {
			t.Fatal(err)
		}
		if err := do(t.Context()); err != nil {
			t.Errorf("after %v: %v", by, err)
		}
	}
	g.Reply(scripted.Silence())
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	go func() { failed <- do(ctx) }()
	if err := g.Await(t.Context(), func(c scripted.Counts) bool { return c.Fates[scripted.Unanswered] == 1 }); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want that it was cancelled", err)
	}
}

// TestResetOverTCP shows a connection that is reset as TCP has it.
func TestResetOverTCP(t *testing.T) {
	g := scripted.Listen(t)
	p := newPeer(t, g)
	p.push()
	if err := p.out.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := g.Await(t.Context(), func(c scripted.Counts) bool { return c.Fates[scripted.Accepted] == 1 }); err != nil {
		t.Fatal(err)
	}
	g.Do(scripted.Reset)
	for {
		if _, err := p.framer.ReadFrame(); err != nil {
			if !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("got %v, want a reset", err)
			}
			return
		}
	}
}

// TestStart shows a gateway outside of a test, and that Close ends what waits.
func TestStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, err := scripted.Config{Discard: true}.Start()
		if err != nil {
			t.Fatal(err)
		}
		g.Script(scripted.Script{Handshake: scripted.HandshakeNever})
		nc, err := g.Dial(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		g.Script(scripted.Script{})
		g.Reply(scripted.Accept().Delay(time.Hour))
		p := newPeer(t, g)
		p.push()
		p.seen()
		waits := make(chan error, 1)
		go func() { waits <- g.Await(t.Context(), func(c scripted.Counts) bool { return c.Pushes > 1 }) }()
		synctest.Wait()
		if err := g.Close(); err != nil {
			t.Error(err)
		}
		if err := <-waits; err == nil || !strings.Contains(err.Error(), "the gateway was closed at {Opened:2") {
			t.Errorf("got %v", err)
		}
		if got := g.Counts(); got.Closed != 2 || got.Pushes != 1 || got.Processed != 1 || got.Fates[scripted.Lost] != 1 {
			t.Errorf("got %+v", got)
		}
		if len(g.Pushes()) != 0 || len(g.Processed()) != 0 {
			t.Error("there is a record, which was to be discarded")
		}
		if err := g.Close(); err != nil {
			t.Errorf("closing again: %v", err)
		}
	})
}

// TestKeep shows that the record is bounded.
func TestKeep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := scripted.Config{Keep: 3}.New(t)
		p := newPeer(t, g)
		for n := range 20 {
			p.push()
			p.seen()
			all := g.Pushes()
			if len(all) != min(n+1, 3) || all[len(all)-1].Number != n+1 || all[0].Number != max(n-1, 1) {
				t.Fatalf("after %d pushes: %v", n+1, all)
			}
		}
		if got := g.Counts(); got.Pushes != 20 || got.Processed != 20 {
			t.Errorf("got %+v", got)
		}
	})
}
