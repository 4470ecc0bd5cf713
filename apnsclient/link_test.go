package apnsclient

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/h2"
	"github.com/heraldpush/herald/internal/memnet"
)

// peer is the far end of a connection, frame by frame.
type peer struct {
	t *testing.T
	*http2.Framer
}

// greet reads the preface and sends the gateway's SETTINGS.
func greet(t *testing.T, c net.Conn, settings ...http2.Setting) peer {
	t.Helper()
	preface := make([]byte, len(http2.ClientPreface))
	if _, err := io.ReadFull(c, preface); err != nil || string(preface) != http2.ClientPreface {
		t.Errorf("got preface %q, %v", preface, err)
	}
	p := peer{t, http2.NewFramer(c, c)}
	p.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	p.must(p.WriteSettings(settings...))
	return p
}

// must reports a fault of this side. The sender may have closed meanwhile.
func (p peer) must(err error) {
	p.t.Helper()
	if err != nil && !errors.Is(err, net.ErrClosed) && !errors.Is(err, syscall.EPIPE) {
		p.t.Errorf("the gateway's side: %v", err)
	}
}

// push waits for the next push, body and all, and returns its stream. It is 0
// when the connection ends first.
func (p peer) push() uint32 {
	for {
		f, err := p.ReadFrame()
		if err != nil {
			return 0
		}
		switch f := f.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				p.must(p.WriteSettingsAck())
			}
		case *http2.PingFrame:
			if !f.IsAck() {
				p.must(p.WritePing(true, f.Data))
			}
		case *http2.DataFrame:
			if f.StreamEnded() {
				return f.StreamID
			}
		default:
		}
	}
}

// drain reads until the sender closes.
func (p peer) drain() {
	for p.push() != 0 {
		continue
	}
}

// accept answers a stream with 200.
func (p peer) accept(stream uint32) {
	p.must(p.WriteHeaders(http2.HeadersFrameParam{
		StreamID: stream, EndHeaders: true, EndStream: true,
		BlockFragment: []byte{0x88}, // :status 200 (RFC 7541 appendix A)
	}))
}

// The limit of one stream, before the first accepted provider token, is obeyed
// by waiting and not by further connections.
func TestStreamLimitIsObeyed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t).script(t, func(_ int, c *tls.Conn) {
			p := greet(t, c, http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 1})
			for {
				stream := p.push()
				if stream == 0 {
					return
				}
				<-time.After(time.Second)
				p.accept(stream)
			}
		})
		cfg := g.withKey(t)
		cfg.Connections = 1
		s := newSender(t, cfg)
		began := time.Now()
		errs := make(chan error)
		for range 5 {
			go func() {
				_, err := s.Push(t.Context(), deviceToken, hello)
				errs <- err
			}()
		}
		for range 5 {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
		if took := time.Since(began); took != 5*time.Second {
			t.Errorf("took %v, want 5s: one after the other", took)
		}
		if n := g.links.Load(); n != 1 {
			t.Errorf("got %d connections, want 1", n)
		}
	})
}

// Of two pushes to a gateway that takes one at a time and is silent, the second
// never left.
func TestWaitingForAStreamIsUnsent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t).script(t, func(_ int, c *tls.Conn) {
			greet(t, c, http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 1}).drain()
		})
		s := newSender(t, g.withKey(t))
		first := make(chan error)
		go func() {
			_, err := s.Push(t.Context(), deviceToken, hello)
			first <- err
		}()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := s.Push(ctx, deviceToken, hello)
		if _, ok := errors.AsType[*UnsentError](err); !ok || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want an UnsentError that wraps DeadlineExceeded", err)
		}
		if err = <-first; !errors.As(err, new(*UnansweredError)) {
			t.Errorf("got %v for the first push, want an UnansweredError", err)
		}
	})
}

func TestRefusedStreamIsSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t).script(t, func(_ int, c *tls.Conn) {
			p := greet(t, c)
			p.must(p.WriteRSTStream(p.push(), http2.ErrCodeRefusedStream))
			p.accept(p.push())
			p.drain()
		})
		if _, err := newSender(t, g.withKey(t)).Push(t.Context(), deviceToken, hello); err != nil {
			t.Error(err)
		}
	})
}

func TestConnectionLostAfterSending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t).script(t, func(_ int, c *tls.Conn) {
			p := greet(t, c)
			p.push()
		})
		_, err := newSender(t, g.withKey(t)).Push(t.Context(), deviceToken, hello)
		var unanswered *UnansweredError
		if !errors.As(err, &unanswered) || unanswered.Host != gatewayHost+":443" {
			t.Errorf("got %v, want an UnansweredError", err)
		}
		if n := g.links.Load(); n != 1 {
			t.Errorf("got %d connections, want 1: the push must not be repeated", n)
		}
	})
}

