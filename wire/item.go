package wire

import (
	"encoding/binary"
	"math"
	"time"
	"unicode/utf8"

	"github.com/heraldpush/herald/apns"
)

// itemHeaderBytes is the size of an item's id and length.
const itemHeaderBytes = 3

// MaxItemBytes bounds the value of an item: its length is a u16. Append leaves
// out an item with a longer value.
const MaxItemBytes = math.MaxUint16

// MaxStringBytes bounds every string of the protocol. Parse takes a longer
// one, or one that is not UTF-8, as absent; Append leaves it out. The longest
// that is in use is a topic.
const MaxStringBytes = apns.MaxTopicBytes

// items steps through the items of a payload:
//
//	for it := (items{rest: payload}); it.next(); { … it.id … it.value … }
//
// with a look at it.err after the loop.
type items struct {
	rest  []byte
	id    uint8
	value []byte // aliases the payload
	bad   bool
}

// next moves to the next item, and reports whether there is one.
func (it *items) next() bool {
	if len(it.rest) == 0 {
		return false
	}
	if len(it.rest) < itemHeaderBytes {
		it.bad = true
		return false
	}
	end := itemHeaderBytes + int(binary.BigEndian.Uint16(it.rest[1:]))
	if end > len(it.rest) {
		it.bad = true
		return false
	}
	it.id, it.value, it.rest = it.rest[0], it.rest[itemHeaderBytes:end:end], it.rest[end:]
	return true
}

// err returns a MalformedError if next stopped before the end of the payload:
// an item that runs past it makes the whole frame invalid.
func (it *items) err(c Command) error {
	if !it.bad {
		return nil
	}
	return &MalformedError{Command: c, Problem: "an item runs past the end of the frame"}
}

// The take functions set a field from the current item. An item of the wrong
// width is as if absent (docs/protocol/courier.md#framing): the field keeps
// its value.

func (it *items) takeUint8(p *uint8) bool {
	if len(it.value) != 1 {
		return false
	}
	*p = it.value[0]
	return true
}

func (it *items) takeUint16(p *uint16) {
	if len(it.value) == 2 {
		*p = binary.BigEndian.Uint16(it.value)
	}
}

func (it *items) takeUint32(p *uint32) bool {
	if len(it.value) != 4 {
		return false
	}
	*p = binary.BigEndian.Uint32(it.value)
	return true
}

func (it *items) takeUint64(p *uint64) {
	if len(it.value) == 8 {
		*p = binary.BigEndian.Uint64(it.value)
	}
}

// takeSeconds reads a u32 of seconds.
func (it *items) takeSeconds(p *time.Duration) {
	var n uint32
	if it.takeUint32(&n) {
		*p = time.Duration(n) * time.Second
	}
}

// takeMillis reads a u64 of milliseconds since the epoch. A value that no
// clock shows is as if absent.
func (it *items) takeMillis(p *time.Time) {
	var n uint64
	it.takeUint64(&n)
	if 0 < n && n <= math.MaxInt64 {
		*p = time.UnixMilli(int64(n)).UTC()
	}
}

func (it *items) takeString(p *string) {
	if it.isString() {
		*p = string(it.value)
	}
}

// isString reports whether the value is a string of acceptable length.
func (it *items) isString() bool { return len(it.value) <= MaxStringBytes && utf8.Valid(it.value) }

func (it *items) takeTopicHash(p *apns.TopicHash) bool {
	if len(it.value) != apns.TopicHashSize {
		return false
	}
	*p = apns.TopicHash(it.value)
	return true
}

func (it *items) takeBaseToken(p *apns.BaseToken) {
	if len(it.value) == apns.CourierTokenBytes {
		*p = apns.BaseToken(it.value)
	}
}

func (it *items) takeDeviceToken(p *apns.DeviceToken) {
	if len(it.value) == apns.CourierTokenBytes {
		*p = apns.DeviceToken(it.value)
	}
}

// appendItem appends an item, if its value is short enough to be one.
func appendItem[T ~string | ~[]byte](b []byte, id uint8, value T) []byte {
	if len(value) > MaxItemBytes {
		return b
	}
	b = append(b, id, byte(len(value)>>8), byte(len(value)))
	return append(b, value...)
}

func appendUint8(b []byte, id, v uint8) []byte { return append(b, id, 0, 1, v) }

func appendUint16(b []byte, id uint8, v uint16) []byte {
	return binary.BigEndian.AppendUint16(append(b, id, 0, 2), v)
}

func appendUint32(b []byte, id uint8, v uint32) []byte {
	return binary.BigEndian.AppendUint32(append(b, id, 0, 4), v)
}

func appendUint64(b []byte, id uint8, v uint64) []byte {
	return binary.BigEndian.AppendUint64(append(b, id, 0, 8), v)
}

// appendSeconds appends d as a u32 of whole seconds, at most as many as fit.
func appendSeconds(b []byte, id uint8, d time.Duration) []byte {
	return appendUint32(b, id, uint32(min(max(d/time.Second, 0), math.MaxUint32)))
}

// appendMillis appends t as a u64 of milliseconds since the epoch, unless t is
// zero or not after the epoch.
func appendMillis(b []byte, id uint8, t time.Time) []byte {
	if t.IsZero() || t.UnixMilli() <= 0 {
		return b
	}
	return appendUint64(b, id, uint64(t.UnixMilli()))
}

// appendString appends s unless it is empty or no string of the protocol.
func appendString[T ~string](b []byte, id uint8, s T) []byte {
	if s == "" || len(s) > MaxStringBytes || !utf8.ValidString(string(s)) {
		return b
	}
	return appendItem(b, id, s)
}

// appendTopicHash appends h unless it is zero, which no topic hashes to.
func appendTopicHash(b []byte, id uint8, h apns.TopicHash) []byte {
	if h == (apns.TopicHash{}) {
		return b
	}
	return append(append(b, id, 0, apns.TopicHashSize), h[:]...)
}

// appendOpaque appends a token in its raw form, unless its length is not that
// of the tokens of this protocol (docs/protocol/courier.md#tokens).
func appendOpaque[T ~string | ~[]byte](b []byte, id uint8, t T) []byte {
	if len(t) != apns.CourierTokenBytes {
		return b
	}
	return appendItem(b, id, t)
}

// parseEmpty checks the items of a message that has none of its own.
func parseEmpty(payload []byte, c Command) error {
	it := items{rest: payload}
	for it.next() {
		continue // none has a meaning
	}
	return it.err(c)
}
