package wire

import "github.com/heraldpush/herald/apns"

// ChannelUpdate tells a device what became of channels that it follows,
// command 30 (docs/protocol/courier.md#channels).
//
//	S→D
//	 1  u32       update id
//	 2  protobuf  {1 repeated app {1 topic, 2 repeated {1 channel ID, 2 status, 3 checkpoint}},
//	               2 {1 status: 0 send all subscriptions again}}
//	 3  32 bytes  base token
//	 4  u64       timestamp, nanoseconds since the epoch; absent if 0
type ChannelUpdate struct {
	// UpdateID counts the updates of a connection.
	UpdateID  uint32
	BaseToken apns.BaseToken
	// Timestamp is when the service knew, in nanoseconds since the epoch; zero
	// if absent.
	Timestamp uint64
	Apps      []AppChannelResults
	// Resend asks for a full Subscriptions.
	Resend bool
}

// ParseChannelUpdate reads the payload of a ChannelUpdate frame. It fails with
// a MalformedError alone, also for what is no such protobuf message.
func ParseChannelUpdate(payload []byte) (ChannelUpdate, error) {
	var m ChannelUpdate
	var message []byte
	it := items{rest: payload}
	for it.next() {
		switch it.id {
		case 1:
			it.takeUint32(&m.UpdateID)
		case 2:
			message = it.value
		case 3:
			it.takeBaseToken(&m.BaseToken)
		case 4:
			it.takeUint64(&m.Timestamp)
		}
	}
	if err := it.err(CommandChannelUpdate); err != nil {
		return ChannelUpdate{}, err
	}
	f := fields{rest: message}
	m.Apps = f.results(1, func() {
		if f.is(2, kindBytes) {
			m.Resend, f.bad = resendWanted(f.bytes)
		}
	})
	if f.bad {
		return ChannelUpdate{}, malformedSubscriptions(CommandChannelUpdate)
	}
	return m, nil
}

// resendWanted reads a message of which 0 is the only status that has a meaning.
func resendWanted(message []byte) (resend, bad bool) {
	resend = true
	f := fields{rest: message}
	for f.next() {
		if f.is(1, kindVarint) {
			resend = f.varint == 0
		}
	}
	return resend, f.bad
}

// Append appends m to b as a whole frame.
func (m ChannelUpdate) Append(b []byte) []byte {
	b, start := begin(b, CommandChannelUpdate)
	b = appendUint32(b, 1, m.UpdateID)
	b, item := beginItem(b, 2)
	b = appendResults(b, m.Apps)
	if m.Resend {
		var status int
		b, status = beginField(b, 2)
		b = endField(appendVarint(b, 1, 0), status)
	}
	b = endItem(b, item)
	b = appendOpaque(b, 3, m.BaseToken)
	if m.Timestamp != 0 {
		b = appendUint64(b, 4, m.Timestamp)
	}
	return end(b, start)
}
