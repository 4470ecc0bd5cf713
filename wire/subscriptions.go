package wire

import "github.com/heraldpush/herald/apns"

// Subscriptions says which channels a device follows, command 29
// (docs/protocol/courier.md#channels).
//
//	D→S
//	 1  u32       request id
//	 2  protobuf  {1 version = 1, 2 repeated app, 3 type: 1 full or 0 delta, 4 sequence number}
//	              app        {1 topic, 2 repeated subscribe, 3 repeated {1 channel ID}}
//	              subscribe  {1 channel ID, 2 checkpoint, 4 message replay count}
//	 3  32 bytes  base token
//
// Attributes, of apps and subscriptions, are skipped.
type Subscriptions struct {
	// RequestID is what a device finds the answer by.
	RequestID uint32
	BaseToken apns.BaseToken
	// Full says that the device follows these and no others; otherwise they are a
	// change.
	Full bool
	// Sequence counts the requests; zero if the device does not.
	Sequence uint64
	Apps     []AppSubscriptions
}

// AppSubscriptions is what Subscriptions says for one app.
type AppSubscriptions struct {
	// App is the topic that the channels' messages are for; empty if it is
	// none.
	App         apns.Topic
	Subscribe   []ChannelSubscription
	Unsubscribe []apns.ChannelID
}

// ChannelSubscription is a channel that a device follows. It has a checkpoint or
// a replay count, or neither.
type ChannelSubscription struct {
	// Channel is empty if the device named none that there may be.
	Channel apns.ChannelID
	// Checkpoint is that of the latest message that the device has; zero if it
	// has none.
	Checkpoint uint64
	// Replay is how many messages of the past are wanted, if HasReplay is set.
	Replay    uint64
	HasReplay bool
}

// MaxSubscriptions bounds the apps, and the channels, of one frame of channels:
// more make it malformed. A courier may refuse fewer.
const MaxSubscriptions = 4096

// ParseSubscriptions reads the payload of a Subscriptions frame. It fails with a
// MalformedError alone, also for what is no such protobuf message.
func ParseSubscriptions(payload []byte) (Subscriptions, error) {
	var m Subscriptions
	var message []byte
	it := items{rest: payload}
	for it.next() {
		switch it.id {
		case 1:
			it.takeUint32(&m.RequestID)
		case 2:
			message = it.value
		case 3:
			it.takeBaseToken(&m.BaseToken)
		}
	}
	if err := it.err(CommandChannels); err != nil {
		return Subscriptions{}, err
	}
	left := countdown(MaxSubscriptions)
	f := fields{rest: message}
	for f.next() {
		switch {
		case f.is(2, kindBytes) && left.take():
			m.Apps = append(m.Apps, AppSubscriptions{})
			f.bad = !m.Apps[len(m.Apps)-1].parse(f.bytes, &left)
		case f.is(3, kindVarint):
			m.Full = f.varint == 1
		case f.is(4, kindVarint):
			m.Sequence = f.varint
		}
		if f.bad {
			break
		}
	}
	if f.bad || left < 0 {
		return Subscriptions{}, malformedSubscriptions(CommandChannels)
	}
	return m, nil
}

// countdown is how many entries a message may still have; negative once it had
// too many.
type countdown int

// take reports whether there may be one more.
func (c *countdown) take() bool {
	*c--
	return *c >= 0
}

func malformedSubscriptions(c Command) error {
	return &MalformedError{Command: c, Problem: "no such protobuf message, or too many channels"}
}

// parse reports whether message is one that it read.
func (a *AppSubscriptions) parse(message []byte, left *countdown) bool {
	f := fields{rest: message}
	for f.next() {
		switch {
		case f.is(1, kindBytes):
			f.takeTopic(&a.App)
		case f.is(2, kindBytes) && left.take():
			var s ChannelSubscription
			f.bad = !s.parse(f.bytes)
			a.Subscribe = append(a.Subscribe, s)
		case f.is(3, kindBytes) && left.take():
			var r ChannelResult
			f.bad = !r.parse(f.bytes)
			a.Unsubscribe = append(a.Unsubscribe, r.Channel)
		}
		if f.bad {
			return false
		}
	}
	return !f.bad
}

func (s *ChannelSubscription) parse(message []byte) bool {
	f := fields{rest: message}
	for f.next() {
		switch {
		case f.is(1, kindBytes):
			f.takeChannelID(&s.Channel)
		case f.is(2, kindVarint): // it has the one that comes last
			s.Checkpoint, s.Replay, s.HasReplay = f.varint, 0, false
		case f.is(4, kindVarint):
			s.Checkpoint, s.Replay, s.HasReplay = 0, f.varint, true
		}
	}
	return !f.bad
}

// Append appends m to b as a whole frame.
func (m Subscriptions) Append(b []byte) []byte {
	b, start := begin(b, CommandChannels)
	b = appendUint32(b, 1, m.RequestID)
	b, item := beginItem(b, 2)
	b = appendVarint(b, 1, 1)
	for i := range m.Apps {
		b = m.Apps[i].append(b)
	}
	kind := uint64(0)
	if m.Full {
		kind = 1
	}
	b = appendVarint(b, 3, kind)
	if m.Sequence != 0 {
		b = appendVarint(b, 4, m.Sequence)
	}
	b = endItem(b, item)
	b = appendOpaque(b, 3, m.BaseToken)
	return end(b, start)
}

func (a *AppSubscriptions) append(b []byte) []byte {
	b, app := beginField(b, 2)
	b = appendTopic(b, 1, a.App)
	for _, s := range a.Subscribe {
		var one int
		b, one = beginField(b, 2)
		b = appendChannelID(b, s.Channel)
		switch {
		case s.HasReplay:
			b = appendVarint(b, 4, s.Replay)
		case s.Checkpoint != 0:
			b = appendVarint(b, 2, s.Checkpoint)
		}
		b = endField(b, one)
	}
	for _, id := range a.Unsubscribe {
		var one int
		b, one = beginField(b, 3)
		b = appendChannelID(b, id)
		b = endField(b, one)
	}
	return endField(b, app)
}
