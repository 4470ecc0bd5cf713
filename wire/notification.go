package wire

import (
	"math"

	"github.com/heraldpush/herald/apns"
)

// Notification brings a notification to a device, command 10
// (docs/protocol/courier.md#notification).
//
//	S→D
//	 1  32 bytes  device token
//	 2  20 bytes  topic hash
//	 3  bytes     payload
//	 4  u32       message id
//	 5  u32       expiry, seconds since the epoch
//	 6  u64       timestamp, nanoseconds since the epoch
//	 9  u8        storage flags
//	13  u8        priority
//	15  32 bytes  base token
//	21  16 bytes  tracing id
//	26  u32       flags: 1 the device token was removed, 2 traced
//	29  protobuf  {1 channel ID, 2 checkpoint}, of what was broadcast on a channel
//
// and under ALPNHerald alone (docs/protocol/courier.md#extensions):
//
//	200  string   apns-id
//	201  string   push type
//	202  string   topic
//	203  string   collapse id
type Notification struct {
	// DeviceToken is where it goes.
	DeviceToken apns.DeviceToken
	TopicHash   apns.TopicHash
	// Payload aliases the bytes parsed. At most MaxItemBytes can be written.
	Payload apns.Payload
	// MessageID names it to the Ack; unique on a connection.
	MessageID uint32
	// Expiry is in seconds since the epoch. Both 0 and NoExpiry mean none.
	Expiry uint32
	// Timestamp is when the service took it, in nanoseconds since the epoch;
	// zero if absent. It is part of what a device recognises a repetition by:
	// the same at each delivery, and of no other notification to the same
	// device token.
	Timestamp uint64
	Storage   StorageFlags
	// Priority is zero if absent, which stands for apns.PriorityImmediate.
	Priority apns.Priority
	// BaseToken is the device that DeviceToken belongs to.
	BaseToken apns.BaseToken
	// TracingID is a UUID; with Traced, a TracingAck names it. Zero if absent.
	TracingID [TracingIDBytes]byte
	Flags     NotificationFlags
	// Channel is where it was broadcast; empty for what was sent to the device
	// alone.
	Channel apns.ChannelID
	// Checkpoint is its place among the messages of the channel.
	Checkpoint uint64

	// The extension items, to be set only on a connection that negotiated
	// ALPNHerald. An empty one is left out.

	ID         apns.NotificationID
	PushType   apns.PushType
	Topic      apns.Topic
	CollapseID apns.CollapseID
}

// NoExpiry is the Expiry of a notification that does not expire.
const NoExpiry uint32 = math.MaxUint32

// NotificationFlags tell a device more of a notification.
type NotificationFlags uint32

// The flags.
const (
	// TokenRemoved says that the service takes the device token for removed.
	TokenRemoved NotificationFlags = 1 << 0
	// Traced asks for a TracingAck.
	Traced NotificationFlags = 1 << 1
)

// StorageFlags tell a device whether a notification waited for it.
type StorageFlags uint8

// The storage flags. A notification that did not wait has none.
const (
	// Stored marks a notification that comes from storage.
	Stored StorageFlags = 1 << 0
	// LastStored marks the last of those, besides Stored.
	LastStored StorageFlags = 1 << 1
)

