package pebble

import (
	"encoding/binary"
	"errors"
	"time"
	"unsafe"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/spool"
)

// valueVersion is the first byte of a value.
const valueVersion = 1

// Sizes of a value, in bytes.
const (
	valueHeadBytes = 1 + 8 + 1 + 1 + 8
	// maxValueBytes bounds what is taken for a value: payload, topic, tokens and
	// texts are a fraction of it.
	maxValueBytes = 1 << 20
)

// valueExpires is the flag of a value whose notification has an expiration.
const valueExpires = 1

// errValue says that the bytes are no value.
var errValue = errors.New("a stored notification cannot be read")

// appendValue appends a notification as it is stored:
//
//	version        1  valueVersion
//	timestamp      8  nanoseconds since the epoch, UTC
//	priority       1
//	flags          1  valueExpires
//	expiration     8  seconds since the epoch, UTC; 0 without the flag
//	then, each behind its length (uvarint): device token, id, topic, push type,
//	collapse id, payload
//
// Numbers are big-endian. A message has no device token.
func appendValue(b []byte, t apns.DeviceToken, ts spool.Timestamp, n *apns.Notification) []byte {
	b = binary.BigEndian.AppendUint64(append(b, valueVersion), uint64(ts))
	seconds, expires := n.Expiration.Seconds()
	var flags byte
	if expires {
		flags = valueExpires
	}
	b = binary.BigEndian.AppendUint64(append(b, byte(n.Priority), flags), uint64(seconds))
	b = appendText(b, t)
	b = appendText(b, n.ID)
	b = appendText(b, n.Topic)
	b = appendText(b, n.PushType)
	b = appendText(b, n.CollapseID)
	return appendText(b, n.Payload)
}

func appendText[T ~string | ~[]byte](b []byte, s T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// valueBytes returns at most how long the value of a notification is.
func valueBytes(t apns.DeviceToken, n *apns.Notification) int {
	const texts = 6
	return valueHeadBytes + texts*binary.MaxVarintLen32 +
		len(t) + len(n.ID) + len(n.Topic) + len(n.PushType) + len(n.CollapseID) + len(n.Payload)
}

// value is a notification as it was stored.
type value struct {
	deviceToken  apns.DeviceToken
	timestamp    spool.Timestamp
	notification apns.Notification
}

// parseValue reads a value. What it returns refers to b.
func parseValue(b []byte) (v value, err error) {
	if len(b) < valueHeadBytes || len(b) > maxValueBytes || b[0] != valueVersion || b[10] > valueExpires {
		return v, errValue
	}
	v.timestamp = spool.Timestamp(binary.BigEndian.Uint64(b[1:]))
	n := &v.notification
	n.Priority = apns.Priority(b[9])
	seconds := int64(binary.BigEndian.Uint64(b[11:]))
	if seconds < 0 || b[10] == 0 && seconds != 0 {
		return v, errValue
	}
	if b[10] == valueExpires {
		n.Expiration = apns.ExpiresAt(time.Unix(seconds, 0))
	}
	b = b[valueHeadBytes:]
	var texts [6][]byte
	for i := range texts {
		length, size := binary.Uvarint(b)
		if size <= 0 || length > uint64(len(b)-size) {
			return v, errValue
		}
		end := size + int(length)
		texts[i], b = b[size:end:end], b[end:]
	}
	if len(b) > 0 {
		return v, errValue
	}
	v.deviceToken = text[apns.DeviceToken](texts[0])
	n.ID = text[apns.NotificationID](texts[1])
	n.Topic = text[apns.Topic](texts[2])
	n.PushType = text[apns.PushType](texts[3])
	n.CollapseID = text[apns.CollapseID](texts[4])
	if len(texts[5]) > 0 {
		n.Payload = texts[5]
	}
	return v, nil
}

// text returns b as a string, which shares its memory.
func text[S ~string](b []byte) S { return S(unsafe.String(unsafe.SliceData(b), len(b))) }

// entry returns what is stored under a key. It refers to b, which nobody may
// change any more.
func parseEntry(k notificationKey, b []byte) (spool.Entry, error) {
	v, err := parseValue(b)
	return spool.Entry{
		Address: k.address(), DeviceToken: v.deviceToken, Timestamp: v.timestamp, Notification: v.notification,
	}, err
}

// parseMessage returns the message of a channel. It refers to b, which nobody may
// change any more.
func parseMessage(c apns.ChannelID, b []byte) (spool.Message, error) {
	v, err := parseValue(b)
	return spool.Message{Channel: c, Timestamp: v.timestamp, Notification: v.notification}, err
}

// version is what the store has to know of something stored: which one it is,
// what it counts for, and when it expires. It is zero where nothing is stored.
type version struct {
	timestamp spool.Timestamp
	bytes     int64
	due       minute
	stored    bool
}

func versionOfEntry(e *spool.Entry) version {
	return version{e.Timestamp, e.Bytes(), minuteOf(e.Deadline()), true}
}

func versionOfMessage(m *spool.Message) version {
	return version{m.Timestamp, m.Bytes(), minuteOf(m.Deadline()), true}
}

// parseVersion returns the version that is stored under a key with a value.
func parseVersion(key, b []byte) (version, error) {
	switch {
	case len(key) == notificationKeyBytes && key[0] == notificationKind:
		e, err := parseEntry(notificationKey(key), b)
		return versionOfEntry(&e), err
	case len(key) > 0 && key[0] == messageKind:
		m, err := parseMessage(text[apns.ChannelID](key[1:]), b)
		return versionOfMessage(&m), err
	}
	return version{}, errValue
}
