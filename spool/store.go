package spool

import (
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"time"
	"unsafe"

	"github.com/heraldpush/herald/apns"
)

// Store keeps what waits, and remembers what was accepted. Package spooltest
// has the suite that every implementation passes.
//
// All methods may be called at once from many goroutines. An error is a fault of
// the store, wrapped with what was being done; after Close, all but Usage return
// ErrStoreClosed. The strings and the payload of what is put are borrowed: they
// are overwritten afterwards, so that a store copies what it keeps, with
// Write.Own. Entries that Load returns are read-only for both sides, down to the
// bytes of the payload.
type Store interface {
	// Put carries out the writes, all or none, in their order. When it returns
	// nil they are durable. It groups writes of concurrent callers into one
	// commit where that pays. For each write, as one atomic step:
	//
	//   - If its RepeatKey is not zero and is remembered until after the time of
	//     the write's own timestamp, it sets Repeat and does no more. It does not
	//     report a repeat before what is repeated is durable.
	//   - Otherwise it remembers the key until RepeatUntil.
	//   - If Keep is set, it makes the entry the one of its address, unless the
	//     one there has a later timestamp.
	//
	// A store bounds the keys that it remembers, and forgets the oldest first.
	Put(ctx context.Context, writes []Write) error

	// Delete removes each version, if it still is the one of its address. It may
	// become durable later than it returns: a delete that a crash undoes costs a
	// redelivery.
	Delete(ctx context.Context, versions []Version) error

	// Load returns the entries of a mailbox by ascending timestamp, the oldest
	// limit of them. It sees every Put that returned before it was called, and
	// nothing that is not durable: what a device has is not sent again. It may
	// return entries that have expired.
	Load(ctx context.Context, box Mailbox, limit int) ([]Entry, error)

	// Expire removes entries and messages that have expired at the time now, and returns how
	// many. It may leave those that did so within the last minute. It also
	// forgets repeat keys whose time is over.
	Expire(ctx context.Context, now time.Time) (int, error)

	// Usage says how full the store is. It is called for each offer, and does no
	// I/O.
	Usage() Usage

	// Close makes everything durable and releases what the store holds.
	Close() error

	ChannelStore
}

// ImmediateStore is a Store that waits for nothing but a lock, as it is in memory
// alone.
type ImmediateStore interface {
	Store
	// PutNow is Put of one write. It keeps nothing of w.
	PutNow(w *Write) error
}

// Errors of a Store that say more than that there is a fault.
var (
	// ErrStoreClosed is what the methods return after Close.
	ErrStoreClosed = errors.New("store is closed")
	// ErrStoreFull says that there is no room for more, such as on the disk. What
	// is in the store is safe, and there may be room again later.
	ErrStoreFull = errors.New("there is no room left")
)

// Mailbox names all that waits for a device in one environment.
type Mailbox struct {
	Device      apns.DeviceOrdinal
	Environment apns.Environment
}

// MailboxOf returns the mailbox that the address is in.
func MailboxOf(a apns.Address) Mailbox { return Mailbox{a.Device, a.Environment} }

// Timestamp is when the service took a notification, in nanoseconds since the
// epoch, UTC. It strictly increases for a device, so that together with an
// address it names one notification, and a device can tell a redelivery by it
// (docs/protocol/courier.md#notification).
type Timestamp int64

// Time returns t as a time.
func (t Timestamp) Time() time.Time { return time.Unix(0, int64(t)) }

// Entry is a notification as the store keeps it, under its address.
type Entry struct {
	Address      apns.Address
	DeviceToken  apns.DeviceToken
	Timestamp    Timestamp
	Notification apns.Notification
}

// Version returns the name of this entry, as opposed to others that were or
// will be at its address.
func (e *Entry) Version() Version { return Version{e.Address, e.Timestamp} }

