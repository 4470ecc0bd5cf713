package spool

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/heraldpush/herald/apns"
)

// Receipt says what became of a notification that was accepted.
type Receipt struct {
	// Timestamp is when it was taken, the one that the device will see; zero for
	// a repeat.
	Timestamp Timestamp
	// Stored reports that it is durable, and waits until its expiration. False
	// for one that asked not to be stored, for an ignored topic, for a repeat.
	Stored bool
	// Repeat reports that a notification with this id to this device token was
	// accepted before. Nothing was done this time.
	Repeat bool
}

// Offering is one notification for OfferAll, and its outcome.
type Offering struct {
	// Address is where the device token leads.
	Address apns.Address
	// DeviceToken is what it was sent to; the device is told.
	DeviceToken apns.DeviceToken
	// Notification is what was sent. Like DeviceToken it may refer to memory that
	// is overwritten once the outcome is set: the spool copies what it keeps.
	Notification apns.Notification

	// Receipt is set by OfferAll where Err is nil.
	Receipt Receipt
	// Err is set by OfferAll to what Offer would return.
	Err error
}

// overloadRetryAfter is what a refusal for overload tells the sender to wait.
const overloadRetryAfter = 10 * time.Second

// Offer takes a notification for an address. When it returns nil, the
// notification is durable, or asked not to be stored, or is of no use to the
// device, or was accepted before: the receipt says which.
//
// The error is an *apns.Rejection with apns.ServiceUnavailable while the spool
// is full or overloaded, and with apns.Shutdown after Close. Any other error is
// a fault of the store, after which it is unknown whether the notification is
// stored. What t and n refer to is copied where it is kept.
func (s *Spool) Offer(ctx context.Context, to apns.Address, t apns.DeviceToken, n apns.Notification) (Receipt, error) {
	batch := []Offering{{Address: to, DeviceToken: t, Notification: n}}
	s.OfferAll(ctx, batch)
	return batch[0].Receipt, batch[0].Err
}

// OfferAll takes a batch of notifications, with one call of the store, and sets
// the outcome of each: it is Offer for a door that must not wait for each one.
// The order within the batch is the order of acceptance.
func (s *Spool) OfferAll(ctx context.Context, batch []Offering) {
	if s.immediate != nil {
		for i := range batch {
			s.offerImmediate(ctx, &batch[i])
		}
		return
	}
	now := time.Now()
	room, _ := writesRooms.Get().(*writesRoom)
	defer room.release()
	for i := range batch {
		o := &batch[i]
		var write bool
		if write, o.Err = s.admit(room.next(o), now); write {
			room.keep(i)
		} else if o.Err == nil {
			o.Receipt = Receipt{Timestamp: room.spare.Timestamp}
		}
	}
	if len(room.writes) == 0 {
		return
	}
	err := s.put(ctx, room.writes)
	for i := range room.writes {
		if o := &batch[room.index[i]]; err != nil {
			o.Err = err
		} else {
			o.Receipt = s.arrive(ctx, &room.writes[i])
		}
	}
}

// OfferNow is OfferAll of one notification, for those who must not wait for the
// store. It reports false, and has done nothing, where it would have to.
func (s *Spool) OfferNow(o *Offering) bool {
	if s.immediate != nil {
		s.offerImmediate(context.Background(), o)
		return true
	}
	return s.pass(o)
}

// writesRoom is the room for the writes of a batch, to be used again.
type writesRoom struct {
	spare  Write // the one that is not decided yet
	writes []Write
	index  []int // of each write in the batch
}

var writesRooms = sync.Pool{New: func() any { return new(writesRoom) }}

// maxSpareWrites is how many writes a room that is not in use holds on to.
const maxSpareWrites = 1024

// next returns the write for an offering, to be kept or not.
func (r *writesRoom) next(o *Offering) *Write {
	r.spare = Write{Entry: Entry{Address: o.Address, DeviceToken: o.DeviceToken, Notification: o.Notification}}
	return &r.spare
}

