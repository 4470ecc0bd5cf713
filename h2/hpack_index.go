package h2

import (
	"slices"
	"strings"

	"golang.org/x/net/http2/hpack"
)

const (
	// maxEncoderTableBytes is how much of a larger dynamic table than usual is
	// used if the peer allows one.
	maxEncoderTableBytes = 16 << 10
	// maxTableUpdateBytes is how long what changes the size of the table is, in
	// front of a block (RFC 7541, 6.3).
	maxTableUpdateBytes = 2 * 5
	// maxHints is for how many fields of a block an encoder remembers what they
	// were last time.
	maxHints = 32
)

// indexEncoder writes header blocks (RFC 7541). The values of some fields go
// into the dynamic table, those of all others are literals that do not. Strings
// are not in Huffman code: what varies from call to call is short, or is
// hexadecimal, where the code saves little.
//
// Fields mostly come in the same order, and many with the same value, in each
// block. So it remembers at which place which name came last, and how its value
// was written: a comparison of two strings that have the same address.
type indexEncoder struct {
	names  []string // whose values go into the table
	size   uint32   // of the table, in bytes
	said   uint32   // the size in the last block that said one
	lowest uint32   // of all sizes since the last block

	entries []indexEntry // the oldest first, from gone on
	gone    int          // of entries, how many have been evicted
	used    uint32       // as RFC 7541, 4.1 counts
	base    uint64       // number of entries[0] among all ever added, from 1
	values  map[indexKey]uint64

	hints [maxHints]fieldHint
}

// indexEntry is an entry of the dynamic table.
type indexEntry struct {
	name  int // in indexEncoder.names
	value string
}

// indexKey is the name and value of an entry.
type indexKey struct {
	name  int
	value string
}

// fieldHint is what the last field at some place in a block was.
type fieldHint struct {
	name    string
	value   string // that static or entry is for
	indexed int    // in indexEncoder.names, or -1
	named   uint64 // index of the name in the static table, or 0
	static  uint64 // index of name and value in the static table, or 0
	entry   uint64 // number of the entry, which may have been evicted, or 0
}

// newIndexEncoder returns an encoder at the start of a connection, that indexes
// the values of the fields named.
func newIndexEncoder(names []string) indexEncoder {
	return indexEncoder{
		names: slices.Clone(names),
		size:  headerTableBytes, said: headerTableBytes, lowest: headerTableBytes,
		base:   1,
		values: make(map[indexKey]uint64),
	}
}

// setTableSize obeys the peer's SETTINGS_HEADER_TABLE_SIZE.
func (e *indexEncoder) setTableSize(n uint32) {
	e.size = min(n, maxEncoderTableBytes)
	e.lowest = min(e.lowest, e.size)
	e.evict(0)
}

// appendBlock appends the block of a request.
func (e *indexEncoder) appendBlock(dst []byte, fields []hpack.HeaderField) []byte {
	if e.size != e.said || e.lowest < e.said {
		dst = e.appendSize(dst)
	}
	for i := range fields {
		f := &fields[i]
		var h *fieldHint
		if i < maxHints {
			h = &e.hints[i]
		} else {
			h = &fieldHint{}
		}
		if h.name != f.Name || f.Name == "" {
			e.look(h, f.Name)
		}
		dst = e.appendField(dst, f, h)
	}
	return dst
}

// appendSize says that the size of the table has changed (RFC 7541, 4.2 and 6.3):
// the smallest one that it had meanwhile, and then the final one. Decoders exist
// that take the second only while there is nothing in the table, so the first one
// is zero if there are two.
func (e *indexEncoder) appendSize(dst []byte) []byte {
	size := e.size
	if e.lowest < min(size, e.said) {
		e.size = 0
		e.evict(0)
		e.size = size
		dst = append(dst, 0x20)
	}
	e.said, e.lowest = size, size
	return appendInteger(dst, 0x20, 5, uint64(size))
}

// look makes h, which may be one of the hints, that of a name. Another one that
// is changes places with it, so that blocks of several kinds can take turns.
func (e *indexEncoder) look(h *fieldHint, name string) {
	free := &fieldHint{}
	for i := range e.hints {
		switch other := &e.hints[i]; other.name {
		case name:
			*h, *other = *other, *h
			if name != "" {
				return
			}
		case "":
			free = other
		}
	}
	*free = *h
	*h = fieldHint{
		name:    name, // not a copy, which would have another address
		indexed: slices.Index(e.names, name),
		named:   staticNames[name],
	}
}

