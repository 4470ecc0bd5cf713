package memory

import (
	"testing"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/spool"
	"github.com/heraldpush/herald/spool/spooltest"
)

func TestSpool(t *testing.T) {
	spooltest.Run(t, func(*testing.T) (spool.Store, func() spool.Store) { return NewSpool(0), nil })
}

// TestSpoolForgetsOldestRepeats proves that the memory for repeats is bounded.
func TestSpoolForgetsOldestRepeats(t *testing.T) {
	s := NewSpool(1) // one for each shard
	put := func(second byte) (repeat bool) {
		t.Helper()
		w := []spool.Write{{RepeatKey: spool.RepeatKey{1, second}, RepeatUntil: spool.Timestamp(1e18).Time()}}
		if err := s.Put(t.Context(), w); err != nil {
			t.Fatal(err)
		}
		return w[0].Repeat
	}
	for i, tt := range []struct {
		key  byte
		want bool
	}{{1, false}, {1, true}, {2, false}, {2, true}, {1, false}} {
		if got := put(tt.key); got != tt.want {
			t.Errorf("write %d, of key %d: repeat is %v, want %v", i+1, tt.key, got, tt.want)
		}
	}
	for i := range 1000 {
		w := []spool.Write{{
			Entry: spool.Entry{Address: apns.Address{Device: 1}, Timestamp: spool.Timestamp(i + 1)},
			Keep:  true, RepeatKey: spool.RepeatKey{1, byte(i), byte(i >> 8), 1}, RepeatUntil: spool.Timestamp(1e18).Time(),
		}}
		if err := s.Put(t.Context(), w); err != nil {
			t.Fatal(err)
		}
	}
	if keys, heap := len(s.repeats[1].until), len(s.boxes[1].expiry); keys != 1 || heap != 1 {
		t.Errorf("after 1000 writes to one address: got %d keys and %d deadlines, want 1 of each", keys, heap)
	}
}
