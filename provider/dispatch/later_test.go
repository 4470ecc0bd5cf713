package dispatch

import (
	"strconv"
	"testing"
	"time"

	"github.com/heraldpush/herald/apns"
)

// TestLater proves what is left alone, and for how long.
func TestLater(t *testing.T) {
	began := time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	who := func(n int) recipient { return recipient{apns.Sandbox, apns.DeviceToken(strconv.Itoa(n))} }
	l := newLater()
	l.put(who(0), began, 60*365*24*time.Hour)
	if got := l.wait(who(0), began); got != time.Hour {
		t.Errorf("sixty years: got %v, want an hour", got)
	}
	if got := l.wait(who(0), began.Add(time.Hour)); got != 0 || !l.empty() {
		t.Errorf("after that: got %v, want 0 and nothing left", got)
	}

	// There are as many as there may be: others come in when some have left, which is
	// looked for once a second.
	for n := range maxLater {
		l.put(who(n), began, 300*time.Millisecond)
	}
	for _, tt := range []struct {
		at   time.Duration
		want bool
	}{{0, false}, {500 * time.Millisecond, false}, {time.Second, true}, {time.Second, true}} {
		now := began.Add(tt.at)
		l.put(who(maxLater), now, time.Minute)
		if got := l.wait(who(maxLater), now) > 0; got != tt.want {
			t.Errorf("one too many after %v: got %t, want %t", tt.at, got, tt.want)
		}
	}
	if len(l.until) != 1 {
		t.Errorf("got %d that are left alone, want the last", len(l.until))
	}
}
