package door_test

import (
	"slices"
	"sync"
	"testing"

	"github.com/heraldpush/herald/internal/door"
)

func TestRoll(t *testing.T) {
	var r door.Roll[string, int]
	want := func(who string, want ...int) {
		t.Helper()
		got := r.Of(who)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("of %s: got %v, want %v", who, got, want)
		}
	}
	r.Leave("a", 1) // before any has come
	want("a")
	for _, c := range []int{1, 2, 3} {
		r.Enter("a", c)
	}
	r.Enter("b", 4)
	want("a", 1, 2, 3)
	r.Leave("a", 1)
	r.Leave("a", 1)
	r.Leave("a", 4) // another's
	want("a", 2, 3)
	r.Leave("a", 3)
	r.Leave("a", 2)
	want("a")
	want("b", 4)
}

// TestRollCrowd is for the race detector.
func TestRollCrowd(t *testing.T) {
	var r door.Roll[int, int]
	var crowd sync.WaitGroup
	for c := range 64 {
		crowd.Go(func() {
			r.Enter(c%4, c)
			if !slices.Contains(r.Of(c%4), c) {
				t.Errorf("%d has entered and is not there", c)
			}
			r.Leave(c%4, c)
		})
	}
	crowd.Wait()
	for who := range 4 {
		if left := r.Of(who); len(left) > 0 {
			t.Errorf("of %d: %v were left", who, left)
		}
	}
}
