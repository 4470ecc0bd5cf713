package load

import (
	"bytes"
	"errors"
	"strings"

	"golang.org/x/net/http2/hpack"
)

// answers reads the header blocks of answers, of which it wants no more than
// the status. It keeps the header table only as far as that takes: how large an
// entry is, and whether it is a status.
type answers struct {
	entries []entry // the oldest first
	bytes   int
	text    bytes.Buffer // of a string in Huffman code
}

// entry is a field of the header table.
type entry struct {
	nameBytes, valueBytes int
	isStatus              bool
	status                int
}

var (
	errBlock = errors.New("the header block of an answer cannot be read")
	// static is the static table (RFC 7541, appendix A), from 1.
	static = staticEntries()
)

// staticEntries reads the static table out of a decoder.
func staticEntries() (all [staticFields + 1]entry) {
	decoder := hpack.NewDecoder(0, nil)
	for i := 1; i <= staticFields; i++ {
		fields, err := decoder.DecodeFull([]byte{0x80 | byte(i)})
		if err != nil || len(fields) != 1 {
			continue // cannot be: the table is part of the protocol
		}
		f := fields[0]
		all[i] = newEntry(len(f.Name), len(f.Value), f.Name == ":status", []byte(f.Value))
	}
	return all
}

func newEntry(nameBytes, valueBytes int, isStatus bool, value []byte) entry {
	e := entry{nameBytes: nameBytes, valueBytes: valueBytes, isStatus: isStatus}
	if isStatus && len(value) == 3 {
		for _, digit := range value {
			e.status = 10*e.status + int(digit-'0')
		}
	}
	return e
}

func (e entry) size() int { return e.nameBytes + e.valueBytes + entryOverhead }

// status reads a header block and returns the status in it.
func (a *answers) status(block []byte) (status int, err error) {
	for len(block) > 0 {
		b := block[0]
		switch {
		case b&0x80 != 0: // indexed (RFC 7541, 6.1)
			var n int
			if n, block, err = integer(block, 7); err != nil {
				return 0, err
			}
			e, ok := a.entry(n)
			if !ok {
				return 0, errBlock
			}
			if e.isStatus {
				status = e.status
			}
		case b&0xe0 == 0x20: // the table's size (6.3)
			var n int
			if n, block, err = integer(block, 5); err != nil {
				return 0, err
			}
			if n > maxTableBytes {
				return 0, errBlock
			}
			a.evict(n)
		default: // a literal (6.2)
			bits := 4
			if b&0x40 != 0 {
				bits = 6
			}
			var e entry
			if e, block, err = a.literal(block, bits); err != nil {
				return 0, err
			}
			if e.isStatus {
				status = e.status
			}
			if b&0x40 != 0 {
				a.add(e)
			}
		}
	}
	return status, nil
}

// literal reads a field that is spelled out, but for its name perhaps.
func (a *answers) literal(block []byte, bits int) (e entry, rest []byte, err error) {
	n, block, err := integer(block, bits)
	if err != nil {
		return e, nil, err
	}
	var nameBytes int
	var isStatus bool
	if n == 0 {
		name, rest, err := a.string(block)
		if err != nil {
			return e, nil, err
		}
		nameBytes, isStatus, block = len(name), string(name) == ":status", rest
	} else {
		named, ok := a.entry(n)
		if !ok {
			return e, nil, errBlock
		}
		nameBytes, isStatus = named.nameBytes, named.isStatus
	}
	value, rest, err := a.string(block)
	if err != nil {
		return e, nil, err
	}
	return newEntry(nameBytes, len(value), isStatus, value), rest, nil
}

// entry returns an entry of either table.
func (a *answers) entry(n int) (entry, bool) {
	switch {
	case n < 1 || n > staticFields+len(a.entries):
		return entry{}, false
	case n <= staticFields:
		return static[n], true
	}
	return a.entries[len(a.entries)-(n-staticFields)], true
}

// add enters a field into the table.
func (a *answers) add(e entry) {
	a.evict(maxTableBytes - e.size())
	if e.size() <= maxTableBytes {
		a.entries = append(a.entries, e)
		a.bytes += e.size()
	}
}

// evict takes the oldest entries out until no more bytes are left than told.
func (a *answers) evict(most int) {
	n := 0
	for ; n < len(a.entries) && a.bytes > most; n++ {
		a.bytes -= a.entries[n].size()
	}
	a.entries = a.entries[:copy(a.entries, a.entries[n:])]
}

// string reads a string. It is good until the next one.
func (a *answers) string(b []byte) (s, rest []byte, err error) {
	if len(b) == 0 {
		return nil, nil, errBlock
	}
	coded := b[0]&0x80 != 0
	n, b, err := integer(b, 7)
	if err != nil {
		return nil, nil, err
	}
	if n > len(b) {
		return nil, nil, errBlock
	}
	s, rest = b[:n], b[n:]
	if coded {
		a.text.Reset()
		if _, err := hpack.HuffmanDecode(&a.text, s); err != nil {
			return nil, nil, errBlock
		}
		s = a.text.Bytes()
	}
	return s, rest, nil
}

// integer reads an integer with a prefix of so many bits (RFC 7541, 5.1), of at
// most 21 bits more.
func integer(b []byte, bits int) (n int, rest []byte, err error) {
	if len(b) == 0 {
		return 0, nil, errBlock
	}
	most := 1<<bits - 1
	if n = int(b[0]) & most; n < most {
		return n, b[1:], nil
	}
	for i := 1; i < len(b) && i <= 3; i++ {
		n += int(b[i]&0x7f) << (7 * (i - 1))
		if b[i]&0x80 == 0 {
			return n, b[i+1:], nil
		}
	}
	return 0, nil, errBlock
}

// reasonIn returns the reason in the body of a refusal, or what it is instead.
func reasonIn(body []byte) string {
	const key = `"reason":"`
	if _, after, ok := strings.Cut(string(body), key); ok {
		if reason, _, ok := strings.Cut(after, `"`); ok {
			return reason
		}
	}
	return "no reason"
}
