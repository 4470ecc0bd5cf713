package spool

import (
	"context"
	"errors"
	"fmt"
	"time"
	"unique"

	"github.com/heraldpush/herald/apns"
)

// Errors of an Inbox.
var (
	// ErrDetached says that the inbox has ended: by Detach, because the device
	// attached again, or with the spool.
	ErrDetached = errors.New("inbox is detached")
	// ErrUnknownMessage says that nothing with the message id is
	// unacknowledged.
	ErrUnknownMessage = errors.New("no such message is unacknowledged")
)

// Disposition is what an acknowledgement means for the notification.
type Disposition uint8

// The dispositions.
const (
	// Delivered means that the device has it.
	Delivered Disposition = iota + 1
	// Dropped means that the device does not have it and never will want it.
	Dropped
	// Keep means that the device could not take it now. If it is stored, it is
	// handed out again when the device attaches the next time.
	Keep
)

// Delivery is a notification that was handed out.
type Delivery struct {
	// MessageID names it for Ack, within this attachment: 1, 2, …
	MessageID uint32
	// Address is the device, environment and topic it is for.
	Address apns.Address
	// DeviceToken is what the provider sent it to; empty for a message of a
	// channel.
	DeviceToken apns.DeviceToken
	// Channel is where it was published; empty for what was sent to the device.
	Channel apns.ChannelID
	// Timestamp is when the service took it, the same each time that it is
	// delivered. It is the checkpoint of a message of a channel.
	Timestamp Timestamp
	// Notification is what the provider sent. Its payload is read-only.
	Notification apns.Notification
	// Stored reports that it waited when the device told its first filter, or
	// came to follow the channel. It
	// may have been handed out before, on an earlier attachment; one that is not
	// Stored was not.
	Stored bool
	// Last reports that no stored notification is left that may be delivered
	// now. It comes with the last stored one; or, if that became void
	// meanwhile, with the next of any kind.
	Last bool
}

// Inbox is what the spool has for one attached device in one environment. Next
// is for one goroutine; all other methods may be called from any.
type Inbox struct {
	spool *Spool
	box   Mailbox
	waker Waker

	// The rest is guarded by the lock of the shard.

	machine machine
	// following is the channels that the device follows; nil for none.
	following *following
	ended     bool
	alarm     time.Time // when the agenda has it; zero if it has not

	place int // in the agenda's heap; guarded by the agenda's lock
}

// Attach begins the delivery to a device that connected. The last one wins: an
// earlier inbox of the device in this environment ends, and what was
// unacknowledged on it waits again. Nothing is handed out before
// Inbox.SetFilter. The waker is told when there is something to do, perhaps
// before Attach has returned.
//
// The error is an *apns.Rejection with apns.Shutdown after Close; any other is a
// fault of the store.
func (s *Spool) Attach(ctx context.Context, d apns.DeviceOrdinal, e apns.Environment, w Waker) (*Inbox, error) {
	in := &Inbox{
		spool: s, box: Mailbox{d, e}, waker: w,
		machine: newMachine(&s.rules, !s.config.AssumeInactive), place: nowhere,
	}
	sh := s.shard(d)
	sh.mu.Lock()
	if sh.closed {
		sh.mu.Unlock()
		return nil, errShutdown()
	}
	if earlier := sh.boxes[in.box]; earlier != nil {
		earlier.end()
	}
	sh.boxes[in.box] = in
	s.calls.Add(1)
	sh.mu.Unlock()

	entries, err := s.load(ctx, in.box)
	if err != nil {
		in.Detach()
		return nil, err
	}
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if !in.ended {
		in.apply(in.machine.loaded(entries, time.Now()))
	}
	return in, nil
}

// load reads what waits in a mailbox. It ends a call that was counted before.
func (s *Spool) load(ctx context.Context, box Mailbox) ([]Entry, error) {
	defer s.calls.Done()
	ctx, cancel := s.readContext(ctx)
	defer cancel()
	entries, err := s.config.Store.Load(ctx, box, s.config.MaxReplay)
	if err != nil {
		return nil, fmt.Errorf("loading stored notifications: %w", err)
	}
	return entries, nil
}

// Detached reports whether the inbox has ended, see ErrDetached.
func (in *Inbox) Detached() bool {
	sh := in.shard()
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return in.ended
}

