package wheel_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/heraldpush/herald/internal/wheel"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// run advances the wheel as its owner does, until the time end, and returns
// when each timer fired.
func run(w *wheel.Wheel[int], now, end time.Time) map[int]time.Duration {
	fired := make(map[int]time.Duration)
	for {
		at, ok := w.Next()
		if !ok || at.After(end) {
			return fired
		}
		if at.After(now) {
			now = at
		}
		w.Advance(now, func(t *wheel.Timer[int]) { fired[t.Value] = now.Sub(epoch) })
	}
}

func TestWheel(t *testing.T) {
	const s = time.Second
	for _, tt := range []struct{ at, want time.Duration }{
		{-s, 0},
		{0, 0},
		{1, s},
		{s, s},
		{s + 1, 2 * s},
		{63 * s, 63 * s},
		{64 * s, 64 * s},
		{65*s - 1, 65 * s},
		{35 * time.Minute, 35 * time.Minute},
		{4096 * s, 4096 * s},
		{49 * time.Hour, 49 * time.Hour},
		{40000 * time.Hour, 40000 * time.Hour},
		{math.MaxInt64, math.MaxInt64 - math.MaxInt64%s},
	} {
		w := wheel.New[int](epoch, s)
		timer := wheel.Timer[int]{Value: 1}
		w.Set(&timer, epoch.Add(tt.at))
		if !timer.IsSet() {
			t.Errorf("%v: the timer is not set", tt.at)
		}
		if diff := cmp.Diff(map[int]time.Duration{1: tt.want}, run(w, epoch, epoch.Add(tt.want))); diff != "" {
			t.Errorf("%v (-want +got):\n%s", tt.at, diff)
		}
		if timer.IsSet() {
			t.Errorf("%v: the timer is still set", tt.at)
		}
	}
}

// TestWheelWakes checks that the owner of a wheel with one long timer is not
// kept busy by it.
func TestWheelWakes(t *testing.T) {
	w := wheel.New[int](epoch, time.Second)
	now := epoch.Add(12345 * time.Second)
	w.Advance(now, nil)
	var timer wheel.Timer[int]
	w.Set(&timer, now.Add(35*time.Minute))
	wakes := 0
	for timer.IsSet() {
		at, _ := w.Next()
		if at.Before(now) {
			t.Fatalf("Next is %v, before %v", at, now)
		}
		now = at
		w.Advance(now, func(*wheel.Timer[int]) {})
		wakes++
	}
	if wakes > 3 {
		t.Errorf("the owner was woken %d times, want 3 at most", wakes)
	}
}

// TestWheelFire checks that a timer that fires may set itself and stop others of
// the same slot.
func TestWheelFire(t *testing.T) {
	w := wheel.New[int](epoch, time.Second)
	timers := make([]wheel.Timer[int], 5)
	for i := range timers {
		timers[i].Value = i
		w.Set(&timers[i], epoch.Add(time.Second))
	}
	var fired []int
	w.Advance(epoch.Add(time.Second), func(t *wheel.Timer[int]) {
		fired = append(fired, t.Value)
		if len(fired) == 1 {
			w.Set(t, epoch.Add(3*time.Second))
			w.Stop(&timers[(t.Value+2)%len(timers)])
		}
	})
	if len(fired) != len(timers)-1 || slices.Contains(fired, (fired[0]+2)%len(timers)) {
		t.Errorf("fired: got %v, want all but %d", fired, (fired[0]+2)%len(timers))
	}
	fired = nil
	w.Advance(epoch.Add(3*time.Second), func(t *wheel.Timer[int]) { fired = append(fired, t.Value) })
	if len(fired) != 1 {
		t.Errorf("fired again: got %v, want one", fired)
	}
}

// TestWheelModel compares the wheel with a table, by random operations.
func TestWheelModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := wheel.New[int](epoch, time.Second)
		timers := make([]wheel.Timer[int], 8)
		model := make(map[int]time.Duration) // when each is to fire
		now := time.Duration(0)
		span := rapid.SampledFrom([]time.Duration{
			time.Second, 10 * time.Second, 2 * time.Minute, 5 * time.Hour, 1000 * time.Hour,
		})
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			i := rapid.IntRange(0, len(timers)-1).Draw(t, "timer")
			timers[i].Value = i
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0:
				w.Stop(&timers[i])
				delete(model, i)
			case 1, 2:
				at := now + time.Duration(rapid.Int64Range(-int64(time.Second), int64(span.Draw(t, "span"))).Draw(t, "in"))
				w.Set(&timers[i], epoch.Add(at))
				model[i] = at
			case 3:
				now += time.Duration(rapid.Int64Range(0, int64(span.Draw(t, "span"))).Draw(t, "by"))
				w.Advance(epoch.Add(now), func(timer *wheel.Timer[int]) {
					at, ok := model[timer.Value]
					if !ok || at > now {
						t.Fatalf("timer %d fired at %v, want %v, %v", timer.Value, now, at, ok)
					}
					delete(model, timer.Value)
				})
				for i, at := range model {
					if at <= now-time.Second {
						t.Fatalf("timer %d has not fired at %v, want %v", i, now, at)
					}
				}
			}
			next, ok := w.Next()
			if ok != (len(model) > 0) {
				t.Fatalf("Next reports %v with %d timers set", ok, len(model))
			}
			for i, at := range model {
				if at > now && next.After(epoch.Add(at+time.Second)) {
					t.Fatalf("Next is %v, and timer %d is for %v", next.Sub(epoch), i, at)
				}
				if !timers[i].IsSet() {
					t.Fatalf("timer %d is not set", i)
				}
			}
		}
	})
}

func BenchmarkSet(b *testing.B) {
	w := wheel.New[int](epoch, time.Second)
	timers := make([]wheel.Timer[int], 1<<16)
	at := make([]time.Time, 1<<10)
	for i := range at {
		at[i] = epoch.Add(time.Duration(rand.Int64N(int64(time.Hour))))
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		w.Set(&timers[i%len(timers)], at[i%len(at)])
	}
}
