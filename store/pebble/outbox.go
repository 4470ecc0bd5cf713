package pebble

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	engine "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/heraldpush/herald/provider/outbox"
)

// Outbox is an outbox.Store on a disk, in a folder of its own. One process at a
// time has it open: so who holds a shard is known in memory alone, and nobody
// holds any when it is opened.
//
// One goroutine carries out what all callers have brought since it last looked, as
// one batch with one sync, each after the other. It alone changes the database, and
// what it needs to know of the line of shards.
type Outbox struct {
	dir  string
	cfg  Config
	log  *slog.Logger
	fuse *fuse
	lock *engine.Lock
	db   *engine.DB

	mu      sync.Mutex
	waiting []*errand     // guarded by mu
	closed  bool          // guarded by mu
	some    chan struct{} // receives when there may be errands
	stopped chan struct{} // closed when the goroutine has ended

	emptied    chan struct{} // receives when room is to be given back to the disk
	compacting sync.WaitGroup
	endCompact context.CancelFunc

	// gate is held for reading by those who read the database, for writing by
	// Close.
	gate sync.RWMutex

	// What follows is the goroutine's.

	epoch uint32 // counts the times that the store was opened
	count uint32 // of the fences of this epoch
	holds map[shardID]hold
	// lines has the queues that have shards, each with a key before which it has
	// none: what was taken leaves traces that are slow to pass.
	lines map[outbox.Queue][]byte
	// ended is a key before which no message is that has ended.
	ended []byte
	// forgotten is a key before which no request is to be forgotten.
	forgotten []byte
	recent    recents
	// messages is how many there are; removed is about how many bytes were removed
	// since room was given back.
	messages int
	removed  uint64
	room     diskRoom
	swept    time.Time // when idempotency keys were last forgotten
}

var _ outbox.Store = (*Outbox)(nil)

// shardID names a shard.
type shardID struct {
	message outbox.MessageID
	number  uint32
}

// hold is that somebody holds a shard.
type hold struct {
	fence uint64
	until time.Time
}

// errand is something to be done with the database. It looks first, and changes
// something last: an error of its own comes before any change.
type errand struct {
	do   func(*engine.Batch) error
	err  error         // how it ended; set before done is closed
	done chan struct{} // closed when that is durable
}

// engineError is an error of the engine, after which a batch is of no use.
type engineError struct{ error }

// Unwrap returns the error.
func (e engineError) Unwrap() error { return e.error }

// broken marks an error as the engine's.
func broken(err error) error {
	if err == nil {
		return nil
	}
	return engineError{err}
}

// OpenOutbox opens the store in a folder, and makes it if there is none. The folder
// around it must exist. Of the configuration, RepeatKeys means nothing here. The
// errors are those of Open.
func OpenOutbox(dir string, cfg Config) (_ *Outbox, err error) {
	cfg = cfg.withDefaults()
	o := &Outbox{
		dir: dir, cfg: cfg, log: cfg.Logger, some: make(chan struct{}, 1), stopped: make(chan struct{}), emptied: make(chan struct{}, 1),
		holds: make(map[shardID]hold), lines: make(map[outbox.Queue][]byte),
		ended: []byte{endedKind}, forgotten: []byte{forgetKind}, recent: recents{of: make(map[outbox.MessageID]*recentMessage)},
	}
	o.fuse = newFuse(cfg.fs, func(err error) {
		o.log.Error("outbox failed and takes nothing any more", slog.String("dir", dir), slog.Any("error", err))
	})
	if o.lock, err = lockFolder(cfg.fs, dir); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, o.lock.Close())
		}
	}()
	if err := cmp.Or(dropBegun(cfg.fs, dir), checkEngine(cfg.fs, dir)); err != nil {
		return nil, err
	}
	if o.db, err = engine.Open(dir, o.options()); err != nil {
		return nil, explain(dir, cmp.Or(o.fuse.err(), err), nil)
	}
	if err = cmp.Or(o.begin(), o.fuse.err()); err != nil {
		return nil, errors.Join(explain(dir, err, nil), o.db.Close())
	}
	var ctx context.Context
	ctx, o.endCompact = context.WithCancel(context.Background())
	o.compacting.Go(func() { o.compact(ctx) })
	go o.run()
	return o, nil
}

