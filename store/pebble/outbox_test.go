package pebble

import (
	"errors"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	engine "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/heraldpush/herald/provider/outbox"
	"github.com/heraldpush/herald/provider/providertest"
)

// TestOutbox runs the suite on a disk of its own in memory; a crash loses all that
// was not synced.
func TestOutbox(t *testing.T) {
	providertest.Outbox(t, func(t *testing.T) (outbox.Store, func(bool) outbox.Store) {
		disk := vfs.NewCrashableMem()
		now := openOutboxOn(t, disk)
		return now, func(crash bool) outbox.Store {
			if crash {
				disk = disk.CrashClone(vfs.CrashCloneCfg{})
				if err := now.Close(); err != nil { // the one that crashed goes on, on a disk of its own
					t.Error(err)
				}
			}
			now = openOutboxOn(t, disk)
			return now
		}
	})
}

// openOutboxOn opens an outbox on a disk in memory.
func openOutboxOn(t *testing.T, disk vfs.FS) *Outbox {
	t.Helper()
	o, err := OpenOutbox("/outbox", Config{ReserveBytes: -1, CacheBytes: 1 << 20, MemTableBytes: 1 << 20, fs: disk})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// TestOutboxOnDisk runs the suite on a real disk.
func TestOutboxOnDisk(t *testing.T) {
	providertest.Outbox(t, func(t *testing.T) (outbox.Store, func(bool) outbox.Store) {
		dir := filepath.Join(t.TempDir(), "outbox")
		var now *Outbox
		open := func() outbox.Store {
			var err error
			if now, err = OpenOutbox(dir, Config{}); err != nil {
				t.Fatal(err)
			}
			return now
		}
		return open(), func(bool) outbox.Store {
			if err := now.Close(); err != nil {
				t.Error(err)
			}
			return open()
		}
	})
}

// TestOutboxInMemory runs the suite on what is gone with the process.
func TestOutboxInMemory(t *testing.T) {
	providertest.Outbox(t, func(t *testing.T) (outbox.Store, func(bool) outbox.Store) {
		o, err := OpenOutboxInMemory()
		if err != nil {
			t.Fatal(err)
		}
		return o, nil
	})
}

// TestOpenOutboxRefuses opens what is not an outbox, or one of a later version.
func TestOpenOutboxRefuses(t *testing.T) {
	disk := vfs.NewMem()
	s, err := Open(testDir, Config{fs: disk})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenOutbox(testDir, Config{fs: disk}); err == nil {
		t.Error("a spool: got no error")
	}

	disk = vfs.NewMem()
	o := openOutboxOn(t, disk)
	if err := o.db.Set(outboxFormatKey, append([]byte(outboxMagic), 0, outboxFormat+1), engine.Sync); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenOutbox("/outbox", Config{fs: disk}); !errors.Is(err, ErrInUse) {
		t.Errorf("one that is open: got %v, want ErrInUse", err)
	}
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = OpenOutbox("/outbox", Config{fs: disk})
	if later, ok := errors.AsType[*VersionError](err); !ok || later.Have != outboxFormat+1 {
		t.Errorf("a later version: got %v, want a VersionError", err)
	}
}

// TestOutboxFails has the disk fail: nothing is confirmed any more, and what was is
// there when the store is opened again.
func TestOutboxFails(t *testing.T) {
	disk := vfs.NewCrashableMem()
	var failing atomic.Bool
	broken := errors.New("broken disk")
	o := openOutboxOn(t, errorfs.Wrap(disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if failing.Load() && op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
			return broken
		}
		return nil
	})))
	intent := func() outbox.Intent {
		now := time.Now()
		return outbox.Intent{ID: outbox.NewMessageID(now), App: 1, Deadline: now.Add(time.Hour), Tag: "news"}
	}
	kept, lost := intent(), intent()
	if _, _, err := o.Submit(t.Context(), outbox.Submission{Intent: kept}, time.Now()); err != nil {
		t.Fatal(err)
	}
	failing.Store(true)
	for range 2 {
		if _, _, err := o.Submit(t.Context(), outbox.Submission{Intent: lost}, time.Now()); !errors.Is(err, ErrFailed) {
			t.Errorf("got %v, want ErrFailed", err)
		}
	}
	if _, err := o.Message(t.Context(), kept.ID); !errors.Is(err, ErrFailed) {
		t.Errorf("got %v, want ErrFailed", err)
	}
	if err := o.Close(); !errors.Is(err, ErrFailed) {
		t.Errorf("close: got %v, want ErrFailed", err)
	}
	failing.Store(false)
	o = openOutboxOn(t, disk.CrashClone(vfs.CrashCloneCfg{}))
	if _, err := o.Message(t.Context(), kept.ID); err != nil {
		t.Errorf("what was confirmed: got %v", err)
	}
	if _, err := o.Message(t.Context(), lost.ID); !errors.Is(err, outbox.ErrNotFound) {
		t.Errorf("what was not: got %v, want ErrNotFound", err)
	}
	if err := o.Close(); err != nil {
		t.Error(err)
	}
}
