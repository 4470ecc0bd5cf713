package door

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/internal/memnet"
)

// scripted is a listener that accepts, and fails, as it is told.
type scripted struct {
	accepts chan any // net.Conn or error

	once   sync.Once
	closed chan struct{}
	tried  []time.Time // when Accept was called; of the goroutine of Serve
}

func newScripted(accepts ...any) *scripted {
	l := &scripted{accepts: make(chan any, len(accepts)), closed: make(chan struct{})}
	for _, a := range accepts {
		l.accepts <- a
	}
	return l
}

func (l *scripted) Accept() (net.Conn, error) {
	l.tried = append(l.tried, time.Now())
	select {
	case <-l.closed: // before what is left to accept
		return nil, net.ErrClosed
	default:
	}
	select {
	case a := <-l.accepts:
		switch a := a.(type) {
		case net.Conn:
			return a, nil
		case error:
			return nil, a
		}
		return nil, errors.New("the test is wrong")
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *scripted) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (*scripted) Addr() net.Addr { return memnet.Addr("here:1") }

// shortage returns what accepting returns when the machine runs out of
// something.
func shortage(errno syscall.Errno) error {
	return &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", errno)}
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func connection(t *testing.T) net.Conn {
	t.Helper()
	near, far := memnet.Pipe()
	t.Cleanup(func() { _ = near.Close() })
	return far
}

// TestServe accepts, is told to stop, and waits for all connections.
func TestServe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newScripted(connection(t), connection(t), connection(t))
		ctx, cancel := context.WithCancel(t.Context())
		var open atomic.Int32
		released := make(chan struct{})
		result := make(chan error, 1)
		go func() {
			result <- Serve(ctx, l, quiet(), func(ctx context.Context, c net.Conn) {
				open.Add(1)
				<-ctx.Done()
				<-released
				_ = c.Close()
				open.Add(-1)
			})
		}()
		synctest.Wait()
		if got := open.Load(); got != 3 {
			t.Errorf("connections served at once: got %d, want 3", got)
		}
		cancel()
		synctest.Wait()
		select {
		case <-l.closed:
		default:
			t.Error("the listener is open after the stop")
		}
		select {
		case err := <-result:
			t.Errorf("Serve returned %v before its connections ended", err)
		default:
		}
		close(released)
		if err := <-result; err != nil {
			t.Errorf("got %v, want nil", err)
		}
		if got := open.Load(); got != 0 {
			t.Errorf("connections left: got %d, want 0", got)
		}
	})
}

// TestServePauses proves that accepting goes on after a shortage, with pauses
// that grow, up to a second, and start anew.
func TestServePauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var script []any
		for range 9 {
			script = append(script, shortage(syscall.EMFILE))
		}
		l := newScripted(append(script, connection(t), shortage(syscall.ENOBUFS), shortage(syscall.ENOMEM),
			shortage(syscall.ENFILE), shortage(syscall.ECONNABORTED), connection(t))...)
		ctx, cancel := context.WithCancel(t.Context())
		var served atomic.Int32
		var log bytes.Buffer
		result := make(chan error, 1)
		go func() {
			result <- Serve(ctx, l, slog.New(slog.NewTextHandler(&log, nil)), func(_ context.Context, c net.Conn) {
				served.Add(1)
				_ = c.Close()
			})
		}()
		time.Sleep(time.Minute)
		cancel()
		if err := <-result; err != nil {
			t.Errorf("got %v, want nil", err)
		}
		if got := served.Load(); got != 2 {
			t.Errorf("served: got %d, want 2", got)
		}
		const ms = time.Millisecond
		want := []time.Duration{
			5 * ms, 10 * ms, 20 * ms, 40 * ms, 80 * ms, 160 * ms, 320 * ms, 640 * ms, time.Second, 0, 5 * ms, 10 * ms, 20 * ms, 40 * ms, 0,
		}
		var got []time.Duration
		for i, at := range l.tried[1:] {
			got = append(got, at.Sub(l.tried[i]))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("between two tries (-want +got):\n%s", diff)
		}
		if got, want := strings.Count(log.String(), "accepting is paused"), 13; got != want {
			t.Errorf("lines logged: got %d, want %d", got, want)
		}
	})
}

// TestServeStopsInPause proves that a pause does not hold up the end.
func TestServeStopsInPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var script []any
		for range 100 {
			script = append(script, shortage(syscall.EMFILE))
		}
		ctx, cancel := context.WithCancel(t.Context())
		result := make(chan error, 1)
		go func() {
			result <- Serve(ctx, newScripted(script...), quiet(), func(context.Context, net.Conn) {})
		}()
		time.Sleep(5*time.Second + time.Millisecond)
		stopped := time.Now()
		cancel()
		if err := <-result; err != nil || !time.Now().Equal(stopped) {
			t.Errorf("got %v after %v, want nil at once", err, time.Since(stopped))
		}
	})
}

// TestServeListenerFails proves that a failure is returned, after the
// connections were told to end and have.
func TestServeListenerFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("cable cut")
		l := newScripted(connection(t), broken)
		var ended atomic.Bool
		err := Serve(t.Context(), l, quiet(), func(ctx context.Context, c net.Conn) {
			<-ctx.Done()
			time.Sleep(time.Minute)
			_ = c.Close()
			ended.Store(true)
		})
		if !errors.Is(err, broken) || !strings.Contains(err.Error(), "here:1") {
			t.Errorf("got %v, want %v and the address", err, broken)
		}
		if !ended.Load() {
			t.Error("Serve returned before its connections ended")
		}
		select {
		case <-l.closed:
		default:
			t.Error("the listener is open")
		}
	})
}

// TestServeStopped proves that a context that has ended already is a stop.
func TestServeStopped(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	l := newScripted()
	if err := Serve(ctx, l, quiet(), func(_ context.Context, c net.Conn) { _ = c.Close() }); err != nil {
		t.Errorf("got %v, want nil", err)
	}
}

// TestServeTCP does it with a real listener.
func TestServeTCP(t *testing.T) {
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Skipf("no TCP here: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() {
		result <- Serve(ctx, l, quiet(), func(_ context.Context, c net.Conn) {
			_, _ = io.WriteString(c, "hello") // the test reads it
			_ = c.Close()
		})
	}()
	var d net.Dialer
	c, err := d.DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(c)
	if err != nil || string(got) != "hello" {
		t.Errorf("read: got %q, %v, want hello", got, err)
	}
	_ = c.Close()
	cancel()
	if err := <-result; err != nil {
		t.Errorf("got %v, want nil", err)
	}
}