// OpenOutboxInMemory opens a store that is gone with the process, for tests and for
// what is thrown away.
func OpenOutboxInMemory() (*Outbox, error) {
	return OpenOutbox("/outbox", Config{ReserveBytes: -1, CacheBytes: 1 << 20, MemTableBytes: 1 << 20, fs: vfs.NewMem()})
}

func (o *Outbox) options() *engine.Options {
	opts := &engine.Options{
		FS: o.fuse, Lock: o.lock, FormatMajorVersion: engineFormat,
		CacheSize:    o.cfg.CacheBytes + memTables*o.cfg.MemTableBytes,
		MemTableSize: uint64(o.cfg.MemTableBytes), MemTableStopWritesThreshold: memTables,
		L0CompactionThreshold: 4, L0StopWritesThreshold: 40, MaxOpenFiles: 500,
		CompactionConcurrencyRange: func() (int, int) { return 1, 2 },
		Logger:                     outboxLogger{o},
		EventListener: &engine.EventListener{
			BackgroundError: o.fuse.blow,
			DataCorruption:  func(i engine.DataCorruptionInfo) { o.fuse.blow(i.Details) },
			DiskSlow: func(i engine.DiskSlowInfo) {
				o.log.Warn("outbox waits for the disk", slog.String("what", i.String()))
			},
			WriteStallBegin: func(i engine.WriteStallBeginInfo) {
				o.log.Warn("outbox is written to faster than the disk takes it", slog.String("reason", i.Reason))
			},
		},
	}
	for i := range opts.Levels {
		opts.Levels[i].FilterPolicy = bloom.FilterPolicy(10) // most idempotency keys are new
	}
	return opts
}

// outboxLogger is engineLogger for an Outbox.
type outboxLogger struct{ o *Outbox }

// Infof implements engine.Logger: it is chatter.
func (outboxLogger) Infof(string, ...any) {}

// Errorf implements engine.Logger.
func (l outboxLogger) Errorf(format string, args ...any) {
	l.o.log.Warn("outbox's engine complains", slog.String("what", fmt.Sprintf(format, args...)))
}

// Fatalf implements engine.Logger.
func (l outboxLogger) Fatalf(format string, args ...any) { l.o.fuse.blow(fmt.Errorf(format, args...)) }

// outboxMagic is what the value of outboxFormatKey begins with; outboxFormat
// follows, 2 bytes.
const (
	outboxMagic  = "herald outbox "
	outboxFormat = 1
)

// begin makes sure that the database is ours, or makes it so, begins an epoch, and
// finds the queues.
func (o *Outbox) begin() error {
	b := o.db.NewIndexedBatch()
	defer b.Close()
	format, known, err := get(b, outboxFormatKey)
	if err != nil {
		return err
	}
	switch {
	case !known:
		if foreign, err := first(b, nil, nil); err != nil || foreign != nil {
			return cmp.Or(err, error(&fault{o.dir, ErrDamaged, errors.New("its format is not said")}))
		}
	case len(format) != len(outboxMagic)+2 || string(format[:len(outboxMagic)]) != outboxMagic:
		return &fault{o.dir, ErrDamaged, errors.New("its format is not said")}
	default:
		if have := int(binary.BigEndian.Uint16(format[len(outboxMagic):])); have > outboxFormat {
			return &VersionError{o.dir, have, outboxFormat}
		}
	}
	epoch, _, err := get(b, epochKey)
	if err != nil {
		return err
	}
	if len(epoch) == 4 {
		o.epoch = binary.BigEndian.Uint32(epoch)
	}
	o.epoch++
	if err := errors.Join(
		b.Set(outboxFormatKey, binary.BigEndian.AppendUint16([]byte(outboxMagic), outboxFormat), nil),
		b.Set(epochKey, binary.BigEndian.AppendUint32(nil, o.epoch), nil),
		o.findLines(b),
		each(b, []byte{listKind}, []byte{listKind + 1}, func(_, _ []byte) (bool, error) {
			o.messages++
			return true, nil
		}),
		b.Commit(engine.Sync),
	); err != nil {
		return err
	}
	return nil
}