// appendField appends f, which is at the place of h and has its name.
func (e *indexEncoder) appendField(dst []byte, f *hpack.HeaderField, h *fieldHint) []byte {
	if h.indexed < 0 {
		return e.appendPlain(dst, f, h)
	}
	if h.entry < e.base+uint64(e.gone) || h.value != f.Value {
		h.value, h.entry = "", 0
		if n, ok := e.values[indexKey{h.indexed, f.Value}]; ok {
			h.entry = n
			h.value = e.entries[n-e.base].value
		}
	}
	if h.entry != 0 { // RFC 7541, 6.1
		return appendInteger(dst, 0x80, 7, e.index(h.entry))
	}
	n := uint32(len(f.Name) + len(f.Value) + entryOverhead)
	if n > e.size/2 {
		return e.appendLiteral(dst, f, h)
	}
	// RFC 7541, 6.2.1.
	if i := e.nameIndex(h); i != 0 {
		dst = appendInteger(dst, 0x40, 6, i)
	} else {
		dst = appendString(append(dst, 0x40), f.Name)
	}
	e.add(h, f.Value, n)
	return appendString(dst, f.Value)
}

// appendPlain appends f, which does not go into the table.
func (e *indexEncoder) appendPlain(dst []byte, f *hpack.HeaderField, h *fieldHint) []byte {
	if h.named == 0 || f.Sensitive {
		return e.appendLiteral(dst, f, h)
	}
	if h.static != 0 && h.value == f.Value {
		return appendInteger(dst, 0x80, 7, h.static)
	}
	if len(f.Value) <= maxStaticValueBytes { // a path, above all, is longer
		if i := staticFields[hpack.HeaderField{Name: h.name, Value: f.Value}]; i != 0 {
			h.static, h.value = i, staticTable[i].value
			return appendInteger(dst, 0x80, 7, i)
		}
	}
	return e.appendLiteral(dst, f, h)
}

// appendLiteral appends f as a literal that is not added to the table, or that
// must never be if it is sensitive (RFC 7541, 6.2.2 and 6.2.3).
func (e *indexEncoder) appendLiteral(dst []byte, f *hpack.HeaderField, h *fieldHint) []byte {
	var kind byte
	if f.Sensitive {
		kind = 0x10
	}
	if i := e.nameIndex(h); i != 0 {
		dst = appendInteger(dst, kind, 4, i)
	} else {
		dst = appendString(append(dst, kind), f.Name)
	}
	return appendString(dst, f.Value)
}

// nameIndex returns an index of an entry with the name of h, or 0.
func (e *indexEncoder) nameIndex(h *fieldHint) uint64 {
	if h.named != 0 || h.indexed < 0 {
		return h.named
	}
	for i := len(e.entries) - 1; i >= e.gone; i-- {
		if e.entries[i].name == h.indexed {
			return e.index(e.base + uint64(i))
		}
	}
	return 0
}

// index returns the index of the entry with the number n.
func (e *indexEncoder) index(n uint64) uint64 {
	return staticEntries + e.base + uint64(len(e.entries)) - n
}

// add adds an entry that counts n bytes, and for which the table is large enough.
func (e *indexEncoder) add(h *fieldHint, value string, n uint32) {
	e.evict(n)
	if e.gone > len(e.entries)/2 {
		k := copy(e.entries, e.entries[e.gone:])
		clear(e.entries[k:])
		e.entries = e.entries[:k]
		e.base += uint64(e.gone)
		e.gone = 0
	}
	h.value = strings.Clone(value)
	h.entry = e.base + uint64(len(e.entries))
	e.entries = append(e.entries, indexEntry{h.indexed, h.value})
	e.values[indexKey{h.indexed, h.value}] = h.entry
	e.used += n
}

// evict takes out the oldest entries until there is room for n more bytes, or
// none is left (RFC 7541, 4.3 and 4.4).
func (e *indexEncoder) evict(n uint32) {
	for e.gone < len(e.entries) && e.used+n > e.size {
		old := &e.entries[e.gone]
		e.used -= uint32(len(e.names[old.name]) + len(old.value) + entryOverhead)
		delete(e.values, indexKey{old.name, old.value})
		*old = indexEntry{}
		e.gone++
	}
}

// staticNames has the first index of each name in the static table.
var staticNames = func() map[string]uint64 {
	m := make(map[string]uint64, staticEntries)
	for i := staticEntries; i > 0; i-- {
		m[staticTable[i].name] = uint64(i)
	}
	return m
}()

// maxStaticValueBytes is how long a value in the static table is at most:
// "gzip, deflate".
const maxStaticValueBytes = 13

// staticFields has the index of each entry of the static table that has a value.
var staticFields = func() map[hpack.HeaderField]uint64 {
	m := make(map[hpack.HeaderField]uint64, staticEntries)
	for i, f := range staticTable {
		if f.value != "" {
			m[hpack.HeaderField{Name: f.name, Value: f.value}] = uint64(i)
		}
	}
	return m
}()
