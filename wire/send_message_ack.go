package wire

// SendMessageAck answers a SendMessage, the other direction of command 11. The
// device matches it by order, not by id (docs/protocol/courier.md#send-message).
//
//	S→D
//	 8  u8        status
//	 6  u64       timestamp, nanoseconds since the epoch
//	 4  u32       message id
//	 1  32 bytes  the token of the message
type SendMessageAck struct {
	Status SendStatus
	// Timestamp is zero if absent.
	Timestamp uint64
	// MessageID is as good as absent without HasMessageID.
	MessageID    uint32
	HasMessageID bool
	// Destination has apns.CourierTokenBytes or is nil. It aliases the payload.
	Destination []byte
}

// SendStatus is what becomes of a SendMessage. All but those below mean
// rejected.
type SendStatus uint8

// The statuses.
const (
	SendOK          SendStatus = 0
	SendBusy        SendStatus = 1
	SendInvalid     SendStatus = 3 // also too large
	SendMaintenance SendStatus = 5
)

// ParseSendMessageAck reads the payload of a SendMessageAck frame. It fails
// with a MalformedError alone. Without a status it is SendOK.
func ParseSendMessageAck(payload []byte) (SendMessageAck, error) {
	var m SendMessageAck
	it := items{rest: payload}
	for it.next() {
		switch it.id {
		case 1:
			it.takeDestination(&m.Destination)
		case 4:
			if it.takeUint32(&m.MessageID) {
				m.HasMessageID = true
			}
		case 6:
			it.takeUint64(&m.Timestamp)
		case 8:
			it.takeUint8((*uint8)(&m.Status))
		}
	}
	if err := it.err(CommandAck); err != nil {
		return SendMessageAck{}, err
	}
	return m, nil
}

// Append appends m to b as a whole frame.
func (m SendMessageAck) Append(b []byte) []byte {
	b, start := begin(b, CommandAck)
	b = appendUint8(b, 8, uint8(m.Status))
	if m.Timestamp != 0 {
		b = appendUint64(b, 6, m.Timestamp)
	}
	if m.HasMessageID {
		b = appendUint32(b, 4, m.MessageID)
	}
	b = appendOpaque(b, 1, m.Destination)
	return end(b, start)
}
