package h2

// output holds frames that are to be written, in chunks, so that many of them
// neither move nor leave garbage behind.
type output struct {
	full  [][]byte // in order, before last
	last  []byte   // nil if there is nothing
	held  int      // bytes in full
	taken uint64   // bytes that were taken to be written, ever
}

// size returns how many bytes are to be written.
func (o *output) size() int { return o.held + len(o.last) }

// position returns how many bytes went before what is appended next.
func (o *output) position() uint64 { return o.taken + uint64(o.size()) }

// room sees to it that n bytes can be appended to last, without it growing
// beyond a chunk if they fit into one.
func (o *output) room(n int) {
	if len(o.last) > 0 && len(o.last)+n > chunkBytes {
		o.full = append(o.full, o.last)
		o.held += len(o.last)
		o.last = nil
	}
	if o.last == nil {
		o.last = takeChunk()[:0]
	}
}

// take returns the first chunk, which is to be written and given back. There is
// one.
func (o *output) take() []byte {
	var b []byte
	switch {
	case len(o.full) > 0:
		b = o.full[0]
		n := copy(o.full, o.full[1:])
		o.full[n] = nil
		o.full = o.full[:n]
		o.held -= len(b)
	default:
		b, o.last = o.last, nil
	}
	o.taken += uint64(len(b))
	return b
}

// rest gives up the room of an output in which there is nothing.
func (o *output) rest() {
	if o.size() == 0 {
		giveChunk(o.last)
		o.last = nil
	}
}

// drop throws away all that is to be written.
func (o *output) drop() {
	for _, b := range o.full {
		giveChunk(b)
	}
	giveChunk(o.last)
	o.full, o.last, o.held = nil, nil, 0
}
