package courier

import (
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

func tcp(ip string) net.Addr { return &net.TCPAddr{IP: net.ParseIP(ip), Port: 1} }

// TestAdmission checks who is closed before any cryptography.
func TestAdmission(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	a := admission{most: 6, mostPerPrefix: 2}
	var inside []*guest
	for _, tt := range []struct {
		from string
		want error
	}{
		{"192.0.2.1", nil},
		{"192.0.2.200", nil},
		{"192.0.2.3", errRefused[tooManyOfPrefix]},
		{"::ffff:192.0.2.3", errRefused[tooManyOfPrefix]},
		{"192.0.3.1", nil},
		{"2001:db8:0:1::1", nil},
		{"2001:db8:0:ff::1", nil},
		{"2001:db8:0:7f::2", errRefused[tooManyOfPrefix]},
		{"127.0.0.1", nil},
		{"::1", errRefused[tooManyStrangers]},
	} {
		g, err := a.enter(tcp(tt.from), now)
		if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
			t.Errorf("%s: got %v, want %v", tt.from, err, tt.want)
		}
		if g != nil {
			inside = append(inside, g)
		}
	}
	for _, g := range inside {
		g.leave()
	}
	if a.guests != 0 || len(a.prefixes) != 0 {
		t.Errorf("%d connections of %d networks were left, want none", a.guests, len(a.prefixes))
	}
	if a.accepted != 6 || a.refused != [refusals]uint64{tooManyStrangers: 1, tooManyOfPrefix: 3} {
		t.Errorf("counted %d accepted and %v refused", a.accepted, a.refused)
	}
	// Any number may come from the machine itself, and from anywhere by a
	// negative limit.
	for _, limit := range []int{1, -1} {
		a := admission{most: 150, mostPerPrefix: limit}
		for range 50 {
			for _, from := range []net.Addr{tcp("127.0.0.1"), tcp("::1"), &net.UnixAddr{Name: "x"}} {
				if _, err := a.enter(from, now); err != nil {
					t.Errorf("limit %d, %v: %v", limit, from, err)
				}
			}
		}
	}
}

// TestAcceptRate checks the bucket: what comes at once, and what comes after.
func TestAcceptRate(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	a := admission{most: 1 << 20, rate: 10}
	come := func(n int) (let int) {
		for range n {
			if _, err := a.enter(tcp("127.0.0.1"), now); err == nil {
				let++
			}
		}
		return let
	}
	for _, tt := range []struct {
		after time.Duration
		want  int
	}{{0, 10}, {0, 0}, {100 * time.Millisecond, 1}, {450 * time.Millisecond, 4}, {time.Hour, 10}} {
		now = now.Add(tt.after)
		if got := come(20); got != tt.want {
			t.Errorf("after %v: %d were let in, want %d", tt.after, got, tt.want)
		}
	}
}

// TestTurnstile checks that handshakes wait for their turn, and not for ever.
func TestTurnstile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g turnstile
		g.open(1)
		ended := make(chan struct{})
		if err := g.enter(ended); err != nil {
			t.Fatal(err)
		}
		results := make(chan error, 3)
		wait := func() { results <- g.enter(ended) }
		began := time.Now()
		go wait()
		synctest.Wait()
		if n := g.waiting.Load(); n != 1 {
			t.Errorf("%d are waiting, want 1", n)
		}
		if err := <-results; !errors.Is(err, errLate) || time.Since(began) != turnTimeout {
			t.Errorf("got %v after %v, want %v after %v", err, time.Since(began), errLate, turnTimeout)
		}
		go wait()
		synctest.Wait()
		g.leave()
		if err := <-results; err != nil {
			t.Errorf("got %v when the place was free, want nil", err)
		}
		go wait()
		synctest.Wait()
		close(ended)
		if err := <-results; !errors.Is(err, errStopped) {
			t.Errorf("got %v, want %v", err, errStopped)
		}
		if g.late.Load() != 1 || g.waiting.Load() != 0 {
			t.Errorf("counted %d late and %d waiting, want 1 and 0", g.late.Load(), g.waiting.Load())
		}
	})
}
