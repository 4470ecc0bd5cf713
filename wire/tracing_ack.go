package wire

import "github.com/heraldpush/herald/apns"

// TracingAck says what became of a notification on the device beyond its Ack,
// command 27 (docs/protocol/courier.md#tracing-ack).
//
//	D→S
//	 1  20 bytes  topic hash
//	 2  16 bytes  tracing id
//	 3  u8        status
//	 4  32 bytes  device token
type TracingAck struct {
	TopicHash apns.TopicHash
	// TracingID is a UUID, zero if absent. Between ends of Herald's it is the
	// apns-id.
	TracingID [TracingIDBytes]byte
	// Status is zero if absent.
	Status      uint8
	DeviceToken apns.DeviceToken
}

// TracingIDBytes is the size of a tracing id.
const TracingIDBytes = 16

// ParseTracingAck reads the payload of a TracingAck frame. It fails with a
// MalformedError alone.
func ParseTracingAck(payload []byte) (TracingAck, error) {
	var m TracingAck
	it := items{rest: payload}
	for it.next() {
		switch it.id {
		case 1:
			it.takeTopicHash(&m.TopicHash)
		case 2:
			if len(it.value) == TracingIDBytes {
				m.TracingID = [TracingIDBytes]byte(it.value)
			}
		case 3:
			it.takeUint8(&m.Status)
		case 4:
			it.takeDeviceToken(&m.DeviceToken)
		}
	}
	if err := it.err(CommandTracingAck); err != nil {
		return TracingAck{}, err
	}
	return m, nil
}

// Append appends m to b as a whole frame.
func (m TracingAck) Append(b []byte) []byte {
	b, start := begin(b, CommandTracingAck)
	b = appendTopicHash(b, 1, m.TopicHash)
	if m.TracingID != ([TracingIDBytes]byte{}) {
		b = append(append(b, 2, 0, TracingIDBytes), m.TracingID[:]...)
	}
	b = appendUint8(b, 3, m.Status)
	b = appendOpaque(b, 4, m.DeviceToken)
	return end(b, start)
}
