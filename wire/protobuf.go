package wire

import (
	"encoding/base64"
	"encoding/binary"
	"math/bits"
	"unicode/utf8"

	"github.com/heraldpush/herald/apns"
)

// What channels are spoken of in is protobuf inside an item
// (docs/protocol/courier.md#channels): a few messages, so that a codec of a
// hundred lines is all it takes.

// The kinds of protobuf fields that messages here have. Fields of the others are
// skipped, but for groups, which are refused.
const (
	kindVarint = 0
	kindFixed8 = 1
	kindBytes  = 2
	kindFixed4 = 5
)

// fields steps through the fields of a protobuf message, as items does through
// a payload. A field of a known number and another kind than it should have is
// as if absent.
type fields struct {
	rest   []byte
	number uint64
	kind   uint8
	varint uint64 // of a kindVarint
	bytes  []byte // of a kindBytes; aliases the message
	bad    bool
}

// next moves to the next field of a kind that has a value here, and reports
// whether there is one.
func (f *fields) next() bool {
	for len(f.rest) > 0 {
		key, ok := f.uvarint()
		if !ok {
			return false
		}
		f.number, f.kind = key>>3, uint8(key&7)
		switch f.kind {
		case kindVarint:
			f.varint, ok = f.uvarint()
			return ok
		case kindBytes:
			n, ok := f.uvarint()
			if !ok {
				return false
			}
			f.bytes, ok = f.cut(n)
			return ok
		case kindFixed8, kindFixed4:
			if _, ok := f.cut(8 >> (f.kind >> 2)); !ok {
				return false
			}
		default:
			f.bad = true
			return false
		}
	}
	return false
}

func (f *fields) uvarint() (uint64, bool) {
	v, n := binary.Uvarint(f.rest)
	if n <= 0 {
		f.bad = true
		return 0, false
	}
	f.rest = f.rest[n:]
	return v, true
}

// cut takes n bytes off.
func (f *fields) cut(n uint64) ([]byte, bool) {
	if n > uint64(len(f.rest)) {
		f.bad = true
		return nil, false
	}
	b := f.rest[:n:n]
	f.rest = f.rest[n:]
	return b, true
}

// is reports whether the field has a number and a kind.
func (f *fields) is(number uint64, kind uint8) bool { return f.number == number && f.kind == kind }

// takeTopic sets p to the field, if that is a topic.
func (f *fields) takeTopic(p *apns.Topic) {
	if len(f.bytes) <= MaxStringBytes && utf8.Valid(f.bytes) {
		*p = apns.Topic(f.bytes)
	}
}

// maxChannelBytes bounds a channel ID in its raw form.
const maxChannelBytes = apns.MaxChannelIDBytes / 4 * 3

// takeChannelID sets p to the field, if that may be the bytes of a channel ID.
func (f *fields) takeChannelID(p *apns.ChannelID) {
	if 0 < len(f.bytes) && len(f.bytes) <= maxChannelBytes {
		*p = apns.ChannelID(base64.StdEncoding.EncodeToString(f.bytes))
	}
}

// appendVarint appends a field.
func appendVarint(b []byte, number, v uint64) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(b, number<<3|kindVarint), v)
}

// appendTopic appends a field, unless it is empty or no string of the protocol.
func appendTopic(b []byte, number uint64, s apns.Topic) []byte {
	if s == "" || len(s) > MaxStringBytes || !utf8.ValidString(string(s)) {
		return b
	}
	b = binary.AppendUvarint(b, number<<3|kindBytes)
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

// channelIDField is the number of the channel ID in each message that has one.
const channelIDField = 1

// appendChannelID appends the field of a channel ID, unless id is none.
func appendChannelID(b []byte, id apns.ChannelID) []byte {
	if id == "" || len(id) > apns.MaxChannelIDBytes {
		return b
	}
	start := len(b)
	b, at := beginField(b, channelIDField)
	b, err := base64.StdEncoding.AppendDecode(b, []byte(id))
	if err != nil {
		return b[:start]
	}
	return endField(b, at)
}

// beginField appends the key of a message within a message, and returns where its
// content starts, for endField.
func beginField(b []byte, number uint64) (message []byte, start int) {
	b = binary.AppendUvarint(b, number<<3|kindBytes)
	return b, len(b)
}

// endField puts the length before what was appended since beginField.
func endField(b []byte, start int) []byte {
	n := len(b) - start
	var length [binary.MaxVarintLen64]byte
	width := binary.PutUvarint(length[:], uint64(n)) //nolint:gosec // not negative
	b = append(b, length[:width]...)
	copy(b[start+width:], b[start:start+n])
	copy(b[start:], length[:width])
	return b
}

// beginItem appends the header of an item whose length endItem fills in.
func beginItem(b []byte, id uint8) (item []byte, start int) { return append(b, id, 0, 0), len(b) }

// endItem completes the item that beginItem put at start; one that is too long
// to be one is left out, as by appendItem.
func endItem(b []byte, start int) []byte {
	n := len(b) - start - itemHeaderBytes
	if bits.Len(uint(n)) > 16 { //nolint:gosec // not negative
		return b[:start]
	}
	b[start+1], b[start+2] = byte(n>>8), byte(n)
	return b
}
