package wire

// TransportAck says that the device passed a notification on to a watch,
// command 21, D→S. It has no items, and a courier ignores it
// (docs/protocol/courier.md#activity).
type TransportAck struct{}

// ParseTransportAck reads the payload of a TransportAck frame: it is one if its
// items are well formed, whatever they are. It fails with a MalformedError
// alone.
func ParseTransportAck(payload []byte) (TransportAck, error) {
	return TransportAck{}, parseEmpty(payload, CommandTransportAck)
}

// Append appends m to b as a whole frame.
func (m TransportAck) Append(b []byte) []byte { return appendEmpty(b, CommandTransportAck) }
