package pain

import (
	"context"
	"errors"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnstest/scripted"
	"github.com/heraldpush/herald/provider"
	"github.com/heraldpush/herald/provider/account"
	"github.com/heraldpush/herald/provider/audience"
	"github.com/heraldpush/herald/provider/outbox"
	"github.com/heraldpush/herald/store/pebble"
	"github.com/heraldpush/herald/store/sqlite"
)

// What was taken is on the disk, with no other service and nothing set: it is sent by
// the next process, if this one ends before anything was.
func TestPain01DurableByDefault(t *testing.T) {
	g, dir := scripted.New(t), t.TempDir()
	const n = 100
	open := func() (*scene, func()) {
		db, err := sqlite.Open(t.Context(), filepath.Join(dir, "herald.db"))
		if err != nil {
			t.Fatal(err)
		}
		o, err := pebble.OpenOutbox(filepath.Join(dir, "outbox"), pebble.Config{})
		if err != nil {
			t.Fatal(err)
		}
		s := &scene{
			T: t, mu: new(sync.Mutex), production: g, sandbox: g, audience: db.Audience(), outbox: o,
			archive: db.Archive(), logs: new(logs), tokens: map[account.AppID]map[audience.InstallationID]apns.DeviceToken{shop: {}},
		}
		if s.book, err = account.Open(t.Context(), account.Config{Store: db.Account()}); err != nil {
			t.Fatal(err)
		}
		return s, func() {
			if err := errors.Join(o.Close(), db.Close()); err != nil {
				t.Error(err)
			}
		}
	}
	s, end := open()
	s.app(shop, bundleID, team)
	s.register(shop, 0, n)
	if err := s.run()(); err != nil { // it takes messages also when it sends nothing any more
		t.Error(err)
	}
	all := make(map[scripted.Key]bool)
	s.meant(all, s.send(shop, toSome(n)), n)
	s.meant(all, s.send(shop, everybody()), n)
	end()

	s, end = open()
	defer end()
	s.running(func() {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := g.Await(ctx, func(c scripted.Counts) bool { return c.Processed >= 2*n }); err != nil {
			t.Error(err)
		}
	})
	if again := s.sentOnce(g, all); again > 0 {
		t.Errorf("%d were sent twice", again)
	}
}

// fullOutbox has no room for new messages while it is full.
type fullOutbox struct {
	outbox.Store
	full atomic.Bool
}

// Submit implements outbox.Store.
func (f *fullOutbox) Submit(ctx context.Context, s outbox.Submission, now time.Time) (outbox.Message, bool, error) {
	if f.full.Load() {
		return outbox.Message{}, false, outbox.ErrFull
	}
	return f.Store.Submit(ctx, s, now)
}

// Where there is no room, that is the answer: nothing is taken by half, what was
// taken goes on, and the same request is taken when there is room again.
func TestPain02FullOutbox(t *testing.T) {
	play(t, func(s *scene) {
		full := &fullOutbox{Store: s.outbox}
		s.outbox = full
		s.register(shop, 0, 10)
		all := make(map[scripted.Key]bool)
		s.running(func() {
			id := s.send(shop, toSome(10))
			s.meant(all, id, 10)
			full.full.Store(true)
			again := toSome(10)
			again.Once = outbox.Once{Key: [16]byte{1}, Fingerprint: [16]byte{2}, Until: time.Now().Add(time.Hour)}
			for range 100 {
				if _, err := s.server.Send(s.Context(), shop, again); !errors.Is(err, outbox.ErrFull) {
					s.Errorf("got %v, want outbox.ErrFull", err)
				}
			}
			s.accepted(s.ended(shop, id), 10)
			full.full.Store(false)
			id = s.send(shop, again)
			s.meant(all, id, 10)
			s.accepted(s.ended(shop, id), 10)
		})
		if again := s.sentOnce(s.production, all); again > 0 {
			s.Errorf("%d were sent twice", again)
		}
	})
}

// Message after message leaves nothing behind: no goroutine, and no memory.
func TestPain05NoLeak(t *testing.T) {
	playWith(t, scripted.Config{Discard: true}, func(s *scene) {
		const n, rounds = 500, 12
		s.register(shop, 0, n)
		s.running(func() {
			var goroutines [rounds]int
			var heap [rounds]uint64
			for i := range rounds {
				id := s.send(shop, toSome(n))
				s.accepted(s.ended(shop, id), n)
				time.Sleep(time.Second) // until it is in the archive
				synctest.Wait()
				goroutines[i], heap[i] = runtime.NumGoroutine(), heapNow()
			}
			if last, first := goroutines[rounds-1], goroutines[2]; last > first+4 {
				s.Errorf("got %d goroutines after %d rounds, and %d after 3", last, rounds, first)
			}
			// 4,500 pushes with a leak of 1 KB each would be 4.5 MB, besides what
			// the outbox on its disk in memory writes.
			if last, first := heap[rounds-1], heap[2]; last > first+4<<20 {
				s.Errorf("got %d bytes after %d rounds, and %d after 3", last, rounds, first)
			}
		})
	})
}

