package wire

// KeepAliveResponse answers a KeepAlive, command 13. The zero value is the
// answer to one of version 1, which every device accepts
// (docs/protocol/courier.md#keepalive).
//
//	S→D
//	 1  u8  code, for a keepalive of version 2
type KeepAliveResponse struct {
	// Code is as good as absent without HasCode.
	Code    KeepAliveCode
	HasCode bool
}

// KeepAliveCode tells a device how to go on with keepalives of version 2.
type KeepAliveCode uint8

// The codes.
const (
	// KeepAliveGrow lets the device make its interval longer.
	KeepAliveGrow KeepAliveCode = 0
	// KeepAliveDelay asks for the keepalive again, two seconds later.
	KeepAliveDelay KeepAliveCode = 1
	// KeepAliveShrink asks for a shorter interval.
	KeepAliveShrink KeepAliveCode = 2
	// KeepAliveUnsupported sends the device back to version 1.
	KeepAliveUnsupported KeepAliveCode = 3
)

// ParseKeepAliveResponse reads the payload of a KeepAliveResponse frame. It
// fails with a MalformedError alone.
func ParseKeepAliveResponse(payload []byte) (KeepAliveResponse, error) {
	var m KeepAliveResponse
	it := items{rest: payload}
	for it.next() {
		if it.id == 1 && it.takeUint8((*uint8)(&m.Code)) {
			m.HasCode = true
		}
	}
	if err := it.err(CommandKeepAliveResponse); err != nil {
		return KeepAliveResponse{}, err
	}
	return m, nil
}

// Append appends m to b as a whole frame.
func (m KeepAliveResponse) Append(b []byte) []byte {
	b, start := begin(b, CommandKeepAliveResponse)
	if m.HasCode {
		b = appendUint8(b, 1, uint8(m.Code))
	}
	return end(b, start)
}
