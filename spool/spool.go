package spool

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/heraldpush/herald/apns"
)

// Config says how a spool works.
type Config struct {
	// Store keeps what waits. Required. The spool closes it.
	Store Store
	// Window is how many notifications may be unacknowledged on one attached
	// device; 1 is what Apple documents. Zero means 16.
	Window int
	// Defer is for how long after it was taken a notification of priority 5 is
	// held back for a device that is not awake. Zero means 15 minutes.
	Defer time.Duration
	// AssumeInactive makes a device inactive until it says otherwise. By default
	// it is active until it says otherwise, so that a device that knows nothing
	// of activity gets low priority at once.
	AssumeInactive bool
	// Linger is for how long a notification that is not stored may wait in
	// memory for its topic or the window to become free. Zero means a minute.
	Linger time.Duration
	// RepeatWindow is for how long the store remembers what was accepted, to
	// recognise a repeat. Zero means 10 minutes, negative that repeats are not
	// recognised.
	RepeatWindow time.Duration
	// MaxNotifications is how many stored notifications there may be before
	// offers are refused. Zero means 4,194,304 for a store in memory alone, an
	// ImmediateStore, and 33,554,432 for any other.
	MaxNotifications int64
	// MaxBytes is the size of all stored notifications, in bytes, from which
	// offers are refused. Zero means 4 GiB for a store in memory alone, and 32 GiB
	// for any other.
	MaxBytes int64
	// MaxOffers is how many notifications may be on their way into the store
	// before further ones are refused. Zero means 65,536.
	MaxOffers int64
	// MaxReplay is how many stored notifications one attachment brings at most;
	// those beyond it wait for the next one. Zero means 1,024.
	MaxReplay int
	// MaxChannels is how many channels one attached device may follow. Zero means
	// 1,000.
	MaxChannels int
	// MaxPublished is how many messages may be on their way to those who follow
	// their channels before further ones are refused. Zero means 4,096.
	MaxPublished int
	// PublishRate is how many devices messages are brought to in a second, so
	// that a channel that many follow leaves room for all else. Zero means
	// 50,000.
	PublishRate int
	// StoreTimeout bounds each call of the store. Zero means 30 seconds.
	StoreTimeout time.Duration
	// Observe is told what becomes of each notification. It is called from many
	// goroutines at once, and with locks held: it returns at once, and does not
	// call the spool. What an event refers to is borrowed. What the store does to
	// notifications for devices that are away is not told. Nil means that nobody
	// asks.
	Observe func(Event)
	// Logger receives the faults that nobody waits for. Nil means slog.Default().
	Logger *slog.Logger
}

func orDefault[T int | int64 | time.Duration](value, otherwise T) T {
	if value == 0 {
		return otherwise
	}
	return value
}

// withDefaults returns c with a value in each field.
func (c Config) withDefaults() Config {
	c.Window = orDefault(c.Window, 16)
	c.Defer = orDefault(c.Defer, 15*time.Minute)
	c.Linger = orDefault(c.Linger, time.Minute)
	c.RepeatWindow = orDefault(c.RepeatWindow, 10*time.Minute)
	var notifications, bytes int64 = 1 << 25, 32 << 30
	if _, inMemory := c.Store.(ImmediateStore); inMemory {
		notifications, bytes = 1<<22, 4<<30
	}
	c.MaxNotifications = orDefault(c.MaxNotifications, notifications)
	c.MaxBytes = orDefault(c.MaxBytes, bytes)
	c.MaxOffers = orDefault(c.MaxOffers, 1<<16)
	c.MaxReplay = orDefault(c.MaxReplay, 1024)
	c.MaxChannels = orDefault(c.MaxChannels, 1000)
	c.MaxPublished = orDefault(c.MaxPublished, 1<<12)
	c.PublishRate = orDefault(c.PublishRate, 50_000)
	c.StoreTimeout = orDefault(c.StoreTimeout, 30*time.Second)
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c
}

// validate reports what makes c unusable, after withDefaults.
func (c Config) validate() error {
	switch {
	case c.Store == nil:
		return errors.New("spool: no store")
	case c.Window < 0, c.Defer < 0, c.Linger < 0, c.MaxNotifications < 0, c.MaxBytes < 0, c.MaxOffers < 0,
		c.MaxReplay < 0, c.MaxChannels < 0, c.MaxPublished < 0, c.PublishRate < 0, c.StoreTimeout < 0:
		return errors.New("spool: a negative limit")
	}
	return nil
}

// Spool keeps notifications until their devices have them. Its methods may be
// called at once from many goroutines.
type Spool struct {
	config  Config
	rules   rules
	shards  [shardCount]shard
	agenda  agenda
	filters filters
	// channels is who follows what, fanouts what is on its way to them.
	channels channels
	fanouts  fanouts
	// immediate is the store, if it is an ImmediateStore; or nil.
	immediate ImmediateStore
	// offers counts the notifications on their way into the store.
	offers atomic.Int64
	// calls counts the calls of the store in progress. It is added to under a
	// shard's lock while that shard is open, so that Close can wait for it.
	calls sync.WaitGroup

	stop       context.CancelFunc // ends the spool's own goroutines
	goroutines sync.WaitGroup     // counts them
	closeOnce  sync.Once
	closeErr   error // set within closeOnce
}

