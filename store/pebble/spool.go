package pebble

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	engine "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/spool"
)

// Config says how a store works.
type Config struct {
	// CacheBytes is how much of what is on the disk is held in memory, at most,
	// in bytes. It is taken as it is filled. Zero means 32 MiB.
	CacheBytes int64
	// MemTableBytes is how large a table in memory of what was written last grows
	// before it is written out, in bytes; there may be four. Zero means 16 MiB.
	MemTableBytes int64
	// ReserveBytes is how much room has to be left on the disk for a notification
	// to be taken, in bytes. Zero means 64 MiB, negative that nobody looks.
	ReserveBytes int64
	// RepeatKeys is how many repeat keys are remembered, at most. Zero means
	// DefaultRepeatKeys.
	RepeatKeys int
	// Logger receives the faults of the disk. Nil means slog.Default().
	Logger *slog.Logger

	fs vfs.FS // nil means the disk
}

// DefaultRepeatKeys is how many repeat keys a Spool remembers by default.
const DefaultRepeatKeys = 1 << 20

// Spool is a spool.Store on a disk. One process at a time has it open.
type Spool struct {
	dir  string
	cfg  Config
	log  *slog.Logger
	fuse *fuse
	lock *engine.Lock
	db   *engine.DB

	queue queue
	// unsynced reports that something was deleted since the last sync.
	unsynced atomic.Bool
	stop     chan struct{} // closed by Close, once nothing is queued any more
	lasting  lasting
	// committed has the batches that wait for the disk, in their order.
	committed  chan committed
	goroutines sync.WaitGroup

	// gate is held for reading by those who read the database, for writing by
	// Close.
	gate   sync.RWMutex
	closed bool // guarded by gate

	notifications, bytes, newest atomic.Int64 // spool.Usage, as of the last change

	// changing is held by who changes the database: it guards what follows.
	changing sync.Mutex
	usage    spool.Usage
	repeats  repeats
	recent   recent
	// said has the messages of channels that were changed in the batch that is
	// being made.
	said map[apns.ChannelID]version
	// nextRepeats numbers the batches with repeat keys; those below trimmed are
	// deleted.
	nextRepeats, trimmed uint64
	// expired is the minute before which nothing is due that was not deleted.
	expired minute
	room    diskRoom
	scratch []byte    // for the repeat keys of a batch
	records []*record // for those of a batch
}

var _ spool.Store = (*Spool)(nil)

// withDefaults returns c with a value in each field.
func (c Config) withDefaults() Config {
	c.CacheBytes = cmp.Or(c.CacheBytes, 32<<20)
	c.MemTableBytes = cmp.Or(c.MemTableBytes, 16<<20)
	c.ReserveBytes = cmp.Or(c.ReserveBytes, 64<<20)
	c.RepeatKeys = max(1, cmp.Or(c.RepeatKeys, DefaultRepeatKeys))
	c.Logger = cmp.Or(c.Logger, slog.Default())
	if c.fs == nil {
		c.fs = vfs.Default
	}
	return c
}

// Open opens the store in a folder, and makes it if there is none. The folder
// around it must exist. The error is ErrInUse, ErrForeign, ErrDamaged, a
// *VersionError, spool.ErrStoreFull or one of the file system, each with the folder.
func Open(dir string, cfg Config) (_ *Spool, err error) {
	cfg = cfg.withDefaults()
	s := &Spool{
		dir: dir, cfg: cfg, log: cfg.Logger, stop: make(chan struct{}), committed: make(chan committed),
		repeats: repeats{limit: cfg.RepeatKeys}, recent: newRecent(), said: map[apns.ChannelID]version{},
	}
	s.queue.some = make(chan struct{}, 1)
	s.fuse = newFuse(cfg.fs, s.noteFault)
	if s.lock, err = lockFolder(cfg.fs, dir); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.lock.Close())
		}
	}()
	if err := cmp.Or(dropBegun(cfg.fs, dir), checkEngine(cfg.fs, dir)); err != nil {
		return nil, err
	}
	if s.db, err = engine.Open(dir, s.options()); err != nil {
		return nil, explain(dir, cmp.Or(s.fuse.err(), err), nil)
	}
	err = s.begin()
	if err = cmp.Or(s.fuse.err(), err); err != nil {
		return nil, errors.Join(explain(dir, err, nil), s.db.Close())
	}
	s.goroutines.Go(s.commitAll)
	s.goroutines.Go(s.acknowledgeAll)
	return s, nil
}

// noteFault is told when the disk failed.
func (s *Spool) noteFault(err error) {
	s.log.Error("spool store failed and takes nothing any more", slog.String("dir", s.dir), slog.Any("error", err))
}

// failure returns what the store fails with, nil as long as it does not.
func (s *Spool) failure() error {
	err := s.fuse.err()
	if err == nil {
		return nil
	}
	return &fault{s.dir, ErrFailed, err}
}

// Usage implements spool.Store.
func (s *Spool) Usage() spool.Usage {
	return spool.Usage{
		Notifications: s.notifications.Load(), Bytes: s.bytes.Load(), Newest: spool.Timestamp(s.newest.Load()),
	}
}

// publish shows the usage, as it is now. The caller is changing.
func (s *Spool) publish() {
	s.notifications.Store(s.usage.Notifications)
	s.bytes.Store(s.usage.Bytes)
	s.newest.Store(int64(s.usage.Newest))
}

// Close implements spool.Store. What was put before is carried out.
func (s *Spool) Close() error {
	if !s.queue.close() {
		return nil
	}
	close(s.stop)
	s.goroutines.Wait()
	s.gate.Lock()
	defer s.gate.Unlock()
	s.closed = true
	s.changing.Lock()
	defer s.changing.Unlock()
	err := s.db.Close()
	// What a fault left behind is no news.
	if failed := s.failure(); failed != nil {
		err = failed
	}
	return explain(s.dir, errors.Join(err, s.lock.Close()), nil)
}

// enter begins a call that reads the database, which ends with done.
func (s *Spool) enter(ctx context.Context) (done func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.gate.RLock()
	if s.closed || s.queue.isClosed() {
		s.gate.RUnlock()
		return nil, spool.ErrStoreClosed
	}
	if err := s.failure(); err != nil {
		s.gate.RUnlock()
		return nil, err
	}
	return s.gate.RUnlock, nil
}

// diskRoom watches how much room is left on the disk.
type diskRoom struct {
	looked time.Time
	full   bool // as of then
}

// lookEvery is how often it is looked how much room is left.
const lookEvery = 250 * time.Millisecond

// checkRoom returns spool.ErrStoreFull if there is too little room left on the disk
// to take more. The caller is changing.
func (s *Spool) checkRoom() error {
	r := &s.room
	if now := time.Now(); s.cfg.ReserveBytes > 0 && now.Sub(r.looked) >= lookEvery {
		r.looked = now
		// Not every file system says it.
		usage, err := s.fuse.GetDiskUsage(s.dir)
		if full := err == nil && usage.AvailBytes < uint64(s.cfg.ReserveBytes); full != r.full {
			r.full = full
			s.log.Warn("spool store takes notifications as long as there is room on the disk", slog.String("dir", s.dir),
				slog.Bool("full", full), slog.Uint64("available_bytes", usage.AvailBytes), slog.Int64("reserve_bytes", s.cfg.ReserveBytes))
		}
	}
	if r.full {
		return &fault{s.dir, spool.ErrStoreFull, nil}
	}
	return nil
}
