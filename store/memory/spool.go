package memory

import (
	"cmp"
	"container/heap"
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/spool"
)

// Spool is a spool.Store in memory alone: what it keeps is gone with it. It is
// sharded by device, and by repeat key, and finds what expired in a heap.
type Spool struct {
	// gate is held for reading by each call, and for writing by Close.
	gate   sync.RWMutex
	closed bool // guarded by gate

	notifications, bytes, newest atomic.Int64

	boxes   [spoolShards]spoolBoxes
	repeats [spoolShards]spoolRepeats

	messages spoolMessages
}

var _ spool.ImmediateStore = (*Spool)(nil)

const spoolShards = 64

// DefaultRepeatKeys is how many repeat keys a Spool remembers by default.
const DefaultRepeatKeys = 1 << 20

// NewSpool returns an empty store. It remembers about repeatKeys repeat keys at
// most, DefaultRepeatKeys if that is zero.
func NewSpool(repeatKeys int) *Spool {
	s := &Spool{}
	for i := range spoolShards {
		s.boxes[i].entries = map[spool.Mailbox]*spoolEntry{}
		s.repeats[i].until = map[spool.RepeatKey]time.Time{}
		s.repeats[i].limit = max(1, cmp.Or(repeatKeys, DefaultRepeatKeys)/spoolShards)
	}
	return s
}

// Put implements spool.Store.
func (s *Spool) Put(ctx context.Context, writes []spool.Write) error {
	done, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer done()
	for i := range writes {
		s.put(&writes[i])
	}
	return nil
}

// PutNow implements spool.ImmediateStore.
func (s *Spool) PutNow(w *spool.Write) error {
	s.gate.RLock()
	defer s.gate.RUnlock()
	if s.closed {
		return spool.ErrStoreClosed
	}
	s.put(w)
	return nil
}

// put carries out a write. The gate is held.
func (s *Spool) put(w *spool.Write) {
	r := &s.repeats[w.RepeatKey[0]%spoolShards]
	// Held until the entry is in place, so that a repeat is not reported
	// earlier.
	r.mu.Lock()
	defer r.mu.Unlock()
	if w.Repeat = r.check(w); !w.Repeat && w.Keep {
		s.keep(w)
	}
}

// Delete implements spool.Store.
func (s *Spool) Delete(ctx context.Context, versions []spool.Version) error {
	done, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer done()
	for _, v := range versions {
		b := s.box(v.Address.Device)
		b.mu.Lock()
		if e := b.find(v.Address); e != nil && e.Timestamp == v.Timestamp {
			s.remove(b, e)
		}
		b.mu.Unlock()
	}
	return nil
}

// Load implements spool.Store.
func (s *Spool) Load(ctx context.Context, box spool.Mailbox, limit int) ([]spool.Entry, error) {
	done, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	b := s.box(box.Device)
	b.mu.Lock()
	defer b.mu.Unlock()
	var list []spool.Entry
	for e := b.entries[box]; e != nil; e = e.next {
		list = append(list, e.Entry)
	}
	slices.SortFunc(list, func(x, y spool.Entry) int { return cmp.Compare(x.Timestamp, y.Timestamp) })
	return list[:min(len(list), limit)], nil
}

// Expire implements spool.Store.
func (s *Spool) Expire(ctx context.Context, now time.Time) (n int, err error) {
	done, err := s.enter(ctx)
	if err != nil {
		return 0, err
	}
	defer done()
	for i := range spoolShards {
		b := &s.boxes[i]
		b.mu.Lock()
		for len(b.expiry) > 0 && b.expiry[0].Expired(now) {
			s.remove(b, b.expiry[0])
			n++
		}
		b.mu.Unlock()
		r := &s.repeats[i]
		r.mu.Lock()
		r.forget(now)
		r.mu.Unlock()
	}
	return n + s.expireMessages(now), nil
}

// Usage implements spool.Store.
func (s *Spool) Usage() spool.Usage {
	return spool.Usage{
		Notifications: s.notifications.Load(), Bytes: s.bytes.Load(), Newest: spool.Timestamp(s.newest.Load()),
	}
}

// Close implements spool.Store.
func (s *Spool) Close() error {
	s.gate.Lock()
	defer s.gate.Unlock()
	s.closed = true
	return nil
}

// enter begins a call, which ends with done.
func (s *Spool) enter(ctx context.Context) (done func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.gate.RLock()
	if s.closed {
		s.gate.RUnlock()
		return nil, spool.ErrStoreClosed
	}
	return s.gate.RUnlock, nil
}

func (s *Spool) box(d apns.DeviceOrdinal) *spoolBoxes { return &s.boxes[uint64(d)%spoolShards] }

