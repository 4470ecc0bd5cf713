package load

import (
	"fmt"
	"slices"

	"golang.org/x/net/http2/hpack"
)

// representation is how a header field is written (RFC 7541, 6).
type representation uint8

const (
	indexed  representation = iota // put into the table the first time, from it then
	literal                        // each time as it is, without Huffman code
	huffman                        // each time, in Huffman code
	secretly                       // the same, and never to be indexed by anybody
)

// field is a header field of a request.
type field struct {
	name, value string
	as          representation
}

// staticName is where names stand in the static table (RFC 7541, appendix A).
var staticName = map[string]int{
	":authority": 1, ":method": 2, ":path": 4, ":scheme": 6, "authorization": 23, "content-length": 28, "user-agent": 58,
}

// staticField is where fields stand in it.
var staticField = map[[2]string]int{{":method", "POST"}: 3, {":scheme", "https"}: 7}

const (
	staticFields  = 61
	maxTableBytes = 4096 // without a word of the peer (RFC 9113, 6.5.2)
	entryOverhead = 32   // (RFC 7541, 4.1)
)

// fieldTable is the peer's header table, as it is after what was sent.
type fieldTable struct {
	entries []field // the oldest first
	bytes   int
}

// index returns where an entry stands for which f returns true, the newest
// first, or 0.
func (t *fieldTable) index(f func(field) bool) int {
	for i, e := range slices.Backward(t.entries) {
		if f(e) {
			return staticFields + len(t.entries) - i
		}
	}
	return 0
}

// append appends a field, and enters it into the table if it is to be there.
func (t *fieldTable) append(dst []byte, f field) ([]byte, error) {
	if f.as == indexed {
		at := staticField[[2]string{f.name, f.value}]
		if at == 0 {
			at = t.index(func(e field) bool { return e.name == f.name && e.value == f.value })
		}
		if at != 0 {
			return appendInteger(dst, 0x80, 7, at), nil
		}
	}
	name := staticName[f.name]
	if name == 0 {
		name = t.index(func(e field) bool { return e.name == f.name })
	}
	first, bits := byte(0), 4
	switch f.as {
	case indexed:
		first, bits = 0x40, 6
		t.entries = append(t.entries, f)
		if t.bytes += len(f.name) + len(f.value) + entryOverhead; t.bytes > maxTableBytes {
			return nil, fmt.Errorf("header fields of more than %d bytes", maxTableBytes)
		}
	case secretly:
		first = 0x10
	case literal, huffman:
	}
	dst = appendInteger(dst, first, bits, name)
	if name == 0 {
		dst = appendText(dst, f.name, f.as != literal)
	}
	return appendText(dst, f.value, f.as != literal), nil
}

// appendInteger appends an integer with a prefix of so many bits (RFC 7541,
// 5.1).
func appendInteger(dst []byte, first byte, bits, n int) []byte {
	most := 1<<bits - 1
	if n < most {
		return append(dst, first|byte(n))
	}
	dst = append(dst, first|byte(most))
	for n -= most; n >= 128; n >>= 7 {
		dst = append(dst, byte(n)|0x80)
	}
	return append(dst, byte(n))
}

// appendText appends a string (RFC 7541, 5.2), in Huffman code if that is
// wanted and shorter.
func appendText(dst []byte, s string, huffman bool) []byte {
	if n := int(hpack.HuffmanEncodeLength(s)); huffman && n < len(s) {
		return hpack.AppendHuffmanString(appendInteger(dst, 0x80, 7, n), s)
	}
	return append(appendInteger(dst, 0, 7, len(s)), s...)
}
