package pebble

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/spool"
)

var quiet = slog.New(slog.DiscardHandler)

// small is the configuration of a store that fills its tables after a few writes,
// so that all that the engine does comes up.
func small(disk vfs.FS) Config {
	return Config{MemTableBytes: 64 << 10, CacheBytes: 1 << 20, fs: disk, Logger: quiet}
}

// TestDiskFails has each change of the disk fail in turn: once, or from then on. All
// that was confirmed is there after a crash, all that came later was refused, and
// nobody waits for ever.
func TestDiskFails(t *testing.T) {
	changes := breakDisk(t, -1, syscall.EIO, false)
	if changes < 100 {
		t.Fatalf("got %d changes of the disk, want some hundred", changes)
	}
	rounds := 25
	if os.Getenv("HERALD_LONG") != "" {
		rounds = changes
	}
	for i := range rounds {
		at := i * changes / rounds
		why, once := syscall.EIO, i%3 == 0
		if i%2 == 1 {
			why = syscall.ENOSPC
		}
		t.Run(fmt.Sprintf("change %d, %v, once %t", at, why, once), func(t *testing.T) { breakDisk(t, at, why, once) })
	}
}

// breakDisk runs a store whose disk fails at a change, never if that is negative. It
// returns how many changes there were.
func breakDisk(t *testing.T, at int, why error, once bool) (changes int) {
	disk := vfs.NewCrashableMem()
	var n atomic.Int64
	broken := errorfs.Wrap(disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() != errorfs.OpIsWrite || op.Kind == errorfs.OpFileClose || op.Kind == errorfs.OpFilePreallocate {
			return nil
		}
		if i := int(n.Add(1) - 1); at >= 0 && (i == at || i > at && !once) {
			return why
		}
		return nil
	}))
	said := &said{entries: map[apns.Address]spool.Entry{}}
	s, err := Open(testDir, small(broken))
	if err != nil {
		if !errors.Is(err, why) || !strings.Contains(err.Error(), testDir) {
			t.Errorf("open: got error %v, want %v and the folder", err, why)
		}
	} else {
		said.write(t, s)
		failed := s.failure() != nil
		done := make(chan error)
		go func() { done <- s.Close() }()
		select {
		case err := <-done:
			if failed && !errors.Is(err, ErrFailed) {
				t.Errorf("close: got error %v, want %v", err, ErrFailed)
			}
			if at < 0 && err != nil {
				t.Errorf("close: %v", err)
			}
		case <-time.After(time.Minute):
			t.Fatal("close hangs")
		}
	}
	for _, lost := range []int{0, 50, 100} { // percent of what was not synced that is there nevertheless
		cfg := vfs.CrashCloneCfg{UnsyncedDataPercent: lost, RNG: rand.New(rand.NewPCG(1, uint64(at+1)))} //nolint:gosec // a test
		s, err := Open(testDir, small(disk.CrashClone(cfg)))
		if err != nil {
			t.Fatalf("opened again: %v", err)
		}
		said.check(t, s)
		audit(t, s)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	return int(n.Load())
}

// said is what a store confirmed.
type said struct {
	mu      sync.Mutex
	entries map[apns.Address]spool.Entry // guarded by mu
	failed  bool                         // guarded by mu
}

// Of the writes of a test.
const (
	faultWriters = 4
	faultRounds  = 40
	faultTopics  = 6
)

// write has some write until all is written or the store fails.
func (w *said) write(t *testing.T, s *Spool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var wg sync.WaitGroup
	for d := range faultWriters {
		wg.Go(func() {
			for i := range faultRounds {
				var writes []spool.Write
				for topic := range faultTopics {
					e := faultEntry(apns.DeviceOrdinal(d+1), byte(topic), i)
					writes = append(writes, spool.Write{Entry: e, Keep: true})
				}
				err := s.Put(ctx, writes)
				w.note(t, writes, err)
				if i%4 == 3 {
					// One that is not there any more, so that it changes nothing.
					_ = s.Delete(ctx, []spool.Version{{Address: writes[0].Address, Timestamp: 1}})
				}
				if i%10 == 9 {
					_, err := s.Expire(ctx, faultStart.Add(time.Duration(i)*time.Minute))
					w.note(t, nil, err)
				}
			}
		})
	}
	wg.Wait()
}

var faultStart = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// faultEntry is one that no Expire of a test removes.
func faultEntry(d apns.DeviceOrdinal, topic byte, round int) spool.Entry {
	w := someWrite(0, 1)
	w.Address = apns.Address{Device: d, Environment: apns.Production, Topic: apns.TopicHash{topic}}
	w.Timestamp = spool.Timestamp(faultStart.Add(time.Duration(round) * time.Minute).UnixNano())
	w.Notification.Payload = append(w.Notification.Payload, make([]byte, 300)...)
	return w.Entry
}