// shardCount is the number of locks that devices share. A lock is held for no
// I/O, and for about a microsecond.
const shardCount = 256

// shard is the part of a spool that some of the devices fall in.
type shard struct {
	mu     sync.Mutex
	closed bool               // guarded by mu
	last   Timestamp          // the latest one given; guarded by mu
	boxes  map[Mailbox]*Inbox // who is attached; guarded by mu
	write  Write              // of putImmediate, empty before and after; guarded by mu
}

// New returns a spool over the store of the configuration, and starts its work
// in the background, which Close ends. Its error says what the configuration
// lacks.
func New(c Config) (*Spool, error) {
	c = c.withDefaults()
	if err := c.validate(); err != nil {
		return nil, err
	}
	s := &Spool{config: c, rules: rules{window: c.Window, postpone: c.Defer, linger: c.Linger, observed: c.Observe != nil}}
	s.immediate, _ = c.Store.(ImmediateStore)
	newest := c.Store.Usage().Newest
	for i := range s.shards {
		s.shards[i].last = newest
		s.shards[i].boxes = map[Mailbox]*Inbox{}
	}
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.agenda.init()
	s.channels.last = newest
	s.fanouts.init(c.PublishRate)
	s.goroutines.Go(func() { s.agenda.run(ctx, s.due) })
	s.goroutines.Go(func() { s.expire(ctx) })
	s.goroutines.Go(func() { s.fanouts.run(ctx) })
	return s, nil
}

// Close refuses further offers and attachments with apns.Shutdown, ends every
// inbox, waits for the calls of the store in progress, and closes the store.
// It returns the store's error, at every call.
func (s *Spool) Close() error {
	s.closeOnce.Do(func() {
		for i := range s.shards {
			sh := &s.shards[i]
			sh.mu.Lock()
			sh.closed = true
			for _, in := range sh.boxes {
				in.end()
			}
			clear(sh.boxes)
			sh.mu.Unlock()
		}
		s.stop()
		s.calls.Wait()
		s.goroutines.Wait()
		s.closeErr = s.config.Store.Close()
	})
	return s.closeErr
}

// Stats says what a spool holds.
type Stats struct {
	// Notifications and Bytes are those of the store, see Usage.
	Notifications, Bytes int64
	// Attached counts the attached devices, once for each environment.
	Attached int
}

// Stats returns what the spool holds. It looks at all shards, so it is for a
// page or a scrape, not for each notification.
func (s *Spool) Stats() Stats {
	u := s.config.Store.Usage()
	st := Stats{Notifications: u.Notifications, Bytes: u.Bytes}
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.Lock()
		st.Attached += len(sh.boxes)
		sh.mu.Unlock()
	}
	return st
}

// shard returns the shard of a device. Ordinals are dense, so their low bits
// spread well.
func (s *Spool) shard(d apns.DeviceOrdinal) *shard { return &s.shards[uint64(d)%shardCount] }

// stamp returns the timestamp of what is taken at the time now. The lock is held.
func (sh *shard) stamp(now time.Time) Timestamp {
	sh.last = max(sh.last+1, Timestamp(now.UnixNano()))
	return sh.last
}

// writeContext returns the context for a call that changes the store: it ends at
// the deadline of ctx, and after StoreTimeout at the latest, but not when ctx is
// cancelled, for a device or provider that goes must not leave it unknown whether
// something was written.
func (s *Spool) writeContext(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline := time.Now().Add(s.config.StoreTimeout)
	if of, ok := ctx.Deadline(); ok && of.Before(deadline) {
		deadline = of
	}
	return context.WithDeadline(context.WithoutCancel(ctx), deadline)
}

// readContext returns the context for a call that reads from the store: it ends
// with ctx, and after StoreTimeout at the latest.
func (s *Spool) readContext(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, s.config.StoreTimeout)
}

// storeFault returns what is told of an error of the store: that there is no room
// is no fault, but a reason to come later.
func storeFault(doing string, err error) error {
	if errors.Is(err, ErrStoreFull) {
		return errOverload()
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// expireInterval is the time between two calls of Store.Expire.
const expireInterval = time.Minute

// expire has the store discard what expired, until ctx ends.
func (s *Spool) expire(ctx context.Context) {
	tick := time.NewTicker(expireInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		call, cancel := s.readContext(ctx)
		_, err := s.config.Store.Expire(call, time.Now())
		cancel()
		if err != nil && ctx.Err() == nil {
			s.config.Logger.ErrorContext(ctx, "spool could not expire notifications", slog.Any("error", err))
		}
	}
}