// ParseNotification reads the payload of a Notification frame, as a device
// does. It fails with a MalformedError alone, also for a frame without message
// id, which could not be acknowledged.
func ParseNotification(payload []byte) (Notification, error) {
	m := Notification{Expiry: NoExpiry}
	hasMessageID := false
	it := items{rest: payload}
	for it.next() {
		switch it.id {
		case 1, 2: // told apart by size (docs/protocol/courier.md#notification)
			if !it.takeTopicHash(&m.TopicHash) && (it.id == 1 || m.DeviceToken == "") {
				it.takeDeviceToken(&m.DeviceToken)
			}
		case 3:
			it.takePayload(&m.Payload)
		case 4:
			if it.takeUint32(&m.MessageID) {
				hasMessageID = true
			}
		case 5:
			it.takeUint32(&m.Expiry)
		case 6:
			it.takeUint64(&m.Timestamp)
		case 9:
			it.takeUint8((*uint8)(&m.Storage))
		case 13:
			it.takePriority(&m.Priority)
		case 15:
			it.takeBaseToken(&m.BaseToken)
		case 21:
			if len(it.value) == TracingIDBytes {
				m.TracingID = [TracingIDBytes]byte(it.value)
			}
		case 26:
			it.takeUint32((*uint32)(&m.Flags))
		case 29:
			m.takeChannel(it.value)
		case 200:
			it.takeString((*string)(&m.ID))
		case 201:
			it.takeString((*string)(&m.PushType))
		case 202:
			it.takeString((*string)(&m.Topic))
		case 203:
			it.takeString((*string)(&m.CollapseID))
		}
	}
	if err := it.err(CommandNotification); err != nil {
		return Notification{}, err
	}
	if !hasMessageID {
		return Notification{}, &MalformedError{Command: CommandNotification, Problem: "no message id"}
	}
	return m, nil
}

// takeChannel reads where m was broadcast. What is no such message is as if
// absent.
func (m *Notification) takeChannel(message []byte) {
	var channel apns.ChannelID
	var checkpoint uint64
	f := fields{rest: message}
	for f.next() {
		switch {
		case f.is(1, kindBytes):
			f.takeChannelID(&channel)
		case f.is(2, kindVarint):
			checkpoint = f.varint
		}
	}
	if !f.bad && channel != "" {
		m.Channel, m.Checkpoint = channel, checkpoint
	}
}

// takePayload reads a payload; an empty one is as if absent.
func (it *items) takePayload(p *apns.Payload) {
	if len(it.value) > 0 {
		*p = it.value
	}
}

// takePriority reads a priority as devices do, who make one of the three out
// of any number.
func (it *items) takePriority(p *apns.Priority) {
	var n uint8
	switch ok := it.takeUint8(&n); {
	case !ok:
	case n < uint8(apns.PriorityConserve):
		*p = apns.PriorityPower
	case n < uint8(apns.PriorityImmediate):
		*p = apns.PriorityConserve
	default:
		*p = apns.PriorityImmediate
	}
}

// Append appends m to b as a whole frame. Items 3, 4 and 5 are always written,
// as some devices require them.
func (m Notification) Append(b []byte) []byte {
	b, start := begin(b, CommandNotification)
	b = appendOpaque(b, 1, m.DeviceToken)
	b = appendTopicHash(b, 2, m.TopicHash)
	b = appendItem(b, 3, m.Payload)
	b = appendUint32(b, 4, m.MessageID)
	b = appendUint32(b, 5, m.Expiry)
	if m.Timestamp != 0 {
		b = appendUint64(b, 6, m.Timestamp)
	}
	if m.Storage != 0 {
		b = appendUint8(b, 9, uint8(m.Storage))
	}
	if m.Priority != 0 {
		b = appendUint8(b, 13, uint8(m.Priority))
	}
	b = appendOpaque(b, 15, m.BaseToken)
	if m.TracingID != ([TracingIDBytes]byte{}) {
		b = append(append(b, 21, 0, TracingIDBytes), m.TracingID[:]...)
	}
	if m.Flags != 0 {
		b = appendUint32(b, 26, uint32(m.Flags))
	}
	if m.Channel != "" {
		b = m.appendChannel(b)
	}
	b = appendString(b, 200, m.ID)
	b = appendString(b, 201, m.PushType)
	b = appendString(b, 202, m.Topic)
	b = appendString(b, 203, m.CollapseID)
	return end(b, start)
}

func (m *Notification) appendChannel(b []byte) []byte {
	b, item := beginItem(b, 29)
	b = appendChannelID(b, m.Channel)
	if m.Checkpoint != 0 {
		b = appendVarint(b, 2, m.Checkpoint)
	}
	return endItem(b, item)
}
