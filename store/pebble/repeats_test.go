package pebble

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/heraldpush/herald/spool"
)

// TestRepeats compares what is remembered with a list that is searched.
func TestRepeats(t *testing.T) {
	const limit = 300
	r := repeats{limit: limit}
	var list []repeat // the oldest first
	random := rand.New(rand.NewPCG(1, 2))
	remembered := func(k spool.RepeatKey, now int64) bool {
		for _, x := range slices.Backward(list) {
			if x.key == k {
				return x.until > now
			}
		}
		return false
	}
	for now := range int64(20_000) {
		k := spool.RepeatKey{0: byte(random.IntN(2)), 15: byte(random.IntN(256)), 9: byte(random.IntN(2))}
		want := remembered(k, now)
		if got := r.remembered(k, now); got != want {
			t.Fatalf("time %d: remembered is %t, want %t", now, got, want)
		}
		if !want {
			x := repeat{k, now + 1 + random.Int64N(400)}
			r.add(x, uint64(now/10))
			if list = append(list, x); len(list) > limit {
				list = list[1:]
			}
		}
		if random.IntN(50) == 0 {
			r.forget(now)
			for len(list) > 0 && list[0].until <= now {
				list = list[1:]
			}
		}
		if r.n != len(list) {
			t.Fatalf("time %d: got %d keys, want %d", now, r.n, len(list))
		}
		keys := 0
		for _, b := range r.batches[r.firstOfBatch:] {
			keys += b.keys
		}
		if keys != r.n || len(r.batches) > 2*limit+10 {
			t.Fatalf("time %d: got %d keys in %d batches, want %d", now, keys, len(r.batches), r.n)
		}
	}
}

// TestRepeatsAreBounded proves that keys beyond the limit are forgotten, in memory
// and on the disk, the oldest first.
func TestRepeatsAreBounded(t *testing.T) {
	s, err := Open(t.TempDir()+"/spool", Config{RepeatKeys: 100})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	const all = 3*trimEvery + 7
	for n := range all {
		w := someWrite(n, 10)
		w.Keep = false
		if err := s.Put(t.Context(), []spool.Write{w}); err != nil {
			t.Fatal(err)
		}
	}
	for n, want := range map[int]bool{all - 101: false, all - 50: true} {
		w := someWrite(n, 10)
		if got := s.repeats.remembered(w.RepeatKey, int64(w.Timestamp)); got != want {
			t.Errorf("write %d: remembered is %t, want %t", n, got, want)
		}
	}
	it, err := s.db.NewIter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer it.Close()
	batches := 0
	for valid := it.SeekGE([]byte{repeatsKind}); valid && it.Key()[0] == repeatsKind; valid = it.Next() {
		batches++
	}
	if batches > trimEvery+101 {
		t.Errorf("got %d batches on the disk, want %d at most", batches, trimEvery+101)
	}
}
