package apnsclient

import (
	"testing"
	"time"
)

func TestBackoff(t *testing.T) {
	longest := func(n int64) int64 { return n - 1 }
	b := backoff{random: longest}
	if got := b.pause(); got != 0 {
		t.Errorf("before any failure: got %v, want 0", got)
	}
	for i, want := range []time.Duration{
		time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, 32 * time.Second,
		time.Minute, time.Minute, time.Minute,
	} {
		if b.failed(); b.pause() != want {
			t.Errorf("after %d failures: got %v, want %v", i+1, b.pause(), want)
		}
	}
	b.random = func(int64) int64 { return 0 }
	if got := b.pause(); got != 1 {
		t.Errorf("the shortest: got %v, want 1ns", got)
	}
	b.random = nil
	for range 1000 {
		if got := b.pause(); got <= 0 || got > time.Minute {
			t.Fatalf("got %v, want more than 0 and at most a minute", got)
		}
	}
	if b.succeeded(); b.pause() != 0 {
		t.Errorf("after a success: got %v, want 0", b.pause())
	}
}

func TestSpread(t *testing.T) {
	none := func(int64) int64 { return 0 }
	most := func(n int64) int64 { return n - 1 }
	for _, tt := range []struct {
		d, least time.Duration
	}{{time.Hour, 45 * time.Minute}, {4, 3}, {3, 3}, {1, 1}, {0, 0}} {
		if got := spread(tt.d, none); got != tt.d {
			t.Errorf("%v: got %v, want %v at most", tt.d, got, tt.d)
		}
		if got := spread(tt.d, most); got != tt.least {
			t.Errorf("%v: got %v, want %v at least", tt.d, got, tt.least)
		}
	}
	for range 1000 {
		if got := spread(time.Hour, nil); got < 45*time.Minute || got > time.Hour {
			t.Fatalf("got %v, want 45 to 60 minutes", got)
		}
	}
}
