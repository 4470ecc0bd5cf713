package audience

import (
	"encoding/binary"
	"errors"
	"iter"
	"math/bits"
)

// Members is a set of installations of one chunk. The zero value is empty.
type Members struct {
	words [ChunkWidth / 64]uint64
}

// Add adds the installation at a place.
func (m *Members) Add(s Slot) { m.words[s/64] |= 1 << (s % 64) }

// Remove removes the installation at a place.
func (m *Members) Remove(s Slot) { m.words[s/64] &^= 1 << (s % 64) }

// Has reports whether the installation at a place is in the set.
func (m *Members) Has(s Slot) bool { return m.words[s/64]&(1<<(s%64)) != 0 }

// Count returns how many there are.
func (m *Members) Count() (n int) {
	for _, w := range m.words {
		n += bits.OnesCount64(w)
	}
	return n
}

// Rank returns how many there are before a place: the number, from 0, of the one
// that is there.
func (m *Members) Rank(s Slot) (n int) {
	for _, w := range m.words[:s/64] {
		n += bits.OnesCount64(w)
	}
	return n + bits.OnesCount64(m.words[s/64]&(1<<(s%64)-1))
}

// All yields the places in their order, each with its rank.
func (m *Members) All() iter.Seq2[int, Slot] {
	return func(yield func(int, Slot) bool) {
		rank := 0
		for i, w := range m.words {
			for ; w != 0; w &= w - 1 {
				if !yield(rank, Slot(i*64+bits.TrailingZeros64(w))) {
					return
				}
				rank++
			}
		}
	}
}

// The forms in which a set is stored: by its first byte.
const (
	membersListed = 'l' // each place, 2 bytes, ascending
	membersMapped = 'm' // a bit for each place of the chunk
)

// maxListed is how many members are listed; a map of more is shorter.
const maxListed = ChunkWidth / 8 / 2

// errMembers says that bytes are no set.
var errMembers = errors.New("a stored set of installations cannot be read")

// Append appends m as ParseMembers reads it: at most 1 + ChunkWidth/8 bytes,
// and 1 + 2n for n members where that is less. Numbers are big-endian.
func (m *Members) Append(b []byte) []byte {
	if m.Count() > maxListed {
		b = append(b, membersMapped)
		for _, w := range m.words {
			b = binary.BigEndian.AppendUint64(b, w)
		}
		return b
	}
	b = append(b, membersListed)
	for _, s := range m.All() {
		b = binary.BigEndian.AppendUint16(b, uint16(s))
	}
	return b
}

// ParseMembers reads a set. It takes only what Append writes.
func ParseMembers(b []byte) (*Members, error) {
	if len(b) == 0 {
		return nil, errMembers
	}
	m, form, b := &Members{}, b[0], b[1:]
	switch {
	case form == membersMapped && len(b) == ChunkWidth/8:
		for i := range m.words {
			m.words[i] = binary.BigEndian.Uint64(b[8*i:])
		}
		if m.Count() <= maxListed {
			return nil, errMembers
		}
		return m, nil
	case form == membersListed && len(b)%2 == 0 && len(b) <= 2*maxListed:
		for last := -1; len(b) > 0; b = b[2:] {
			s := binary.BigEndian.Uint16(b)
			if s >= ChunkWidth || int(s) <= last {
				return nil, errMembers
			}
			m.Add(Slot(s))
			last = int(s)
		}
		return m, nil
	}
	return nil, errMembers
}
