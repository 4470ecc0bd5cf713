package h2

import (
	"bytes"
	"slices"
)

// Memo is where a handler keeps what it found out about the value of a header
// field, so as not to find it out again with the next request: whose credentials
// they are, for example.
//
// A memo stands for one name and one value, byte for byte, on one connection.
// Whatever field has it has this very value, however it was encoded; the
// reverse does not hold: a value that comes back after others may have a new,
// empty memo, and one that has not come twice has none. What is kept is
// a fact about the value alone, which time may have made wrong since.
//
// A memo belongs to the goroutine that calls [Handler.ServeRequest], and is
// looked at only there.
type Memo struct {
	// Value is the value of the field. Unlike the strings of a Request it may be
	// kept for as long as is liked.
	Value string
	// Kept is what the handler put here last; nil at first.
	Kept any
}

const (
	// memoryValues is how many values a connection remembers. A sender has one
	// provider token at a time; this leaves room for the last one, and for keys
	// that are used in turn.
	memoryValues = 4
	// maxMemoryBytes is the longest value, as encoded, that is remembered as a
	// literal.
	maxMemoryBytes = 2048
)

// memory recognises the values of some header fields when they come again. A
// value that comes as a literal, as those of credentials should (RFC 7541,
// 7.1.3), is recognised by its encoded bytes, without being decoded.
//
// A value gets its memo, and is copied to be kept, when it comes for the second
// time: a peer with a new value in each request costs no memory.
type memory struct {
	names  []string // of the fields, in lower case
	values []remembered
	next   int // the one to be forgotten next, once there are memoryValues
}

// remembered is a value that came as a literal.
type remembered struct {
	name    string
	huffman bool
	encoded []byte
	memo    *Memo // nil until it comes again
}

// minds reports whether values of the name are remembered.
func (m *memory) minds(name string) bool { return slices.Contains(m.names, name) }

// find returns what is remembered of a literal, or nil.
func (m *memory) find(name string, s encodedString) *remembered {
	for i := range m.values {
		v := &m.values[i]
		if v.huffman == s.huffman && bytes.Equal(v.encoded, s.bytes) && v.name == name {
			return v
		}
	}
	return nil
}

// add remembers a literal whose value is valid, and that is not remembered. The
// name is kept.
func (m *memory) add(name string, s encodedString) {
	if len(s.bytes) > maxMemoryBytes {
		return
	}
	if len(m.values) < memoryValues {
		m.values = append(m.values, remembered{})
		m.next = len(m.values) - 1
	}
	v := &m.values[m.next]
	m.next = (m.next + 1) % memoryValues
	*v = remembered{name: name, huffman: s.huffman, encoded: append(v.encoded[:0], s.bytes...)}
}