// findLines finds the queues that have shards.
func (o *Outbox) findLines(b *engine.Batch) error {
	from := []byte{readyKind}
	for {
		key, err := first(b, from, []byte{readyKind + 1})
		if err != nil || key == nil {
			return err
		}
		r, err := parseReadyKey(key)
		if err != nil {
			return err
		}
		o.lines[r.queue] = key
		from = after(appendQueue(nil, r.queue))
	}
}

// errand has something done and waits until it is durable. If ctx ends before,
// it may be done or not.
func (o *Outbox) errand(ctx context.Context, do func(*engine.Batch) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := o.failure(); err != nil {
		return err
	}
	e := &errand{do: do, done: make(chan struct{})}
	o.mu.Lock()
	if o.closed {
		o.mu.Unlock()
		return outbox.ErrClosed
	}
	o.waiting = append(o.waiting, e)
	o.mu.Unlock()
	select {
	case o.some <- struct{}{}:
	default:
	}
	select {
	case <-e.done:
		return e.err
	case <-ctx.Done():
		return &fault{o.dir, nil, fmt.Errorf("waiting for the disk: %w", ctx.Err())}
	}
}

// maxErrands bounds a batch, so that the first in it is answered soon.
const maxErrands = 1024

// run does the errands, until Close.
func (o *Outbox) run() {
	defer close(o.stopped)
	for range o.some {
		for {
			o.mu.Lock()
			n := min(len(o.waiting), maxErrands)
			some := o.waiting[:n:n]
			o.waiting = o.waiting[n:]
			closed := o.closed
			o.mu.Unlock()
			if n == 0 {
				if closed {
					return
				}
				break
			}
			o.doAll(some)
		}
	}
}

// doAll does errands as one batch.
func (o *Outbox) doAll(errands []*errand) {
	b := o.db.NewIndexedBatch()
	err := o.failure()
	for _, e := range errands {
		if err != nil {
			break
		}
		e.err = e.do(b)
		if fatal, ok := errors.AsType[engineError](e.err); ok {
			// What the batch holds by now is unknown, and what is in memory
			// goes beyond the disk.
			o.fuse.blow(fatal.error)
			err = o.failure()
		}
	}
	if err == nil && !b.Empty() {
		if fatal := b.Commit(engine.Sync); fatal != nil {
			o.fuse.blow(fatal)
		}
		err = o.failure() // the engine is not told of all that fails: see fuse
	}
	err = errors.Join(err, b.Close())
	o.giveBack()
	for _, e := range errands {
		if err != nil {
			e.err = err
		}
		close(e.done)
	}
}

// failure returns what the store fails with, nil as long as it does not.
func (o *Outbox) failure() error {
	if err := o.fuse.err(); err != nil {
		return &fault{o.dir, ErrFailed, err}
	}
	return nil
}

// Close implements outbox.Store.
func (o *Outbox) Close() error {
	o.mu.Lock()
	if o.closed {
		o.mu.Unlock()
		return nil
	}
	o.closed = true
	o.mu.Unlock()
	select {
	case o.some <- struct{}{}:
	default:
	}
	<-o.stopped
	o.endCompact()
	o.compacting.Wait()
	o.gate.Lock()
	defer o.gate.Unlock()
	err := o.db.Close()
	if failed := o.failure(); failed != nil {
		err = failed // what a fault left behind is no news
	}
	return explain(o.dir, errors.Join(err, o.lock.Close()), nil)
}

// checkRoom returns outbox.ErrFull if there is too little room left on the disk to
// take more.
func (o *Outbox) checkRoom(now time.Time) error {
	r := &o.room
	if o.cfg.ReserveBytes > 0 && now.Sub(r.looked).Abs() >= lookEvery {
		r.looked = now
		usage, err := o.fuse.GetDiskUsage(o.dir) // not every file system says it
		r.full = err == nil && usage.AvailBytes < uint64(o.cfg.ReserveBytes)
	}
	if r.full {
		return &fault{o.dir, outbox.ErrFull, nil}
	}
	return nil
}

// nextFence returns a fence that is greater than all before it.
func (o *Outbox) nextFence() uint64 {
	o.count++
	return uint64(o.epoch)<<32 | uint64(o.count)
}

// queueOf returns where the shards of a message wait.
func queueOf(i *outbox.Intent) outbox.Queue { return outbox.Queue{Lane: i.Lane, App: i.App} }