// keep makes the entry of w that of its address, unless a later one is there.
func (s *Spool) keep(w *spool.Write) {
	b := s.box(w.Address.Device)
	b.mu.Lock()
	defer b.mu.Unlock()
	if e := b.find(w.Address); e == nil {
		b.add(&spoolEntry{Entry: w.Own()})
		s.notifications.Add(1)
		s.bytes.Add(w.Bytes())
	} else if e.Timestamp <= w.Timestamp {
		s.bytes.Add(w.Bytes() - e.Bytes())
		e.Entry = w.Own()
		e.deadline = e.Deadline()
		heap.Fix(&b.expiry, e.place)
	} else {
		return
	}
	s.raise(w.Timestamp)
}

// raise notes that t was put.
func (s *Spool) raise(t spool.Timestamp) {
	for {
		newest := s.newest.Load()
		if int64(t) <= newest || s.newest.CompareAndSwap(newest, int64(t)) {
			return
		}
	}
}

// remove takes e out of b, whose lock is held.
func (s *Spool) remove(b *spoolBoxes, e *spoolEntry) {
	b.remove(e)
	s.notifications.Add(-1)
	s.bytes.Add(-e.Bytes())
}

// spoolBoxes is what a Spool keeps for some of the devices.
type spoolBoxes struct {
	mu      sync.Mutex
	entries map[spool.Mailbox]*spoolEntry // the first of each, one a topic, in no order; guarded by mu
	expiry  spoolExpiry                   // all of them; guarded by mu
}

type spoolEntry struct {
	spool.Entry
	next     *spoolEntry // in the same mailbox
	deadline time.Time   // Entry.Deadline
	place    int         // in the heap
}

// find returns the entry at the address, or nil. The lock is held.
func (b *spoolBoxes) find(a apns.Address) *spoolEntry {
	e := b.entries[spool.MailboxOf(a)]
	for e != nil && e.Address != a {
		e = e.next
	}
	return e
}

// add adds e, at whose address there is none. The lock is held.
func (b *spoolBoxes) add(e *spoolEntry) {
	box := spool.MailboxOf(e.Address)
	e.deadline, e.next = e.Deadline(), b.entries[box]
	b.entries[box] = e
	heap.Push(&b.expiry, e)
}

// remove takes e out. The lock is held.
func (b *spoolBoxes) remove(e *spoolEntry) {
	box := spool.MailboxOf(e.Address)
	switch first := b.entries[box]; {
	case first != e:
		for first.next != e {
			first = first.next
		}
		first.next = e.next
	case e.next != nil:
		b.entries[box] = e.next
	default:
		delete(b.entries, box)
	}
	heap.Remove(&b.expiry, e.place)
}

// spoolExpiry implements heap.Interface, the first to expire first.
type spoolExpiry []*spoolEntry

func (x spoolExpiry) Len() int           { return len(x) }
func (x spoolExpiry) Less(i, j int) bool { return x[i].deadline.Before(x[j].deadline) }

func (x spoolExpiry) Swap(i, j int) {
	x[i], x[j] = x[j], x[i]
	x[i].place, x[j].place = i, j
}

// Push implements heap.Interface.
func (x *spoolExpiry) Push(e any) {
	held := e.(*spoolEntry) //nolint:errcheck // keep pushes nothing else
	held.place = len(*x)
	*x = append(*x, held)
}

// Pop implements heap.Interface.
func (x *spoolExpiry) Pop() any {
	last := len(*x) - 1
	e := (*x)[last]
	(*x)[last] = nil
	*x = (*x)[:last]
	return e
}

// spoolRepeats is what a Spool remembers of some of the repeat keys.
type spoolRepeats struct {
	mu    sync.Mutex
	until map[spool.RepeatKey]time.Time // guarded by mu
	order []spoolRepeat                 // the oldest first; guarded by mu
	limit int                           // of order
}

// spoolRepeat is a key that was remembered. The key may have been remembered
// again since, until another time.
type spoolRepeat struct {
	key   spool.RepeatKey
	until time.Time
}

// check reports whether w is a repeat, and remembers it if it is not. The lock
// is held.
func (r *spoolRepeats) check(w *spool.Write) bool {
	if w.RepeatKey == (spool.RepeatKey{}) {
		return false
	}
	if until, ok := r.until[w.RepeatKey]; ok && until.After(w.Timestamp.Time()) {
		return true
	}
	if len(r.order) >= r.limit {
		r.pop()
	}
	r.until[w.RepeatKey] = w.RepeatUntil
	r.order = append(r.order, spoolRepeat{w.RepeatKey, w.RepeatUntil})
	return false
}

// forget drops the oldest keys, up to one whose time is not over. The lock is
// held.
func (r *spoolRepeats) forget(now time.Time) {
	for len(r.order) > 0 && !r.order[0].until.After(now) {
		r.pop()
	}
}

// pop drops the oldest key. Appending moves what is left to a new array once
// this one is used up, so the room before it is not lost for good.
func (r *spoolRepeats) pop() {
	oldest := r.order[0]
	r.order = r.order[1:]
	if r.until[oldest.key].Equal(oldest.until) {
		delete(r.until, oldest.key)
	}
}
