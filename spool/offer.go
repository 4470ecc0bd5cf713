package spool

import (
	"context"
	"fmt"
	"log/slog"
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
	// Notification is what was sent. The spool keeps its payload, so the bytes
	// must not change any more.
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
// stored. The spool keeps n.Payload.
func (s *Spool) Offer(ctx context.Context, to apns.Address, t apns.DeviceToken, n apns.Notification) (Receipt, error) {
	var w Write
	w.Address, w.DeviceToken, w.Notification = to, t, n
	now := time.Now()
	write, err := s.admit(&w, now)
	if err != nil || !write {
		return Receipt{Timestamp: w.Timestamp}, err
	}
	writes := []Write{w}
	if err := s.put(ctx, writes); err != nil {
		return Receipt{}, err
	}
	return s.arrive(ctx, &writes[0]), nil
}

// OfferAll takes a batch of notifications, with one call of the store, and sets
// the outcome of each: it is Offer for a door that must not wait for each one.
// The order within the batch is the order of acceptance.
func (s *Spool) OfferAll(ctx context.Context, batch []Offering) {
	now := time.Now()
	writes := make([]Write, 0, len(batch))
	index := make([]int, 0, len(batch)) // of each write in the batch
	for i := range batch {
		o := &batch[i]
		var w Write
		w.Address, w.DeviceToken, w.Notification = o.Address, o.DeviceToken, o.Notification
		var write bool
		if write, o.Err = s.admit(&w, now); write {
			writes, index = append(writes, w), append(index, i)
		} else if o.Err == nil {
			o.Receipt = Receipt{Timestamp: w.Timestamp}
		}
	}
	if len(writes) == 0 {
		return
	}
	err := s.put(ctx, writes)
	for i := range writes {
		if o := &batch[index[i]]; err != nil {
			o.Err = err
		} else {
			o.Receipt = s.arrive(ctx, &writes[i])
		}
	}
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
	in := sh.boxes[MailboxOf(w.Address)]
	if in == nil && !w.Keep || in != nil && !in.machine.wants(&w.Entry, w.Keep, now) {
		return false, nil
	}
	if s.overloaded(w.Keep) {
		return false, errOverload()
	}
	s.offers.Add(1)
	s.calls.Add(1)
	if s.config.RepeatWindow > 0 {
		w.RepeatKey = NewRepeatKey(w.DeviceToken, w.Notification.ID)
		w.RepeatUntil = now.Add(s.config.RepeatWindow)
	}
	return true, nil
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
	ctx, cancel := s.storeContext(ctx)
	defer cancel()
	if err := s.config.Store.Put(ctx, writes); err != nil {
		return fmt.Errorf("storing notifications: %w", err)
	}
	return nil
}

// arrive tells the device's inbox, if there is one, of a write that was carried
// out.
func (s *Spool) arrive(ctx context.Context, w *Write) Receipt {
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
	eff := in.machine.offered(w.Entry, w.Keep, time.Now())
	in.apply(eff)
	call := in.begin(eff)
	sh.mu.Unlock()
	if err := call.discard(ctx); err != nil {
		// The notification was accepted all the same: one that it makes void may
		// come back at the next attachment.
		s.config.Logger.ErrorContext(ctx, "spool could not discard a notification", slog.Any("error", err))
	}
	return r
}
