package wire

// KeepAliveAck is the receipt for a KeepAlive of version 2, command 22, sent
// S→D at once; the KeepAliveResponse follows after the delay that the device
// asked for. It has no items (docs/protocol/courier.md#keepalive).
type KeepAliveAck struct{}

// ParseKeepAliveAck reads the payload of a KeepAliveAck frame: it is one if its
// items are well formed, whatever they are. It fails with a MalformedError
// alone.
func ParseKeepAliveAck(payload []byte) (KeepAliveAck, error) {
	return KeepAliveAck{}, parseEmpty(payload, CommandKeepAliveAck)
}

// Append appends m to b as a whole frame.
func (m KeepAliveAck) Append(b []byte) []byte { return appendEmpty(b, CommandKeepAliveAck) }
