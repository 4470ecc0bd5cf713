package outbox

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strings"
	"time"

	"github.com/heraldpush/herald/apns"
)

// MessageID names a message: the milliseconds since the epoch at which it was
// made, 6 bytes, and 10 random ones. So the order of IDs is that of time.
type MessageID [16]byte

// NewMessageID returns a new ID for a message made at the time now.
func NewMessageID(now time.Time) (id MessageID) {
	binary.BigEndian.PutUint64(id[:8], uint64(max(now.UnixMilli(), 0))<<16)
	rand.Read(id[6:]) // it never fails
	return id
}

// Time returns when the message was made, to the millisecond.
func (id MessageID) Time() time.Time {
	return time.UnixMilli(int64(binary.BigEndian.Uint64(id[:8]) >> 16)).UTC()
}

// Of the text of a MessageID.
const (
	messagePrefix = "msg_"
	// alphabet is Crockford's base 32: no letter is taken for a digit.
	alphabet  = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	textChars = 26 // 130 bits, of which the first two are 0
)

// String returns the ID as the API has it: "msg_" and 26 letters and digits,
// which sort as the IDs do.
func (id MessageID) String() string {
	text := [len(messagePrefix) + textChars]byte{'m', 's', 'g', '_'}
	high, low := binary.BigEndian.Uint64(id[:8]), binary.BigEndian.Uint64(id[8:])
	for i := len(text) - 1; i >= len(messagePrefix); i-- {
		text[i] = alphabet[low&31]
		low = low>>5 | high<<59
		high >>= 5
	}
	return string(text[:])
}

var errMessageID = errors.New("not the ID of a message")

// ParseMessageID reads the text of an ID, in either letter case.
func ParseMessageID(s string) (id MessageID, err error) {
	digits, ok := strings.CutPrefix(s, messagePrefix)
	if !ok || len(digits) != textChars || digits[0] > '7' {
		return id, errMessageID
	}
	var high, low uint64
	for i := range len(digits) {
		c := digits[i]
		if 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		d := strings.IndexByte(alphabet, c)
		if d < 0 {
			return id, errMessageID
		}
		high = high<<5 | low>>59
		low = low<<5 | uint64(d)
	}
	binary.BigEndian.PutUint64(id[:8], high)
	binary.BigEndian.PutUint64(id[8:], low)
	return id, nil
}

// MarshalText implements encoding.TextMarshaler.
func (id MessageID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (id *MessageID) UnmarshalText(b []byte) (err error) {
	*id, err = ParseMessageID(string(b))
	return err
}

// notificationLabel separates this use of SHA-256 from all others.
const notificationLabel = "herald apns-id 1\x00"

// NotificationID returns the apns-id with which a message goes to a device token:
// always the same, and no other message or device token has it. It is a UUID of
// version 8 (RFC 9562 section 5.8) made of the first bytes of a SHA-256.
func NotificationID(m MessageID, e apns.Environment, t apns.DeviceToken) apns.NotificationID {
	var room [len(notificationLabel) + len(m) + 1 + apns.MaxDeviceTokenBytes]byte
	b := append(append(append(room[:0], notificationLabel...), m[:]...), byte(e))
	sum := sha256.Sum256(append(b, t...))
	sum[6] = sum[6]&0x0f | 0x80
	sum[8] = sum[8]&0x3f | 0x80
	var text [36]byte
	at := text[:0]
	for i, part := range [...][]byte{sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16]} {
		if i > 0 {
			at = append(at, '-')
		}
		at = hex.AppendEncode(at, part)
	}
	return apns.NotificationID(at)
}
