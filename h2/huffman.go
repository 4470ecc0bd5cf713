package h2

import (
	"encoding/binary"
	"slices"
)

// The Huffman code of RFC 7541, appendix B, is canonical: codes of one length
// follow each other in the order of their symbols, and shorter ones come before
// longer ones. So its lengths say all of it.

const (
	// maxHuffmanBits is the length of the longest code.
	maxHuffmanBits = 30
	// huffmanIndexBits is how much of the input one step looks at. Two symbols
	// fit in there mostly: the digits of a device token have five and six bits.
	huffmanIndexBits = 12
	// minHuffmanBits is the length of the shortest code.
	minHuffmanBits = 5
)

// huffmanLengths are the lengths of the codes, in bits. The code of EOS,
// which must not occur, is the last one of 30 bits.
var huffmanLengths = [256]uint8{
	13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, // 0x00
	28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28, // 0x10
	6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, // 0x20
	5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, // 0x30
	13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, // 0x40
	7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, // 0x50
	15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, // 0x60
	6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, // 0x70
	20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, // 0x80
	24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, // 0x90
	22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, // 0xa0
	21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, // 0xb0
	26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, // 0xc0
	19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, // 0xd0
	20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, // 0xe0
	26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, // 0xf0
}

// huffmanStep is what the next bits of the input stand for:
//
//	symbol 8 | second symbol 8 | bits of both 8 | bits of the first 8
//
// from the lowest bit. The lengths are the same if there is only one symbol, and
// zero if its code is longer than huffmanIndexBits.
type huffmanStep uint32

// huffmanCodes are the codes of one length, left-aligned in 32 bits.
type huffmanCodes struct {
	first   uint32 // code of the first symbol
	symbols []byte // in the order of their codes
}

var (
	huffmanSteps = newHuffmanSteps() // indexed by the next huffmanIndexBits bits
	huffmanLong  = newHuffmanCodes() // indexed by the length of the codes
)

func newHuffmanCodes() (long [maxHuffmanBits + 1]huffmanCodes) {
	next := uint32(0)
	for n := 1; n <= maxHuffmanBits; n++ {
		long[n].first = next
		for s := range huffmanLengths {
			if int(huffmanLengths[s]) == n {
				long[n].symbols = append(long[n].symbols, byte(s))
				next += 1 << (32 - n)
			}
		}
	}
	return long
}

func newHuffmanSteps() (steps [1 << huffmanIndexBits]huffmanStep) {
	var codes [256]uint32 // left-aligned
	for n, l := range newHuffmanCodes() {
		for i, s := range l.symbols {
			codes[s] = l.first + uint32(i)<<(32-n)
		}
	}
	// Each code of up to huffmanIndexBits stands at the head of a run of indices.
	fill := func(code uint32, bits int, step huffmanStep) {
		from := code >> (32 - huffmanIndexBits)
		for i := range uint32(1) << (huffmanIndexBits - bits) {
			steps[from+i] = step
		}
	}
	for a, n := range huffmanLengths {
		if n > huffmanIndexBits {
			continue
		}
		fill(codes[a], int(n), huffmanStep(a)|huffmanStep(n)<<16|huffmanStep(n)<<24)
		for b, m := range huffmanLengths {
			if n+m <= huffmanIndexBits {
				fill(codes[a]|codes[b]>>n, int(n+m), huffmanStep(a)|huffmanStep(b)<<8|huffmanStep(n+m)<<16|huffmanStep(n)<<24)
			}
		}
	}
	return steps
}

// appendHuffmanDecoded appends what src stands for, and reports whether it is
// valid: neither EOS in it, nor more than 7 bits of padding, nor padding other
// than the first bits of EOS (RFC 7541, 5.2).
func appendHuffmanDecoded(dst, src []byte) ([]byte, bool) {
	// Each step writes two bytes, of which the second may not count.
	room := len(src)*8/minHuffmanBits + 2
	dst = slices.Grow(dst, room)
	out := dst[len(dst) : len(dst)+room]
	n := 0
	var bits uint64 // what is read and not decoded, left-aligned
	have := uint(0) // how many of them
	for {
		if len(src) >= 8 {
			// The bits beyond have are read again, and are the same then.
			bits |= binary.BigEndian.Uint64(src) >> have
			k := (63 - have) / 8
			src = src[k:]
			have += k * 8
		} else {
			for ; have <= 56 && len(src) > 0; src = src[1:] {
				bits |= uint64(src[0]) << (56 - have)
				have += 8
			}
		}
		for have >= huffmanIndexBits {
			step := huffmanSteps[bits>>(64-huffmanIndexBits)]
			if step>>24 == 0 {
				break
			}
			out[n], out[n+1] = byte(step), byte(step>>8)
			taken := uint(step>>16) & 0xff
			n++
			if taken != uint(step>>24) {
				n++
			}
			bits <<= taken
			have -= taken
		}
		if len(src) > 0 && have < maxHuffmanBits {
			continue
		}
		// A long code, or the end of the input.
		symbol, taken, ok := nextHuffman(uint32(bits>>32), have)
		switch {
		case ok:
			out[n] = symbol
			n++
			bits <<= taken
			have -= taken
		case len(src) > 0 || have > 7:
			return dst, false
		default:
			padding := ^(^uint64(0) >> have)
			return dst[:len(dst)+n], bits&padding == padding
		}
	}
}

// nextHuffman decodes one symbol from the first of bits, of which have are
// there. It reports whether they begin with a whole code.
func nextHuffman(bits uint32, have uint) (symbol byte, taken uint, ok bool) {
	for n := uint(minHuffmanBits); n <= min(have, maxHuffmanBits); n++ {
		if l := &huffmanLong[n]; (bits-l.first)>>(32-n) < uint32(len(l.symbols)) && bits >= l.first {
			return l.symbols[(bits-l.first)>>(32-n)], n, true
		}
	}
	return 0, 0, false
}
