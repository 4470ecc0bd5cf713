package pebble

import (
	"encoding/binary"
	"math"
	"time"

	engine "github.com/cockroachdb/pebble/v2"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/spool"
)

// The first byte of a key says of what it is.
const (
	notificationKind = 'n'
	messageKind      = 'm'
	expiryKind       = 'x'
	repeatsKind      = 'q'
	usageKind        = 'u'
	formatKind       = 'f'
)

// Keys of which there is one.
var (
	usageKey  = []byte{usageKind}
	formatKey = []byte{formatKind}
)

// Sizes, in bytes.
const (
	mailboxKeyBytes      = 1 + 8 + 1
	notificationKeyBytes = mailboxKeyBytes + apns.TopicHashSize
	expiryPrefixBytes    = 1 + 4
)

// notificationKey is the key of what is stored at an address.
type notificationKey [notificationKeyBytes]byte

func newNotificationKey(a apns.Address) (k notificationKey) {
	appendMailboxKey(k[:0], spool.MailboxOf(a))
	copy(k[mailboxKeyBytes:], a.Topic[:])
	return k
}

// address is the address that the key is of.
func (k notificationKey) address() apns.Address {
	return apns.Address{
		Device:      apns.DeviceOrdinal(binary.BigEndian.Uint64(k[1:])),
		Environment: apns.Environment(k[9]),
		Topic:       apns.TopicHash(k[mailboxKeyBytes:]),
	}
}

// appendMailboxKey appends what the keys of a mailbox begin with.
func appendMailboxKey(b []byte, box spool.Mailbox) []byte {
	b = binary.BigEndian.AppendUint64(append(b, notificationKind), uint64(box.Device))
	return append(b, byte(box.Environment))
}

func appendMessageKey(b []byte, c apns.ChannelID) []byte {
	return append(append(b, messageKind), c...)
}

// minute is a time in minutes since the epoch, by which the store finds what has
// expired.
type minute uint32

// minuteOf returns the minute in which t is.
func minuteOf(t time.Time) minute {
	return minute(min(max(t.Unix()/60, 0), math.MaxUint32))
}

// appendExpiryPrefix appends what the keys of all begin with that expires in a
// minute.
func appendExpiryPrefix(b []byte, m minute) []byte {
	return binary.BigEndian.AppendUint32(append(b, expiryKind), uint32(m))
}

func appendRepeatsKey(b []byte, number uint64) []byte {
	return binary.BigEndian.AppendUint64(append(b, repeatsKind), number)
}

// comparer orders keys by their bytes. It is Pebble's own but for the prefix, the
// part of a key that filters know: that of a notification's key is its mailbox.
// Nobody asks for a single key of the others of which there are many, so that they
// share theirs.
var comparer = func() *engine.Comparer {
	c := *engine.DefaultComparer
	c.Split = func(key []byte) int {
		if len(key) == 0 {
			return 0
		}
		switch key[0] {
		case notificationKind:
			return min(len(key), mailboxKeyBytes)
		case expiryKind:
			return min(len(key), expiryPrefixBytes)
		case repeatsKind:
			return 1
		}
		return len(key)
	}
	c.Name = "herald.spool.1"
	return &c
}()
