package pebble

import (
	"encoding/binary"
	"errors"
	"math/bits"

	"github.com/heraldpush/herald/spool"
)

// repeats remembers repeat keys in the order in which they came, and forgets the
// oldest first. It takes 24 bytes a key, and 8 to 16 for finding it; while it
// grows, twice that. There is no pointer in it for the garbage collector to follow.
type repeats struct {
	limit int
	ring  []repeat
	first int // the oldest, in ring
	n     int
	// table finds a key: it holds places in ring, plus one, or zero. Its length
	// is a power of two, at least twice that of ring; a key is at the place that
	// it asks for, or in the next that was free.
	table []uint32
	// batches says which batches on the disk have the keys, the oldest first.
	batches      []repeatBatch
	firstOfBatch int // of batches, as ring's first
}

// repeat is a key, and the time until which it is remembered, in nanoseconds since
// the epoch.
type repeat struct {
	key   spool.RepeatKey
	until int64
}

// repeatBatch is a batch on the disk, and how many of its keys are remembered.
type repeatBatch struct {
	number uint64
	keys   int
}

const minRepeats = 256

// remembered reports whether the key is remembered until after the time now.
func (r *repeats) remembered(k spool.RepeatKey, now int64) bool {
	at, ok := r.find(k)
	return ok && r.ring[r.table[at]-1].until > now
}

// add remembers a key, which the batch with this number holds. The numbers never
// fall.
func (r *repeats) add(x repeat, number uint64) {
	switch {
	case r.n >= r.limit:
		r.pop()
	case r.n == len(r.ring):
		r.grow()
	}
	i := (r.first + r.n) % len(r.ring)
	r.ring[i] = x
	r.n++
	r.enter(i)
	if last := len(r.batches) - 1; last >= r.firstOfBatch && r.batches[last].number == number {
		r.batches[last].keys++
		return
	}
	if r.firstOfBatch > 0 && len(r.batches) == cap(r.batches) { // the room before it is free
		r.batches = r.batches[:copy(r.batches, r.batches[r.firstOfBatch:])]
		r.firstOfBatch = 0
	}
	r.batches = append(r.batches, repeatBatch{number, 1})
}

// forget drops the oldest keys, up to one whose time is not over.
func (r *repeats) forget(now int64) {
	for r.n > 0 && r.ring[r.first].until <= now {
		r.pop()
	}
}

// from returns the number of the oldest batch that has keys which are remembered;
// next if there is none.
func (r *repeats) from(next uint64) uint64 {
	if r.firstOfBatch < len(r.batches) {
		return r.batches[r.firstOfBatch].number
	}
	return next
}

// pop drops the oldest key.
func (r *repeats) pop() {
	// Its place in the table may be of the same key, remembered again since.
	if at, ok := r.find(r.ring[r.first].key); ok && int(r.table[at]-1) == r.first {
		r.leave(at)
	}
	r.first = (r.first + 1) % len(r.ring)
	r.n--
	b := &r.batches[r.firstOfBatch]
	if b.keys--; b.keys == 0 {
		r.firstOfBatch++
	}
}

// grow doubles the room.
func (r *repeats) grow() {
	ring := make([]repeat, min(max(2*len(r.ring), minRepeats), r.limit))
	n := copy(ring, r.ring[r.first:])
	copy(ring[n:], r.ring[:r.first])
	r.ring, r.first = ring, 0
	r.table = make([]uint32, 1<<bits.Len(uint(2*len(ring)-1)))
	for i := range r.n {
		r.enter(i)
	}
}

// slot returns the place in the table that a key asks for.
func (r *repeats) slot(k *spool.RepeatKey) int {
	h := binary.LittleEndian.Uint64(k[:8]) ^ binary.LittleEndian.Uint64(k[8:])
	return int((h*0x9e3779b97f4a7c15)>>32) & (len(r.table) - 1)
}

// find returns the place in the table where a key is, or the free one where it
// would be.
func (r *repeats) find(k spool.RepeatKey) (at int, ok bool) {
	if len(r.table) == 0 {
		return 0, false
	}
	for at = r.slot(&k); r.table[at] != 0; at = (at + 1) & (len(r.table) - 1) {
		if r.ring[r.table[at]-1].key == k {
			return at, true
		}
	}
	return at, false
}

// enter has the table find the key at a place of the ring, and no earlier one.
func (r *repeats) enter(i int) {
	at, _ := r.find(r.ring[i].key)
	r.table[at] = uint32(i + 1)
}

// leave frees a place in the table, and moves up what was put behind it for want of
// that place.
func (r *repeats) leave(at int) {
	mask := len(r.table) - 1
	for next := (at + 1) & mask; r.table[next] != 0; next = (next + 1) & mask {
		wants := r.slot(&r.ring[r.table[next]-1].key)
		if (next-wants)&mask >= (next-at)&mask {
			r.table[at] = r.table[next]
			at = next
		}
	}
	r.table[at] = 0
}

// repeatsVersion is the first byte of a value of repeat keys.
const repeatsVersion = 1

// repeatBytes is what a repeat takes in such a value.
const repeatBytes = len(spool.RepeatKey{}) + 8

// errRepeats says that the bytes are no value of repeat keys.
var errRepeats = errors.New("remembered repeats cannot be read")

// appendRepeat appends a repeat as it is stored: the key, 16 bytes, and until when
// it is remembered, 8 bytes, big-endian. A value begins with repeatsVersion.
func appendRepeat(b []byte, x repeat) []byte {
	return binary.BigEndian.AppendUint64(append(b, x.key[:]...), uint64(x.until))
}

// eachRepeat calls f with the repeats of a value.
func eachRepeat(b []byte, f func(repeat)) error {
	if len(b) == 0 || b[0] != repeatsVersion || (len(b)-1)%repeatBytes != 0 {
		return errRepeats
	}
	for b = b[1:]; len(b) > 0; b = b[repeatBytes:] {
		f(repeat{spool.RepeatKey(b), int64(binary.BigEndian.Uint64(b[len(spool.RepeatKey{}):]))})
	}
	return nil
}