func heapNow() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// A value that is missing has its default, and what cannot have one is asked for at
// once: nothing hangs because of a zero.
func TestPain08ZeroConfig(t *testing.T) {
	if _, err := provider.New(provider.Config{}); err == nil {
		t.Error("a push server of nothing was made")
	}
	play(t, func(s *scene) {
		s.register(shop, 0, 3)
		stop := s.run()
		defer func() { _ = stop() }()
		if _, err := s.server.Send(s.Context(), shop, provider.Order{}); len(faults(err)) == 0 {
			s.Errorf("got %v, want what is missing", err)
		}
		began := time.Now()
		s.accepted(s.ended(shop, s.send(shop, provider.Order{To: toSome(3).To, Notification: apns.Notification{Payload: hello.Payload}})), 3)
		if took := time.Since(began); took > time.Second {
			s.Errorf("took %v", took)
		}
	})
}

// Whoever holds a part of a message and says nothing more has lost it after a while:
// it is sent by another, and what the first says later is not believed.
func TestPain11LeaseEnds(t *testing.T) {
	play(t, func(s *scene) {
		const n = 100
		s.register(shop, 0, n)
		a, err := s.book.App(shop)
		if err != nil {
			s.Fatal(err)
		}
		stop := s.run()
		if err := stop(); err != nil { // it is made, and sends nothing
			s.Error(err)
		}
		id := s.send(shop, toSome(n))
		now := time.Now()
		held, err := s.outbox.Claim(s.Context(), outbox.Wanted{
			Queue: outbox.Queue{Lane: outbox.Ordinary, App: a.Number}, Shards: 10, Members: 1000, Until: now.Add(time.Minute),
		}, now)
		if err != nil || len(held) != 1 {
			s.Fatalf("got %d shards, %v", len(held), err)
		}
		s.running(func() {
			time.Sleep(30 * time.Second)
			if got := s.production.Counts().Pushes; got != 0 {
				s.Errorf("got %d pushes of what another holds", got)
			}
			s.accepted(s.ended(shop, id), n)
			if took := time.Since(now); took > 2*time.Minute {
				s.Errorf("took %v", took)
			}
			c := held[0]
			checked, err := s.outbox.Checkpoint(s.Context(), []outbox.Progress{{
				Message: id, Shard: c.Shard.Number, Fence: c.Fence, Receipts: c.Shard.Receipts, Release: true, Next: time.Now(),
			}}, time.Now())
			if err != nil || !errors.Is(checked[0].Err, outbox.ErrFenced) {
				s.Errorf("got %v, %v, want outbox.ErrFenced", checked, err)
			}
		})
		if got := s.production.Counts(); got.Processed != n || got.Doubled != 0 {
			s.Errorf("got %+v", got)
		}
	})
}

// Thousands of installations are a handful of rows, which those who send take without
// waiting for each other: two push servers over one outbox share a message, and
// nothing is sent twice.
func TestPain12TwoSenders(t *testing.T) {
	play(t, func(s *scene) {
		const n = audience.ChunkWidth + 1
		s.register(shop, 0, n)
		s.production.Reply(scripted.Accept().Delay(30 * time.Millisecond))
		other := *s
		all := make(map[scripted.Key]bool)
		stop := other.run()
		s.running(func() {
			id := s.send(shop, everybody())
			s.accepted(s.ended(shop, id), n)
			s.meant(all, id, n)
			if shards, err := s.outbox.Shards(s.Context(), id, 0, 100); err != nil || len(shards) != 2 {
				s.Errorf("got %d shards, %v, want 2", len(shards), err)
			}
		})
		if err := stop(); err != nil {
			s.Error(err)
		}
		if again := s.sentOnce(s.production, all); again > 0 {
			s.Errorf("%d were sent twice", again)
		}
	})
}

// The memory that a message takes on its way does not grow with those it is for, once
// they are more than are on their way at a time.
func TestPain14MemoryFlat(t *testing.T) {
	if raceEnabled {
		t.Skip("memory is another with the race detector")
	}
	playWith(t, scripted.Config{Discard: true}, func(s *scene) {
		var mu sync.Mutex
		var peak uint64
		s.production.OnPush(func(p scripted.Push) scripted.Reply {
			if p.Number%5000 == 0 {
				mu.Lock()
				defer mu.Unlock()
				peak = max(peak, heapNow())
			}
			return scripted.Accept().Delay(20 * time.Millisecond)
		})
		s.running(func() {
			var growth [2]int64
			known := 0
			for i, n := range []int{40_000, 80_000} {
				s.register(shop, known, n-known)
				known = n
				before := heapNow()
				peak = before
				s.accepted(s.ended(shop, s.send(shop, everybody())), n)
				growth[i] = int64(peak - before)
			}
			s.Logf("%d bytes for 40,000 installations, %d for 80,000", growth[0], growth[1])
			// 40,000 more with the 5 KB each that others have taken would be 200 MB.
			if growth[1] > growth[0]+32<<20 {
				s.Errorf("got %d bytes for 40,000 installations and %d for 80,000", growth[0], growth[1])
			}
		})
	})
}
