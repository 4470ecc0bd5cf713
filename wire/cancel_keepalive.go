package wire

// CancelKeepAlive tells a device that waits for a delayed KeepAliveResponse to
// give it up and send a KeepAlive now, command 34, S→D. It has no items
// (docs/protocol/courier.md#keepalive).
type CancelKeepAlive struct{}

// ParseCancelKeepAlive reads the payload of a CancelKeepAlive frame: it is one if its
// items are well formed, whatever they are. It fails with a MalformedError
// alone.
func ParseCancelKeepAlive(payload []byte) (CancelKeepAlive, error) {
	return CancelKeepAlive{}, parseEmpty(payload, CommandCancelKeepAlive)
}

// Append appends m to b as a whole frame.
func (m CancelKeepAlive) Append(b []byte) []byte { return appendEmpty(b, CommandCancelKeepAlive) }
