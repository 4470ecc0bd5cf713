package wire

import (
	"strconv"

	"github.com/heraldpush/herald/apns"
)

// Ack answers a Notification, command 11 (docs/protocol/courier.md#ack).
//
//	D→S
//	 8  u8        status
//	 4  u32       message id of the notification
//	 1  32 bytes  device token or base token; many devices leave it out
//
// and under ALPNHerald alone (docs/protocol/courier.md#extensions):
//
//	200  u32      first message id of several
type Ack struct {
	Status AckStatus
	// MessageID is as good as absent without HasMessageID. It alone says, on
	// its connection, which notification is meant.
	MessageID    uint32
	HasMessageID bool
	// Destination has apns.CourierTokenBytes or is nil. It aliases the payload.
	Destination []byte
	// First is the extension: if it is set, all notifications are meant whose
	// message ids are from First to MessageID.
	First uint32
}

// AckStatus is what became of a notification on the device. Take one that is
// not listed for AckOK.
type AckStatus uint8

// The statuses (docs/protocol/courier.md#ack).
const (
	// AckOK says that the device keeps it; the app may not have it yet.
	AckOK AckStatus = 0
	// AckNotOurs says that the device token is unknown to the device.
	AckNotOurs AckStatus = 2
	// AckUnreadable says that the payload is no dictionary.
	AckUnreadable AckStatus = 3
	// AckIgnored says that the topic is on the list of ignored ones.
	AckIgnored AckStatus = 6
	// AckUnknownTopic says that the topic is on no list; also sent for a
	// repetition.
	AckUnknownTopic AckStatus = 7
	// AckUnavailable says that the device cannot look at its tokens now.
	AckUnavailable AckStatus = 11
)

// String names s.
func (s AckStatus) String() string {
	switch s {
	case AckOK:
		return "OK"
	case AckNotOurs:
		return "NotOurs"
	case AckUnreadable:
		return "Unreadable"
	case AckIgnored:
		return "Ignored"
	case AckUnknownTopic:
		return "UnknownTopic"
	case AckUnavailable:
		return "Unavailable"
	}
	return "AckStatus(" + strconv.Itoa(int(s)) + ")"
}

// ParseAck reads the payload of an Ack frame, without allocating. It fails
// with a MalformedError alone. Without a status it is AckOK.
func ParseAck(payload []byte) (Ack, error) {
	var m Ack
	it := items{rest: payload}
	for it.next() {
		switch it.id {
		case 1:
			it.takeDestination(&m.Destination)
		case 4:
			if it.takeUint32(&m.MessageID) {
				m.HasMessageID = true
			}
		case 8:
			it.takeUint8((*uint8)(&m.Status))
		case 200:
			it.takeUint32(&m.First)
		}
	}
	if err := it.err(CommandAck); err != nil {
		return Ack{}, err
	}
	return m, nil
}

// takeDestination reads a token that may be of either kind.
func (it *items) takeDestination(p *[]byte) {
	if len(it.value) == apns.CourierTokenBytes {
		*p = it.value
	}
}

// Append appends m to b as a whole frame.
func (m Ack) Append(b []byte) []byte {
	b, start := begin(b, CommandAck)
	b = appendUint8(b, 8, uint8(m.Status))
	if m.HasMessageID {
		b = appendUint32(b, 4, m.MessageID)
	}
	b = appendOpaque(b, 1, m.Destination)
	if m.First != 0 {
		b = appendUint32(b, 200, m.First)
	}
	return end(b, start)
}
