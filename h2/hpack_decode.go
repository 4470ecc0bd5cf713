package h2

import (
	"errors"
	"strings"
	"unsafe"
)

// What may be wrong with a header block (RFC 7541).
var (
	errBlockCut       = errors.New("header block is cut off")
	errNoEntry        = errors.New("index of no entry in the header tables")
	errIntegerTooLong = errors.New("integer in a header block too long")
	errHuffman        = errors.New("string not valid in Huffman code")
	errTableTooLarge  = errors.New("dynamic table larger than SETTINGS_HEADER_TABLE_SIZE")
	errTableLate      = errors.New("size of the dynamic table not at the beginning of a header block")
	errFieldTooLarge  = errors.New("header field too large") // ends the connection with another code
)

// entryOverhead is what an entry of the dynamic table, and a field of a header
// list, counts beside its name and value (RFC 7541, 4.1; RFC 9113, 6.5.2).
const entryOverhead = 32

// decodedField is a header field from a block.
type decodedField struct {
	name, value string
	kind        fieldKind
	valid       bool // whether the value has only characters that are allowed
	sensitive   bool // must never be indexed (RFC 7541, 6.2.3)
	memo        *Memo
}

// size returns what f counts in a header list.
func (f *decodedField) size() uint32 { return uint32(len(f.name) + len(f.value) + entryOverhead) }

// decoder decodes header blocks (RFC 7541). In the long run it allocates
// nothing: what it decodes goes to the text of the request, where the values
// from its own table are copied too, since an entry may be evicted while a
// request is still in use.
type decoder struct {
	table  dynamicTable
	names  nameCache
	memory memory

	text  []byte // where the strings of the block go
	want  bool   // whether fields are wanted, or only the tables kept in step
	begun bool   // whether there was a field in this block
}

// newDecoder returns a decoder at the start of a connection that remembers the
// values of the fields named.
func newDecoder(remember []string) decoder {
	return decoder{table: dynamicTable{max: headerTableBytes}, memory: memory{names: remember}}
}

// begin starts a block whose strings are appended to text.
func (d *decoder) begin(text []byte, want bool) { d.text, d.want, d.begun = text, want, false }

// next decodes the next representation in p, the rest of the block, and returns
// what follows it. It reports whether there was a field, and one that is wanted.
// After an error the decoder is not in step any more.
func (d *decoder) next(p []byte, f *decodedField) (rest []byte, ok bool, err error) {
	b := p[0]
	if b&0xe0 == 0x20 {
		rest, err = d.resize(p)
		return rest, false, err
	}
	d.begun = true
	if b&0x80 != 0 {
		i, rest := uint64(b&0x7f), p[1:]
		if i == 0x7f {
			if i, rest, err = readInteger(p, 7); err != nil {
				return nil, false, err
			}
		}
		return rest, d.want, d.indexed(i, f)
	}
	bits, add := uint(4), b&0x40 != 0
	if add {
		bits = 6
	}
	rest, err = d.literal(p, bits, add, f)
	f.sensitive = b&0xf0 == 0x10
	return rest, d.want, err
}

// resize obeys an update of the size of the dynamic table (RFC 7541, 6.3).
func (d *decoder) resize(p []byte) ([]byte, error) {
	if d.begun {
		return nil, errTableLate
	}
	n, rest, err := readInteger(p, 5)
	switch {
	case err != nil:
		return nil, err
	case n > headerTableBytes:
		return nil, errTableTooLarge
	}
	d.table.resize(int(n))
	return rest, nil
}

// indexed decodes an indexed field (RFC 7541, 6.1).
func (d *decoder) indexed(i uint64, f *decodedField) error {
	if i-1 < staticEntries {
		s := &staticTable[i]
		f.name, f.value, f.kind = s.name, s.value, s.kind
		f.valid, f.sensitive, f.memo = true, false, nil
		return nil
	}
	e := d.table.entry(i - 1 - staticEntries)
	if e == nil {
		return errNoEntry
	}
	if !d.want {
		return nil
	}
	if e.minded && e.memo == nil && e.valid {
		e.memo = &Memo{Value: string(d.table.value(e))}
	}
	f.name, f.kind = e.name, e.kind
	f.valid, f.sensitive, f.memo = e.valid, false, e.memo
	if e.memo != nil {
		f.value = e.memo.Value
		return nil
	}
	start := len(d.text)
	d.text = append(d.text, d.table.value(e)...)
	f.value = textOf(d.text[start:])
	return nil
}

