package wire

// Flush asks the other side for an answer of a given size, command 15; it
// moves bytes through what stands between (docs/protocol/courier.md#flush).
//
//	both directions
//	 1  u16    wanted padding of the answer, bytes
//	 2  bytes  padding, zeros
type Flush struct {
	// Wanted is the padding that the answer is to have, in bytes.
	Wanted uint16
	// Padding is the padding of this frame, in bytes.
	Padding uint16
}

// MaxFlushBytes bounds the padding of an answer, whatever is wanted.
const MaxFlushBytes = 1024

// Response returns the answer to m.
func (m Flush) Response() FlushResponse {
	return FlushResponse{Padding: min(m.Wanted, MaxFlushBytes)}
}

// ParseFlush reads the payload of a Flush frame. It fails with a
// MalformedError alone.
func ParseFlush(payload []byte) (Flush, error) {
	var m Flush
	it := items{rest: payload}
	for it.next() {
		switch it.id {
		case 1:
			it.takeUint16(&m.Wanted)
		case 2:
			m.Padding = uint16(len(it.value))
		}
	}
	if err := it.err(CommandFlush); err != nil {
		return Flush{}, err
	}
	return m, nil
}

// Append appends m to b as a whole frame.
func (m Flush) Append(b []byte) []byte {
	b, start := begin(b, CommandFlush)
	b = appendUint16(b, 1, m.Wanted)
	b = appendPadding(b, m.Padding)
	return end(b, start)
}

// FlushResponse answers a Flush, command 16 (docs/protocol/courier.md#flush).
//
//	both directions
//	 2  bytes  padding, zeros
type FlushResponse struct {
	// Padding is in bytes.
	Padding uint16
}

// ParseFlushResponse reads the payload of a FlushResponse frame. It fails with
// a MalformedError alone.
func ParseFlushResponse(payload []byte) (FlushResponse, error) {
	var m FlushResponse
	it := items{rest: payload}
	for it.next() {
		if it.id == 2 {
			m.Padding = uint16(len(it.value))
		}
	}
	if err := it.err(CommandFlushResponse); err != nil {
		return FlushResponse{}, err
	}
	return m, nil
}

// Append appends m to b as a whole frame.
func (m FlushResponse) Append(b []byte) []byte {
	b, start := begin(b, CommandFlushResponse)
	b = appendPadding(b, m.Padding)
	return end(b, start)
}

// appendPadding appends an item 2 of n zeros, unless n is zero.
func appendPadding(b []byte, n uint16) []byte {
	if n == 0 {
		return b
	}
	b = append(b, 2, byte(n>>8), byte(n))
	return append(b, make([]byte, n)...)
}