// SetFilter tells what the device wants, in place of what it told before, and
// returns how many stored notifications may be delivered now. If that is none at
// the first filter, the device is to be told NoStorage
// (docs/protocol/courier.md#no-storage).
//
// The error is ErrFilterTooLong or ErrDetached; any other is a fault of the
// store in removing what is ignored now, and the filter holds nevertheless.
func (in *Inbox) SetFilter(ctx context.Context, f Filter) (stored int, err error) {
	if f.topics() > MaxFilterTopics {
		return 0, ErrFilterTooLong
	}
	shared := in.spool.filters.share(&f)
	sh := in.shard()
	sh.mu.Lock()
	if in.ended {
		sh.mu.Unlock()
		return 0, ErrDetached
	}
	stored, eff := in.machine.filterSet(shared, time.Now())
	in.apply(eff)
	call := in.begin(eff)
	sh.mu.Unlock()
	return stored, call.discard(ctx)
}

// SetActive tells until when the device is active, so that low priority may
// flow; the zero time means that it is inactive.
func (in *Inbox) SetActive(until time.Time) {
	sh := in.shard()
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if !in.ended {
		in.apply(in.machine.activeSet(until, time.Now()))
	}
}

// Lists reports whether the topic is in any list of the device's filter.
func (in *Inbox) Lists(t apns.TopicHash) bool {
	sh := in.shard()
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return in.machine.lists(unique.Make(t))
}

// Next returns the next notification that may be delivered now, and marks it
// unacknowledged. It never blocks, and does no I/O. After the end it has nothing.
func (in *Inbox) Next() (Delivery, bool) {
	sh := in.shard()
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if in.ended {
		return Delivery{}, false
	}
	d, ok, eff := in.machine.next(time.Now())
	eff.wake = false // the one who pulls is awake
	in.apply(eff)
	return d, ok
}

// Ack ends the delivery with this message id, and returns what was delivered.
// When Ack returns nil as error, the notification is gone from the store, or was
// kept. The end of ctx does not keep it from being removed.
//
// The error is ErrUnknownMessage, or ErrDetached, in which case the notification
// waits again; any other is a fault of the store, after which it may be
// delivered again at the next attachment.
func (in *Inbox) Ack(ctx context.Context, messageID uint32, d Disposition) (Delivery, error) {
	sh := in.shard()
	sh.mu.Lock()
	if in.ended {
		sh.mu.Unlock()
		return Delivery{}, ErrDetached
	}
	delivery, ok, eff := in.machine.acked(messageID, d, time.Now())
	in.apply(eff)
	call := in.begin(eff)
	sh.mu.Unlock()
	if !ok {
		return Delivery{}, ErrUnknownMessage
	}
	return delivery, call.discard(ctx)
}

// Detach ends the inbox: the device is gone. What was unacknowledged waits
// again; what was not stored is dropped. It may be called again.
func (in *Inbox) Detach() {
	sh := in.shard()
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if in.ended {
		return
	}
	in.end()
	delete(sh.boxes, in.box)
}

func (in *Inbox) shard() *shard { return in.spool.shard(in.box.Device) }

// end marks the inbox as ended and lets go of what it held. The lock is held.
func (in *Inbox) end() {
	in.ended = true
	in.machine.tellGone(time.Now())
	in.observeTold()
	in.machine = machine{}
	in.following.leave()
	in.following = nil
	in.setAlarm(time.Time{})
	in.waker.Wake()
}

// apply carries out the effects that need no I/O. The lock is held.
func (in *Inbox) apply(eff effects) {
	in.observeTold()
	in.setAlarm(eff.alarm)
	if eff.wake {
		in.waker.Wake()
	}
}

// setAlarm has the agenda call due at the given time, or not at all if it is
// zero. The lock is held.
func (in *Inbox) setAlarm(at time.Time) {
	if !at.Equal(in.alarm) {
		in.alarm = at
		in.spool.agenda.set(in, at)
	}
}

// due is called by the agenda when the alarm of an inbox has come.
func (s *Spool) due(in *Inbox) {
	sh := in.shard()
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if now := time.Now(); !in.ended && !in.alarm.IsZero() && !now.Before(in.alarm) {
		in.alarm = time.Time{}
		in.apply(in.machine.tick(now))
	}
}

// storeCall is a call of the store that an event asks for; it is counted in
// Spool.calls if there is something to discard.
type storeCall struct {
	spool    *Spool
	versions []Version
}

// begin counts the call of the store that the effects ask for, if they do. The
// lock is held, and the inbox has not ended.
func (in *Inbox) begin(eff effects) storeCall {
	if len(eff.discard) > 0 {
		in.spool.calls.Add(1)
	}
	return storeCall{in.spool, eff.discard}
}

// discard makes the call. No lock is held.
func (c storeCall) discard(ctx context.Context) error {
	if len(c.versions) == 0 {
		return nil
	}
	defer c.spool.calls.Done()
	ctx, cancel := c.spool.writeContext(ctx)
	defer cancel()
	if err := c.spool.config.Store.Delete(ctx, c.versions); err != nil {
		return fmt.Errorf("deleting stored notifications: %w", err)
	}
	return nil
}
