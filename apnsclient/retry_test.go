package apnsclient

import (
	"testing"
	"time"
)

func TestRetryPause(t *testing.T) {
	r := Retry{Pause: time.Second}.withDefaults()
	for attempts := 1; attempts < 12; attempts++ {
		most := min(time.Second<<(attempts-1), maxRetryPause)
		var longest time.Duration
		for range 1000 {
			d := r.pause(attempts, 0)
			if d <= 0 || d > most {
				t.Fatalf("after %d attempts: got %v, want up to %v", attempts, d, most)
			}
			longest = max(longest, d)
		}
		if longest < most/2 {
			t.Errorf("after %d attempts: got %v at most, want up to %v", attempts, longest, most)
		}
		if got := r.pause(attempts, time.Minute); got != time.Minute {
			t.Errorf("after %d attempts: got %v, want the minute that was asked for", attempts, got)
		}
	}
	for n := range freeMoves + 1 {
		if got := pauseAfterMove(n); got != 0 {
			t.Errorf("after %d moves: got %v, want none", n, got)
		}
	}
	if got := pauseAfterMove(1000); got <= 0 || got > maxRetryPause {
		t.Errorf("after 1000 moves: got %v, want up to %v", got, maxRetryPause)
	}
}

func TestRetryBudget(t *testing.T) {
	b := newBudget(0.1)
	taken := 0
	for b.take() {
		taken++
	}
	if taken != budgetDepth {
		t.Errorf("got %d retries at once, want %d", taken, budgetDepth)
	}
	for range 1000 {
		b.push()
		if b.take() {
			taken++
		}
	}
	if got := taken - budgetDepth; got < 99 || got > 100 {
		t.Errorf("got %d retries for 1000 pushes, want one in ten", got)
	}
	for range 10_000 {
		b.push()
	}
	if b.left != budgetDepth {
		t.Errorf("got %v left after a quiet time, want %d", b.left, budgetDepth)
	}
	unlimited := newBudget(-1)
	for range 10 * budgetDepth {
		if !unlimited.take() {
			t.Fatal("a budget without limit has one")
		}
	}
}
