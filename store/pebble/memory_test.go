package pebble

import (
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/heraldpush/herald/spool"
)

// TestMemory proves that memory does not grow with what is stored: that of Go, and
// that of the process, which has the engine's tables and cache too.
func TestMemory(t *testing.T) {
	if raceEnabled {
		t.Skip("resident memory has the race detector's own in it")
	}
	// The cache and the tables are filled by then.
	before, all := 60_000, 180_000
	most := 256.0 // resident bytes for each, while the little there is fills up
	cfg := Config{CacheBytes: 4 << 20, MemTableBytes: 2 << 20, RepeatKeys: 10_000}
	if os.Getenv("HERALD_LONG") != "" {
		before, all, most = 1_000_000, 10_000_000, 16
		cfg = Config{RepeatKeys: 100_000}
	}
	cfg.Logger = quiet
	s, err := Open(newDir(t), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	batch := make([]spool.Write, 0, 1000)
	var heap, resident [2]int64
	for n := range all {
		batch = append(batch, someWrite(n, all))
		if len(batch) < cap(batch) {
			continue
		}
		if err := s.Put(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
		batch = batch[:0]
		if n+1 == before {
			heap[0], resident[0] = used(t, s)
		}
	}
	heap[1], resident[1] = used(t, s)
	if u := s.Usage(); u.Notifications != int64(all) {
		t.Errorf("got %d notifications, want %d", u.Notifications, all)
	}
	more := float64(all - before)
	perHeap, perResident := float64(heap[1]-heap[0])/more, float64(resident[1]-resident[0])/more
	t.Logf("%d stored notifications: heap %d KiB, resident %d KiB; each one beyond %d took %.1f bytes of heap, %.1f resident",
		all, heap[1]>>10, resident[1]>>10, before, perHeap, perResident)
	if perResident > most {
		t.Errorf("got %.1f resident bytes for each, want %.0f at most", perResident, most)
	}
	// The engine knows each of its files, of which there is one for some thousand.
	if perHeap > 32 {
		t.Errorf("got %.1f bytes of heap for each, want none", perHeap)
	}
}

// used returns the bytes of Go's heap, and those of the process that are in memory,
// 0 where that is not known, once the engine has nothing to do.
func used(t *testing.T, s *Spool) (heap, resident int64) {
	t.Helper()
	if err := s.db.Flush(); err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for s.db.Metrics().Compact.NumInProgress > 0 {
		<-tick.C
	}
	runtime.GC()
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return int64(m.HeapAlloc), 0
	}
	pages, err := strconv.ParseInt(strings.Fields(string(b))[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return int64(m.HeapAlloc), pages * int64(os.Getpagesize())
}
