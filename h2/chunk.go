package h2

import "sync"

// chunkBytes is the size of all buffers of a connection: what a read of the
// network may bring at once, and what is written at once. It is much more than a
// frame, and few enough of them stay in the processor's cache.
const chunkBytes = 64 << 10

// chunks holds the buffers that are not in use. A connection has one only
// while there is something in it, so that an idle one costs none.
var chunks = sync.Pool{New: func() any { return new([chunkBytes]byte) }}

// takeChunk returns a buffer.
func takeChunk() []byte {
	b, ok := chunks.Get().(*[chunkBytes]byte)
	if !ok {
		b = new([chunkBytes]byte)
	}
	return b[:]
}

// giveChunk takes back a buffer from takeChunk, however it was cut at its end. It
// leaves one that has grown by append to the garbage collector.
func giveChunk(b []byte) {
	if cap(b) == chunkBytes {
		chunks.Put((*[chunkBytes]byte)(b[:chunkBytes]))
	}
}