func TestUnknownAuthority(t *testing.T) {
	g := newGateway(t).serve(t, accept)
	cfg := g.withKey(t)
	cfg.Roots = newGateway(t).roots()
	_, err := newSender(t, cfg).Push(t.Context(), deviceToken, hello)
	var unsent *UnsentError
	var untrusted *tls.CertificateVerificationError
	if !errors.As(err, &unsent) || !errors.As(err, &untrusted) {
		t.Errorf("got %v, want an UnsentError that wraps a CertificateVerificationError", err)
	}
}

func TestServerName(t *testing.T) {
	g := newGateway(t).serve(t, accept)
	cfg := g.withKey(t)
	cfg.Host, cfg.ServerName = "127.0.0.1:8443", gatewayHost
	cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if addr != "127.0.0.1:8443" {
			t.Errorf("got address %q", addr)
		}
		return g.network.DialContext(ctx, network, gatewayHost+":443")
	}
	if _, err := newSender(t, cfg).Push(t.Context(), deviceToken, hello); err != nil {
		t.Error(err)
	}
}

// After a failure the next connection is tried with growing pauses; a push
// whose time ends before that is told at once.
func TestPausesBetweenConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t) // nobody accepts
		if err := g.listener.Close(); err != nil {
			t.Fatal(err)
		}
		cfg := g.withKey(t)
		var dials []time.Time
		cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			dials = append(dials, time.Now())
			return g.network.DialContext(ctx, network, addr)
		}
		s := newSender(t, cfg)
		began := time.Now()
		for range 100 {
			_, err := s.Push(t.Context(), deviceToken, hello)
			var unsent *UnsentError
			var refused *net.OpError
			if !errors.As(err, &unsent) || !errors.As(err, &refused) {
				t.Fatalf("got %v, want an UnsentError that wraps the refusal", err)
			}
		}
		if len(dials) < 4 || !dials[0].Equal(began) {
			t.Fatalf("got %d dials, the first after %v", len(dials), dials[0].Sub(began))
		}
		for i := 1; i < len(dials); i++ {
			pause, most := dials[i].Sub(dials[i-1]), min(time.Second<<(i-1), longestPause)
			if pause > most || pause == 0 {
				t.Errorf("got a pause of %v before dial %d, want up to %v", pause, i+1, most)
			}
		}
	})
}

// A connection on which pushes go unanswered is given up.
func TestDeafConnectionIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t).script(t, func(n int, c *tls.Conn) {
			p := greet(t, c)
			for {
				stream := p.push()
				if stream == 0 {
					return
				}
				if n == 2 {
					p.accept(stream)
				}
			}
		})
		s := newSender(t, g.withKey(t))
		for range maxTimeouts {
			if _, err := s.Push(t.Context(), deviceToken, hello); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v, want DeadlineExceeded", err)
			}
		}
		if _, err := s.Push(t.Context(), deviceToken, hello); err != nil {
			t.Errorf("on the second connection: %v", err)
		}
		if n := g.links.Load(); n != 2 {
			t.Errorf("got %d connections, want 2", n)
		}
	})
}

func TestIdleConnectionIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t).serve(t, accept)
		cfg := g.withKey(t)
		cfg.IdleTimeout = 10 * time.Minute
		s := newSender(t, cfg)
		for i, after := range []time.Duration{0, 9 * time.Minute, 11 * time.Minute} {
			time.Sleep(after)
			if _, err := s.Push(t.Context(), deviceToken, hello); err != nil {
				t.Fatal(err)
			}
			if got, want := g.links.Load(), int32(1+i/2); got != want {
				t.Errorf("after %v more: got %d connections, want %d", after, got, want)
			}
		}
	})
}

// Close ends a connection that is being made.
func TestCloseWhileConnecting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t) // nobody accepts, so that dialling waits
		s := newSender(t, g.withKey(t))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() {
			_, err := s.Push(ctx, deviceToken, hello)
			done <- err
		}()
		synctest.Wait()
		cancel()
		var unsent *UnsentError
		if err := <-done; !errors.As(err, &unsent) || !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want an UnsentError that wraps Canceled", err)
		}
		began := time.Now()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("closing took %v, want no time", took)
		}
	})
}

// A push that is given up while its answer is handed over has no other attempt,
// whatever the answer is.
func TestGivenUpAtTheLastMoment(t *testing.T) {
	near, far := memnet.Pipe()
	defer near.Close()
	defer far.Close()
	e := newEngine(engineConfig{timeout: time.Minute, maxPending: 1, retry: Retry{}.withDefaults()})
	f := e.newFlight()
	now := time.Now()
	f.at, f.attempts, f.deadline = flying, 1, now.Add(time.Minute)
	f.link = &link{engine: e, conn: h2.NewClientConn(near, h2.ClientConfig{})} // which has no such call any more
	e.all.push(f)
	e.giveUp(f, context.Canceled)
	f.err = apns.Reject(apns.ServiceUnavailable, "")
	e.mu.Lock()
	e.settle(f, now)
	e.unlock()
	select {
	case <-f.done:
	default:
		t.Errorf("it goes on, %v", f.at)
	}
}
