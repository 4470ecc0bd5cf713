package wire

import "github.com/heraldpush/herald/apns"

// SendMessage is a message of a device to the service, the other direction of
// command 10. A courier answers each with a SendMessageAck, in order
// (docs/protocol/courier.md#send-message).
//
//	D→S
//	 4  u32       message id
//	 1  20 bytes  topic hash
//	 2  32 bytes  device token
//	 3  bytes     payload
type SendMessage struct {
	// MessageID is as good as absent without HasMessageID.
	MessageID    uint32
	HasMessageID bool
	TopicHash    apns.TopicHash
	DeviceToken  apns.DeviceToken
	// Payload aliases the bytes parsed. At most MaxItemBytes can be written.
	Payload apns.Payload
}

// ParseSendMessage reads the payload of a SendMessage frame. It fails with a
// MalformedError alone.
func ParseSendMessage(payload []byte) (SendMessage, error) {
	var m SendMessage
	it := items{rest: payload}
	for it.next() {
		switch it.id {
		case 1, 2: // told apart by size (docs/protocol/courier.md#notification)
			if !it.takeTopicHash(&m.TopicHash) && (it.id == 2 || m.DeviceToken == "") {
				it.takeDeviceToken(&m.DeviceToken)
			}
		case 3:
			it.takePayload(&m.Payload)
		case 4:
			if it.takeUint32(&m.MessageID) {
				m.HasMessageID = true
			}
		}
	}
	if err := it.err(CommandNotification); err != nil {
		return SendMessage{}, err
	}
	return m, nil
}

// Append appends m to b as a whole frame.
func (m SendMessage) Append(b []byte) []byte {
	b, start := begin(b, CommandNotification)
	if m.HasMessageID {
		b = appendUint32(b, 4, m.MessageID)
	}
	b = appendTopicHash(b, 1, m.TopicHash)
	b = appendOpaque(b, 2, m.DeviceToken)
	if len(m.Payload) > 0 {
		b = appendItem(b, 3, m.Payload)
	}
	return end(b, start)
}