func (r *writesRoom) keep(i int) { r.writes, r.index = append(r.writes, r.spare), append(r.index, i) }

// release gives r back, without what it refers to.
func (r *writesRoom) release() {
	if cap(r.writes) > maxSpareWrites {
		return
	}
	clear(r.writes)
	*r = writesRoom{writes: r.writes[:0], index: r.index[:0]}
	writesRooms.Put(r)
}

// admit stamps the notification and reports whether there is anything to write;
// if so, it counts as an offer and a call until put has ended.
func (s *Spool) admit(w *Write, now time.Time) (write bool, err error) {
	sh := s.shard(w.Address.Device)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.closed {
		return false, errShutdown()
	}
	w.Timestamp = sh.stamp(now)
	w.Keep = w.Notification.Expiration.Stored(now)
	if in := sh.boxes[MailboxOf(w.Address)]; !useful(in, w, now) {
		s.observeUnwritten(&w.Entry, in, nil, now)
		return false, nil
	}
	if s.overloaded(w.Keep) {
		err := errOverload()
		s.observeUnwritten(&w.Entry, nil, err, now)
		return false, err
	}
	s.offers.Add(1)
	s.calls.Add(1)
	s.remember(w, now)
	return true, nil
}

// useful reports whether there is any use in w, where in is who is attached, or
// nil.
func useful(in *Inbox, w *Write, now time.Time) bool {
	if in == nil {
		return w.Keep
	}
	return in.machine.wants(&w.Entry, w.Keep, now)
}

// remember has the store recognise a repeat of w.
func (s *Spool) remember(w *Write, now time.Time) {
	if s.config.RepeatWindow > 0 {
		w.RepeatKey = NewRepeatKey(w.DeviceToken, w.Notification.ID)
		w.RepeatUntil = now.Add(s.config.RepeatWindow)
	}
}

func errOverload() error {
	r := apns.Reject(apns.ServiceUnavailable, "spool is full")
	r.RetryAfter = overloadRetryAfter
	return r
}

func errShutdown() error { return apns.Reject(apns.Shutdown, "spool is closed") }

// overloaded reports whether there is no room for one more notification, which
// is to be kept or only to pass.
func (s *Spool) overloaded(keep bool) bool {
	if s.offers.Load() >= s.config.MaxOffers {
		return true
	}
	u := s.config.Store.Usage()
	return keep && (u.Notifications >= s.config.MaxNotifications || u.Bytes >= s.config.MaxBytes)
}

// put has the store carry out writes that were admitted.
func (s *Spool) put(ctx context.Context, writes []Write) error {
	defer func() {
		s.offers.Add(-int64(len(writes)))
		s.calls.Add(-len(writes))
	}()
	ctx, cancel := s.writeContext(ctx)
	defer cancel()
	if err := s.config.Store.Put(ctx, writes); err != nil {
		return storeFault("storing notifications", err)
	}
	return nil
}

// arrive tells the device's inbox, if there is one, of a write that was carried
// out.
func (s *Spool) arrive(ctx context.Context, w *Write) Receipt {
	s.observeWritten(w, time.Time{})
	if w.Repeat {
		return Receipt{Repeat: true}
	}
	r := Receipt{Timestamp: w.Timestamp, Stored: w.Keep}
	sh := s.shard(w.Address.Device)
	sh.mu.Lock()
	in := sh.boxes[MailboxOf(w.Address)]
	if in == nil {
		sh.mu.Unlock()
		return r
	}
	eff := in.machine.offered(w.Own(), w.Keep, time.Now())
	in.apply(eff)
	call := in.begin(eff)
	sh.mu.Unlock()
	s.discard(ctx, call)
	return r
}

// discard makes a call for a notification that was accepted, whatever comes of
// the call: one that it makes void may come back at the next attachment.
func (s *Spool) discard(ctx context.Context, call storeCall) {
	if err := call.discard(ctx); err != nil {
		s.config.Logger.ErrorContext(ctx, "spool could not discard a notification", slog.Any("error", err))
	}
}