// literal decodes a field that is a literal, with its name in the table or as a
// literal too, and adds it to the table if it is to be added (RFC 7541, 6.2).
func (d *decoder) literal(p []byte, bits uint, add bool, f *decodedField) ([]byte, error) {
	i, p, err := readInteger(p, bits)
	if err != nil {
		return nil, err
	}
	*f = decodedField{}
	var name encodedString
	switch {
	case i == 0:
		if name, p, err = readString(p); err != nil {
			return nil, err
		}
	case i <= staticEntries:
		f.name, f.kind = staticTable[i].name, staticTable[i].kind
	default:
		e := d.table.entry(i - 1 - staticEntries)
		if e == nil {
			return nil, errNoEntry
		}
		f.name, f.kind = e.name, e.kind
	}
	value, p, err := readString(p)
	if err != nil || !d.want && !add {
		return p, err
	}
	start := len(d.text)
	if i == 0 {
		var ok bool
		if d.text, ok = name.appendTo(d.text); !ok {
			return nil, errHuffman
		}
		f.name, f.kind = d.names.intern(d.text[start:])
	}
	minded := len(d.memory.names) > 0 && d.memory.minds(f.name)
	if err := d.value(value, minded, f); err != nil {
		return nil, err
	}
	if add {
		d.table.add(f, minded)
	}
	if !d.want {
		d.text = d.text[:start]
	}
	return p, nil
}

// value decodes the value of the literal f, unless it is remembered.
func (d *decoder) value(s encodedString, minded bool, f *decodedField) error {
	var known *remembered
	if minded {
		if known = d.memory.find(f.name, s); known != nil && known.memo != nil {
			f.value, f.valid, f.memo = known.memo.Value, true, known.memo
			return nil
		}
	}
	start := len(d.text)
	var ok bool
	if d.text, ok = s.appendTo(d.text); !ok {
		return errHuffman
	}
	f.value = textOf(d.text[start:])
	f.valid = validValue(f.value)
	switch {
	case !minded || !f.valid:
	case known == nil:
		d.memory.add(f.name, s)
	default:
		known.memo = &Memo{Value: strings.Clone(f.value)}
		f.value, f.memo = known.memo.Value, known.memo
	}
	return nil
}

// encodedString is a string of a block before it is decoded.
type encodedString struct {
	bytes   []byte
	huffman bool
}

// appendTo appends what s stands for, and reports whether it is valid.
func (s encodedString) appendTo(dst []byte) ([]byte, bool) {
	if s.huffman {
		return appendHuffmanDecoded(dst, s.bytes)
	}
	return append(dst, s.bytes...), true
}

// readString reads a string (RFC 7541, 5.2).
func readString(p []byte) (s encodedString, rest []byte, err error) {
	n, rest, err := readInteger(p, 7)
	switch {
	case err != nil:
		return s, nil, err
	case n > maxHeaderStringBytes:
		return s, nil, errFieldTooLarge
	case n > uint64(len(rest)):
		return s, nil, errBlockCut
	}
	return encodedString{rest[:n], p[0]&0x80 != 0}, rest[n:], nil
}

// readInteger reads an integer with a prefix of the given bits (RFC 7541, 5.1).
func readInteger(p []byte, bits uint) (n uint64, rest []byte, err error) {
	if len(p) == 0 {
		return 0, nil, errBlockCut
	}
	limit := uint64(1)<<bits - 1
	n = uint64(p[0]) & limit
	if n < limit {
		return n, p[1:], nil
	}
	for i, shift := 1, 0; i < len(p); i, shift = i+1, shift+7 {
		if shift >= 56 && p[i]&0x80 != 0 {
			return 0, nil, errIntegerTooLong
		}
		n += uint64(p[i]&0x7f) << shift
		if p[i]&0x80 == 0 {
			return n, p[i+1:], nil
		}
	}
	return 0, nil, errBlockCut
}

// textOf returns b as a string without copying it. The bytes must not change
// while the string is in use.
func textOf(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
