package h2

import (
	"strconv"

	"golang.org/x/net/http2/hpack"
)

// encoder writes header blocks (RFC 7541). It refers to the static table, and to
// a few fields that it puts into the dynamic one, each when it is first used: those
// that answers are known to have. Nothing else goes there, so nothing is ever
// evicted.
type encoder struct {
	size   uint32 // of the dynamic table, in bytes
	lowest uint32 // since the last block
	update bool   // whether size changed since the last block

	known []knownField
	added int // of known that are in the dynamic table
}

// knownField is a field that answers are known to have. If its value is empty,
// that differs, and only the name is known.
type knownField struct {
	name, value string
	order       int // in which it was added to the table, from 1; 0 if it was not
}

// newEncoder returns an encoder at the start of a connection, for answers with
// the fields given. What does not fit into the table for sure is not looked at.
func newEncoder(known []hpack.HeaderField) encoder {
	e := encoder{size: headerTableBytes, lowest: headerTableBytes}
	room := uint32(headerTableBytes)
	for _, f := range known {
		n := f.Size()
		if f.Value == "" {
			n += maxKnownValueBytes
		}
		if n <= room {
			room -= n
			e.known = append(e.known, knownField{name: f.Name, value: f.Value})
		}
	}
	return e
}

// maxKnownValueBytes is the longest value with which a known name is added.
const maxKnownValueBytes = 100

// setTableSize obeys the peer's SETTINGS_HEADER_TABLE_SIZE. Where a peer wants
// a smaller table than usual, it is left alone from then on.
func (e *encoder) setTableSize(n uint32) {
	n = min(n, headerTableBytes)
	if n == e.size {
		return
	}
	e.size, e.lowest, e.update = n, min(e.lowest, n), true
	e.known = nil
}

// appendBlock appends the block of an answer.
func (e *encoder) appendBlock(dst []byte, status int, fields []hpack.HeaderField) []byte {
	if e.update {
		// RFC 7541, 4.2: the smallest size since the last block, then the final one.
		if e.lowest < e.size {
			dst = appendInteger(dst, 0x20, 5, uint64(e.lowest))
		}
		dst = appendInteger(dst, 0x20, 5, uint64(e.size))
		e.lowest, e.update = e.size, false
	}
	dst = appendStatus(dst, status)
	for i := range fields {
		f := &fields[i]
		if k := e.find(f); k != nil {
			dst = e.appendKnown(dst, k, f)
		} else {
			dst = appendField(dst, f)
		}
	}
	return dst
}

// find returns the known field that f is, or nil.
func (e *encoder) find(f *hpack.HeaderField) *knownField {
	for i := range e.known {
		if k := &e.known[i]; k.name == f.Name && (k.value == "" || k.value == f.Value) && !f.Sensitive {
			return k
		}
	}
	return nil
}

// appendKnown appends f, which is k.
func (e *encoder) appendKnown(dst []byte, k *knownField, f *hpack.HeaderField) []byte {
	index := uint64(staticEntries + 1 + e.added - k.order)
	switch {
	case k.order == 0 && len(f.Value) > max(len(k.value), maxKnownValueBytes):
		return appendField(dst, f)
	case k.order == 0: // RFC 7541, 6.2.1
		e.added++
		k.order = e.added
		if i := staticName(f.Name); i != 0 {
			dst = appendInteger(dst, 0x40, 6, i)
		} else {
			dst = appendString(append(dst, 0x40), f.Name)
		}
		return appendString(dst, f.Value)
	case k.value != "": // RFC 7541, 6.1
		return appendInteger(dst, 0x80, 7, index)
	default: // RFC 7541, 6.2.2
		return appendString(appendInteger(dst, 0, 4, index), f.Value)
	}
}

// The statuses that the static table has with their values (RFC 7541, appendix A).
const firstStatusIndex = 8

// appendStatus appends the :status pseudo-header.
func appendStatus(dst []byte, status int) []byte {
	switch status {
	case 200:
		return append(dst, 0x80|firstStatusIndex)
	case 204:
		return append(dst, 0x80|firstStatusIndex+1)
	case 206:
		return append(dst, 0x80|firstStatusIndex+2)
	case 304:
		return append(dst, 0x80|firstStatusIndex+3)
	case 400:
		return append(dst, 0x80|firstStatusIndex+4)
	case 404:
		return append(dst, 0x80|firstStatusIndex+5)
	case 500:
		return append(dst, 0x80|firstStatusIndex+6)
	}
	dst = append(dst, firstStatusIndex, 3)
	return strconv.AppendInt(dst, int64(status), 10)
}

// appendField appends f as a literal that is not added to the dynamic table,
// or that must never be if it is sensitive (RFC 7541, 6.2.2 and 6.2.3).
func appendField(dst []byte, f *hpack.HeaderField) []byte {
	var kind byte
	if f.Sensitive {
		kind = 0x10
	}
	if i := staticName(f.Name); i != 0 {
		dst = appendInteger(dst, kind, 4, i)
	} else {
		dst = appendString(append(dst, kind), f.Name)
	}
	return appendString(dst, f.Value)
}

// staticName returns the index in the static table of the names that answers
// use, or 0.
func staticName(name string) uint64 {
	switch name {
	case "allow":
		return 22
	case "cache-control":
		return 24
	case "content-length":
		return 28
	case "content-type":
		return 31
	case "date":
		return 33
	case "location":
		return 46
	case "retry-after":
		return 53
	case "server":
		return 54
	}
	return 0
}

// appendString appends s without Huffman code (RFC 7541, 5.2): answers are
// short, and most of what varies in them is hexadecimal, where the code saves little.
func appendString(dst []byte, s string) []byte {
	dst = appendInteger(dst, 0, 7, uint64(len(s)))
	return append(dst, s...)
}

// appendInteger appends n with a prefix of the given bits, whose byte has the
// high bits of first (RFC 7541, 5.1).
func appendInteger(dst []byte, first byte, bits uint, n uint64) []byte {
	limit := uint64(1)<<bits - 1
	if n < limit {
		return append(dst, first|byte(n))
	}
	dst = append(dst, first|byte(limit))
	for n -= limit; n >= 128; n >>= 7 {
		dst = append(dst, 0x80|byte(n))
	}
	return append(dst, byte(n))
}
