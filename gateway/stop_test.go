package gateway_test

import (
	"context"
	"io"
	"net"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
)

// stopping stops the gateway and returns a function that checks that Serve has
// returned within a time. Here and below, synctest proves that no goroutine of
// the gateway is left: a bubble does not end before they do.
func (w *world) stopping(t *testing.T) (within func(time.Duration)) {
	t.Helper()
	start := time.Now()
	var took time.Duration
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.stop()
		took = time.Since(start)
	}()
	return func(want time.Duration) {
		t.Helper()
		<-done
		if took > want {
			t.Errorf("Serve returned after %v, want within %v", took, want)
		}
	}
}

// drained reads until the connection ends, and checks what was said of it.
func (p *peer) drained(want ...string) {
	p.t.Helper()
	for p.tryRead() == nil {
	}
	if !slices.Equal(p.goAways, want) {
		p.t.Errorf("GOAWAY: got %q, want %q", p.goAways, want)
	}
}

const (
	goingAway = `NO_ERROR 2147483647 {"reason":"Shutdown"}`
	gone1     = `NO_ERROR 1 {"reason":"Shutdown"}`
)

// TestStopIdle stops with a connection that has nothing in progress.
func TestStopIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		p := w.dial(t, dialing{})
		p.want(w.push(t), accepted)
		within := w.stopping(t)
		p.drained(goingAway, gone1)
		if err := p.nc.Close(); err != nil {
			t.Error(err)
		}
		within(time.Second)
		if _, err := w.dialTLS(t, dialing{}); err == nil {
			t.Error("dialling after the stop: got no error")
		}
	})
}

// TestStopInProgress stops while the store has a push: it is answered, one that
// comes before the peer knows is too, and then the connection ends.
func TestStopInProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		p := w.dial(t, dialing{certificate: w.pushCertificate(t, demo, credential.PushUniversal)})
		release := make(chan error)
		w.store.before(until(release))
		first := p.send(w.push(t))
		synctest.Wait()
		within := w.stopping(t)
		synctest.Wait()
		second := p.send(w.push(t)) // it crosses the GOAWAY
		synctest.Wait()
		for len(p.goAways) < 2 {
			p.read()
		}
		third := p.send(w.push(t)) // too late
		if got, want := p.await(third).outcome(), "REFUSED_STREAM"; got != want {
			t.Errorf("third: got %s, want %s", got, want)
		}
		time.Sleep(drainTimeout / 2)
		close(release)
		for _, id := range []uint32{first, second} {
			if got := p.await(id).outcome(); got != accepted {
				t.Errorf("stream %d: got %s, want %s", id, got, accepted)
			}
		}
		p.drained(goingAway, `NO_ERROR 3 {"reason":"Shutdown"}`)
		if err := p.nc.Close(); err != nil {
			t.Error(err)
		}
		within(drainTimeout/2 + time.Second)
		if got, want := receive(t, w.attach(t, w.device, demo)), 1; len(got) != want {
			t.Errorf("stored: got %d notifications, want %d", len(got), want)
		}
	})
}

// TestStopHalfOpen stops with connections that have not come as far as HTTP/2.
func TestStopHalfOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		silent, err := w.network.DialContext(t.Context(), "tcp", sandboxName+":443")
		if err != nil {
			t.Fatal(err)
		}
		half, err := w.network.DialContext(t.Context(), "tcp", sandboxName+":443")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(half, "\x16\x03\x01\x02\x00"); err != nil {
			t.Fatal(err)
		}
		mute, err := w.dialTLS(t, dialing{protocols: []string{}})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		w.stopping(t)(0)
		for _, c := range []net.Conn{silent, half, mute} {
			if _, err := io.Copy(io.Discard, c); err != nil && !strings.Contains(err.Error(), "EOF") {
				t.Logf("ended with %v", err)
			}
			_ = c.Close() // it has ended
		}
	})
}

// TestStopStuck stops with connections that do nothing that is asked of them.
func TestStopStuck(t *testing.T) {
	for _, tt := range []struct {
		name string
		open func(t *testing.T, w *world) net.Conn
	}{
		{"no preface", func(t *testing.T, w *world) net.Conn {
			t.Helper()
			conn, err := w.dialTLS(t, dialing{})
			if err != nil {
				t.Fatal(err)
			}
			return conn
		}},
		{"no answers to PING, no close", func(t *testing.T, w *world) net.Conn {
			t.Helper()
			p := w.dial(t, dialing{})
			p.want(w.push(t), accepted)
			return p.nc
		}},
		{"half a request", func(t *testing.T, w *world) net.Conn {
			t.Helper()
			p := w.dial(t, dialing{})
			p.headers(w.push(t), false)
			return p.nc
		}},
		{"reads nothing", func(t *testing.T, w *world) net.Conn {
			t.Helper()
			p := w.dial(t, dialing{certificate: w.pushCertificate(t, demo, credential.PushUniversal)})
			q := w.push(t)
			if err := p.nc.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
				t.Fatal(err)
			}
			// Until both directions are full: the gateway waits for the peer
			// to read, in a write that nothing but its deadline ends.
			block := slices.Clone(p.blockOf(q))
			for err := error(nil); err == nil; p.next += 2 {
				err = p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: p.next, BlockFragment: block, EndHeaders: true})
				if err == nil {
					err = p.fr.WriteData(p.next, true, []byte(hello))
				}
			}
			return p.nc
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				conn := tt.open(t, w)
				synctest.Wait()
				w.stopping(t)(drainTimeout)
				_ = conn.Close() // whether or not it can say goodbye
			})
		})
	}
}

// TestStopStoreHangs stops while the store does not answer: the connection ends
// in time, and Serve when the store has given up.
func TestStopStoreHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		p := w.dial(t, dialing{})
		w.store.before(func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		start := time.Now()
		p.send(w.push(t))
		synctest.Wait()
		within := w.stopping(t)
		p.drained(goingAway, gone1)
		if took := time.Since(start); took > drainTimeout {
			t.Errorf("the connection ended after %v, want within %v", took, drainTimeout)
		}
		_ = p.nc.Close() // it has ended
		within(30 * time.Second)
		w.logs.take()
	})
}

// TestPeerLeaves proves that what was let in is stored though the peer has gone.
func TestPeerLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldWith(t, options{exceptional: true})
		p := w.dial(t, dialing{})
		q, release := w.push(t), make(chan error)
		w.exceptions.before(until(release))
		p.send(q)
		synctest.Wait()
		if err := p.nc.Close(); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		close(release)
		synctest.Wait()
		if got := receive(t, w.attach(t, w.device, demo)); len(got) != 1 {
			t.Errorf("stored: got %q, want one", got)
		}
	})
}

// TestGoroutines proves outside of a bubble, too, that nothing is left running.
func TestGoroutines(t *testing.T) {
	settled := func(limit int) int {
		for n := 0; ; n++ {
			if got := runtime.NumGoroutine(); got <= limit || n == 1000 {
				return got
			}
			time.Sleep(time.Millisecond) // goroutines that have returned take a moment to be gone
		}
	}
	before := runtime.NumGoroutine()
	t.Run("world", func(t *testing.T) {
		w := newWorld(t)
		for range 20 {
			p := w.dial(t, dialing{})
			p.want(w.push(t), accepted)
			p.want(w.push(t).to("x"), refused(apns.BadDeviceToken))
			if err := p.nc.Close(); err != nil {
				t.Error(err)
			}
		}
	})
	if after := settled(before); after > before {
		t.Errorf("goroutines: got %d, want %d", after, before)
	}
}
