package trace

import (
	"encoding/binary"
	"hash/crc32"
	"math/bits"
	"slices"

	"github.com/heraldpush/herald/apns"
)

// key is what lines are looked for by: the hash of an apns-id or of a device.
type key uint64

// mix spreads the bits of x.
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

// keyOfID returns the key of an apns-id.
func keyOfID(d id) key {
	le := binary.LittleEndian
	return key(mix(le.Uint64(d[:8])*0x9e3779b97f4a7c15 ^ bits.RotateLeft64(le.Uint64(d[8:]), 17) ^ 1))
}

// keyOfDevice returns the key of a device.
func keyOfDevice(d apns.DeviceOrdinal) key { return key(mix(uint64(d)*0x9e3779b97f4a7c15 ^ 2)) }

// A filter says which keys a segment may have. All bits of a key are in one
// block, so that a question costs one read of 64 bytes:
//
//	 0  60 bytes  bits
//	60  u32       CRC-32C of them
const (
	blockBytes = 64
	blockBits  = 8 * (blockBytes - 4)
	// bitsPerKey makes about one in a hundred answers a false alarm, which costs
	// reading one segment in vain.
	bitsPerKey = 12
	probes     = 6
)

// keysOf appends the keys of a record.
func keysOf(keys []key, r []byte) []key {
	if d := id(r[idAt:deviceAt]); d != (id{}) {
		keys = append(keys, keyOfID(d))
	}
	if d := binary.LittleEndian.Uint64(r[deviceAt:]); d != 0 {
		keys = append(keys, keyOfDevice(apns.DeviceOrdinal(d)))
	}
	return keys
}

// newFilter returns the filter of some keys, which it sorts.
func newFilter(keys []key) []byte {
	slices.Sort(keys)
	keys = slices.Compact(keys)
	blocks := filterBlocks(len(keys))
	f := make([]byte, blocks*blockBytes)
	for _, k := range keys {
		b := f[k.block(blocks)*blockBytes:]
		for i := range probes {
			at := k.bit(i)
			b[at/8] |= 1 << (at % 8)
		}
	}
	for b := f; len(b) > 0; b = b[blockBytes:] {
		binary.LittleEndian.PutUint32(b[blockBytes-4:], crc32.Checksum(b[:blockBytes-4], castagnoli))
	}
	return f
}

// filterBlocks returns how many blocks a filter of n keys has, one at least.
func filterBlocks(n int) int { return max(1, (n*bitsPerKey+blockBits-1)/blockBits) }

// maxFilterBytes bounds the filter of a segment with n records, which have two
// keys each.
func maxFilterBytes(n int64) int64 { return int64(filterBlocks(int(2*n))) * blockBytes }

// block returns the block of k, of so many.
func (k key) block(blocks int) int {
	high, _ := bits.Mul64(uint64(k), uint64(blocks)) //nolint:gosec // it is positive
	return int(high)                                 //nolint:gosec // less than blocks
}

// bit returns one of the bits of k in its block.
func (k key) bit(probe int) int {
	return int(mix(uint64(k)+uint64(probe)*0x9e3779b97f4a7c15) % blockBits) //nolint:gosec // less than blockBits
}

// mayHave reports whether a block has the bits of k. A block that is damaged may
// have anything.
func (k key) mayBeIn(block []byte) bool {
	if binary.LittleEndian.Uint32(block[blockBytes-4:]) != crc32.Checksum(block[:blockBytes-4], castagnoli) {
		return true
	}
	for i := range probes {
		if at := k.bit(i); block[at/8]&(1<<(at%8)) == 0 {
			return false
		}
	}
	return true
}