// note notes how a call ended.
func (w *said) note(t *testing.T, writes []spool.Write, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		w.failed = true
		if !errors.Is(err, ErrFailed) {
			t.Errorf("got error %v, want %v", err, ErrFailed)
		}
		return
	}
	if w.failed && len(writes) > 0 {
		// Of another writer, it may have been on its way back.
		return
	}
	for i := range writes {
		w.entries[writes[i].Address] = writes[i].Entry
	}
}

// check checks that the store has what was confirmed, or what came after it.
func (w *said) check(t *testing.T, s *Spool) {
	t.Helper()
	for d := range apns.DeviceOrdinal(faultWriters) {
		list, err := s.Load(t.Context(), spool.Mailbox{Device: d + 1, Environment: apns.Production}, 1000)
		if err != nil {
			t.Fatal(err)
		}
		have := map[apns.Address]spool.Timestamp{}
		for _, e := range list {
			have[e.Address] = e.Timestamp
		}
		for a, e := range w.entries {
			if a.Device == d+1 && have[a] < e.Timestamp {
				t.Errorf("address %v: got %v, want %v or later", a, have[a].Time(), e.Timestamp.Time())
			}
		}
	}
}

// TestFailedStaysSo proves that a store that failed refuses everything, at once.
func TestFailedStaysSo(t *testing.T) {
	disk := vfs.NewCrashableMem()
	var broken atomic.Bool
	s, err := Open(testDir, small(errorfs.Wrap(disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if broken.Load() && op.Kind == errorfs.OpFileSyncData {
			broken.Store(false) // once is enough
			return syscall.EIO
		}
		return nil
	}))))
	if err != nil {
		t.Fatal(err)
	}
	put := func(round int) error {
		return s.Put(t.Context(), []spool.Write{{Entry: faultEntry(1, 1, round), Keep: true}})
	}
	if err := put(1); err != nil {
		t.Fatal(err)
	}
	broken.Store(true)
	for round := 2; round < 5; round++ {
		if err := put(round); !errors.Is(err, ErrFailed) || !errors.Is(err, syscall.EIO) || !strings.Contains(err.Error(), testDir) {
			t.Errorf("put %d: got error %v, want %v, the reason and the folder", round, err, ErrFailed)
		}
	}
	_, loadErr := s.Load(t.Context(), spool.Mailbox{Device: 1, Environment: apns.Production}, 1)
	_, expireErr := s.Expire(t.Context(), faultStart)
	for what, err := range map[string]error{
		"load": loadErr, "expire": expireErr, "delete": s.Delete(t.Context(), []spool.Version{{Timestamp: 1}}), "close": s.Close(),
	} {
		if !errors.Is(err, ErrFailed) {
			t.Errorf("%s: got error %v, want %v", what, err, ErrFailed)
		}
	}
	again, err := Open(testDir, small(disk.CrashClone(vfs.CrashCloneCfg{})))
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if u := again.Usage(); u.Notifications != 1 {
		t.Errorf("opened again: got %d notifications, want the one that was confirmed", u.Notifications)
	}
	audit(t, again)
}

// TestDiskFull proves that a store refuses what there is too little room for, goes
// on letting things out, and takes more when there is room again.
func TestDiskFull(t *testing.T) {
	disk := vfs.NewMem()
	disk.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 1 << 40})
	s := openOn(t, disk)
	defer s.Close()
	put := func(round int) error {
		s.changing.Lock()
		s.room.looked = time.Time{} // it does not look at every one
		s.changing.Unlock()
		return s.Put(t.Context(), []spool.Write{{Entry: faultEntry(1, 1, round), Keep: true}})
	}
	if err := put(1); err != nil {
		t.Fatal(err)
	}
	disk.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 1 << 20})
	if err := put(2); !errors.Is(err, spool.ErrStoreFull) || !strings.Contains(err.Error(), testDir) {
		t.Errorf("got error %v, want %v and the folder", err, spool.ErrStoreFull)
	}
	if err := s.Delete(t.Context(), []spool.Version{{Address: faultEntry(1, 1, 1).Address, Timestamp: faultEntry(1, 1, 1).Timestamp}}); err != nil {
		t.Error(err)
	}
	disk.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 1 << 40})
	if err := put(3); err != nil {
		t.Error(err)
	}
	if u := s.Usage(); u.Notifications != 1 {
		t.Errorf("got %d notifications, want 1", u.Notifications)
	}
}
