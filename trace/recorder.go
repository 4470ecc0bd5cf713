package trace

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// Config says how much a recorder keeps, and where.
type Config struct {
	// Dir is the folder for the segments, for this recorder alone; it is made when
	// there is something to keep. Empty means memory: what is kept is gone with
	// the recorder.
	Dir string
	// MaxBytes bounds what is kept: the size of all files, or the memory. Zero
	// means DefaultDiskBytes or DefaultMemoryBytes; the least is MinBytes.
	MaxBytes int64
	// MaxAge is for how long lines are kept. Zero means DefaultMaxAge.
	MaxAge time.Duration
	// Logger gets a line for what cannot be kept or read. Nil means
	// slog.Default().
	Logger *slog.Logger
}

// Bounds of what is kept.
const (
	DefaultDiskBytes   = 256 << 20
	DefaultMemoryBytes = 8 << 20
	MinBytes           = 1 << 20
	DefaultMaxAge      = 3 * 24 * time.Hour
)

// withDefaults returns c with a value in each field, or says what is wrong.
func (c Config) withDefaults() (Config, error) {
	switch {
	case c.MaxBytes == 0 && c.Dir == "":
		c.MaxBytes = DefaultMemoryBytes
	case c.MaxBytes == 0:
		c.MaxBytes = DefaultDiskBytes
	case c.MaxBytes < MinBytes:
		return c, fmt.Errorf("trace: %d bytes are too few, the least is %d", c.MaxBytes, MinBytes)
	}
	switch {
	case c.MaxAge == 0:
		c.MaxAge = DefaultMaxAge
	case c.MaxAge < 0:
		return c, fmt.Errorf("trace: nothing can be kept for %v", c.MaxAge)
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c, nil
}

// ErrClosed is what a closed recorder is asked in vain.
var ErrClosed = errors.New("trace is closed")

// Recorder keeps what happened. Its methods may be called at once from many
// goroutines. Record, Stats and Close of a nil Recorder, which keeps nothing, do
// nothing, and its stories are empty.
type Recorder struct {
	cfg    Config
	shards [shardCount]shard

	some  chan struct{} // capacity 1: a shard has lines
	hurry chan struct{} // capacity 1: a shard has many

	// work holds one element, which belongs to whoever works with the fields
	// below.
	work   chan struct{}
	keeper keeper
	spare  []byte // for the next shard that is emptied
	closed bool
	unkept uint64    // lines that the keeper did not take
	cause  error     // why it did not take the last of them
	told   uint64    // dropped lines that the log knows of
	toldAt time.Time // when it was told

	stop    context.CancelFunc // ends the writer
	writing sync.WaitGroup     // counts it
}

// Open opens a recorder over what was kept in the folder before. Its error says
// what the configuration lacks, or is of the folder; a file that cannot be read is
// no error.
func Open(cfg Config) (*Recorder, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	r := &Recorder{cfg: cfg, some: make(chan struct{}, 1), hurry: make(chan struct{}, 1), work: make(chan struct{}, 1)}
	if cfg.Dir == "" {
		r.keeper = newMemory(cfg.MaxBytes, cfg.MaxAge)
	} else if r.keeper, err = openFolder(cfg.Dir, cfg.MaxBytes, cfg.MaxAge, cfg.Logger, time.Now()); err != nil {
		return nil, err
	}
	r.start()
	return r, nil
}

// start starts the writer.
func (r *Recorder) start() {
	ctx, stop := context.WithCancel(context.Background())
	r.stop = stop
	r.work <- struct{}{}
	r.writing.Go(func() { r.run(ctx) })
}

// shardCount is the number of buffers that lines are spread over.
const shardCount = 8

// shard is a buffer for lines on their way to the keeper. All lines of a
// notification go to the same one, so that they stay in order.
type shard struct {
	mu      sync.Mutex
	records []byte // without checksums; guarded by mu
	lines   uint64 // all that came, guarded by mu
	dropped uint64 // those that there was no room for, guarded by mu
	closed  bool   // guarded by mu

	_ [64]byte // for the next one to be in another cache line
}

// Sizes of a shard, in bytes of records.
const (
	firstShardBytes = 64 * recordBytes
	hurryShardBytes = 512 * recordBytes
	maxShardBytes   = 4096 * recordBytes
)

// Record keeps a line, of which it holds on to nothing. It waits for nothing but a
// lock that is held for a moment, and allocates nothing, but for a buffer that
// grows. A line is dropped, and counted, if those before it cannot be kept as fast
// as they come.
func (r *Recorder) Record(l *Line) {
	if r != nil { // no more than this is done where it is called
		r.record(l)
	}
}

func (r *Recorder) record(l *Line) {
	var record [recordBytes]byte
	encode(&record, l)
	at := deviceAt
	if l.ID != "" {
		at = idAt // the first bytes of a UUID are random, or a time at least
	}
	sh := &r.shards[(record[at]^record[at+3])%shardCount]
	sh.mu.Lock()
	sh.lines++
	if sh.closed || len(sh.records) >= maxShardBytes {
		sh.dropped++
		sh.mu.Unlock()
		return
	}
	before := len(sh.records)
	if before == 0 && sh.records == nil {
		sh.records = make([]byte, 0, firstShardBytes)
	}
	sh.records = append(sh.records, record[:]...)
	sh.mu.Unlock()
	switch before {
	case 0:
		notify(r.some)
	case hurryShardBytes:
		notify(r.hurry)
	}
}

func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // it knows already
	}
}

// Stats says what a recorder has done.
type Stats struct {
	// Lines is how many were recorded since it was opened, and Dropped how many
	// of them could not be kept.
	Lines, Dropped uint64
	// Bytes is how much is kept.
	Bytes int64
}

// Stats returns what the recorder has done. It waits for a write in progress.
func (r *Recorder) Stats() Stats {
	if r == nil {
		return Stats{}
	}
	<-r.work
	defer r.release()
	s := r.count()
	s.Bytes = r.keeper.bytes()
	return s
}

// count returns Stats without Bytes. The work is the caller's.
func (r *Recorder) count() Stats {
	s := Stats{Dropped: r.unkept}
	for i := range r.shards {
		sh := &r.shards[i]
		sh.mu.Lock()
		s.Lines += sh.lines
		s.Dropped += sh.dropped
		sh.mu.Unlock()
	}
	return s
}

// Close keeps what was recorded, and waits for that. Later lines are dropped. It
// may be called again.
func (r *Recorder) Close() {
	if r == nil {
		return
	}
	r.stop()
	r.writing.Wait()
}

// release gives the work back.
func (r *Recorder) release() { r.work <- struct{}{} }

// chapters keeps what was recorded so far and returns all that is kept.
func (r *Recorder) chapters(ctx context.Context) ([]chapter, error) {
	select {
	case <-r.work:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer r.release()
	if r.closed {
		return nil, ErrClosed
	}
	r.drain(time.Now())
	return r.keeper.chapters(), nil
}

// oldest returns the time before which lines are too old.
func (r *Recorder) oldest(now time.Time) int64 { return now.Add(-r.cfg.MaxAge).UnixNano() }