// Deadline returns when the entry expires: at its notification's expiration,
// and at the latest apns.MaxStorage after it was taken.
func (e *Entry) Deadline() time.Time {
	return e.Notification.Expiration.Deadline(e.Timestamp.Time())
}

// Expired reports whether the entry is to be discarded at the time now.
func (e *Entry) Expired(now time.Time) bool { return !now.Before(e.Deadline()) }

// entryOverheadBytes is what an entry counts for beside its variable parts.
const entryOverheadBytes = 128

// Bytes returns what the entry counts for in Usage.Bytes.
func (e *Entry) Bytes() int64 {
	n := &e.Notification
	return int64(entryOverheadBytes + len(e.DeviceToken) + len(n.ID) + len(n.Topic) + len(n.PushType) +
		len(n.CollapseID) + len(n.Payload))
}

// Clone returns e with copies of all that it refers to, in one piece of memory.
func (e *Entry) Clone() Entry {
	c := *e
	n := &c.Notification
	b := make([]byte, 0, len(e.DeviceToken)+len(n.ID)+len(n.Topic)+len(n.PushType)+len(n.CollapseID)+len(n.Payload))
	b = append(b, n.Payload...)
	if n.Payload != nil {
		n.Payload = slices.Clip(b)
	}
	c.DeviceToken, b = move(e.DeviceToken, b)
	n.ID, b = move(n.ID, b)
	n.Topic, b = move(n.Topic, b)
	n.PushType, b = move(n.PushType, b)
	n.CollapseID, _ = move(n.CollapseID, b)
	return c
}

// move appends s to b, which has room for it, and returns it as it is there.
// Nothing writes there any more.
func move[S ~string](s S, b []byte) (S, []byte) {
	from := len(b)
	b = append(b, s...)
	return S(unsafe.String(unsafe.SliceData(b[from:]), len(s))), b
}

// Version names an entry: what was put at an address at one time.
type Version struct {
	Address   apns.Address
	Timestamp Timestamp
}

// Write is one notification for Store.Put.
type Write struct {
	Entry
	// Keep asks to store the entry. Without it, only the repeat key is
	// remembered, for a notification that is not to be stored.
	Keep bool
	// RepeatKey tells a repeat; zero for a notification without an id, which
	// never is one.
	RepeatKey RepeatKey
	// RepeatUntil is when the key may be forgotten.
	RepeatUntil time.Time
	// Repeat is set by Put: the notification was accepted before, and was not
	// written.
	Repeat bool
	// Owned is set by Own: the entry refers to nothing that is borrowed.
	Owned bool
}

// Own has the entry of w refer to copies instead of what is borrowed, and returns
// it. All those that keep it share them.
func (w *Write) Own() Entry {
	if !w.Owned {
		w.Entry, w.Owned = w.Clone(), true
	}
	return w.Entry
}

// RepeatKey stands for a device token and an apns-id.
type RepeatKey [16]byte

// NewRepeatKey returns the key for a notification with this id to this device
// token, the same for either letter case of the id. It is zero for an empty id.
func NewRepeatKey(t apns.DeviceToken, id apns.NotificationID) RepeatKey {
	if id == "" {
		return RepeatKey{}
	}
	const idBytes = 36 // a UUID's
	var room [1 + apns.MaxDeviceTokenBytes + idBytes]byte
	b := append(room[:0], byte(len(t))) // so that no other token and id read the same
	b = append(b, t...)
	for i := range len(id) {
		c := id[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		b = append(b, c)
	}
	sum := sha256.Sum256(b)
	return RepeatKey(sum[:len(RepeatKey{})])
}

// Usage says how full a store is.
type Usage struct {
	// Notifications counts the entries, and the messages of channels.
	Notifications int64
	// Bytes is the sum of their Entry.Bytes and Message.Bytes.
	Bytes int64
	// Newest is the latest timestamp among those that were put and may still be
	// there; zero for a new store. The spool's timestamps go on from it, even
	// if the clock was set back meanwhile.
	Newest Timestamp
}
