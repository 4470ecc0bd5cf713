package wire

import (
	"time"

	"github.com/heraldpush/herald/apns"
)

// SubscriptionsResponse answers a Subscriptions, command 29
// (docs/protocol/courier.md#channels).
//
//	S→D
//	 1  u32       request id
//	 2  protobuf  {1 repeated app {1 topic, 2 repeated {1 channel ID, 2 status, 3 checkpoint}}}
//	 3  32 bytes  base token
//	 4  u8        status
//	 5  u32       when to ask again, seconds; absent if 0
type SubscriptionsResponse struct {
	// RequestID is that of the request.
	RequestID uint32
	BaseToken apns.BaseToken
	Status    SubscriptionsStatus
	// RetryAfter is when to ask again if Status is not SubscriptionsOK, in whole
	// seconds; zero leaves it to the device.
	RetryAfter time.Duration
	Apps       []AppChannelResults
}

// SubscriptionsStatus is the outcome of a Subscriptions. What is not zero means that
// nothing was changed; the meaning of the numbers is Herald's choice.
type SubscriptionsStatus uint8

// The statuses.
const (
	SubscriptionsOK       SubscriptionsStatus = 0
	SubscriptionsTryLater SubscriptionsStatus = 1
	SubscriptionsTooMany  SubscriptionsStatus = 2 // the device would follow more than it may
)

// AppChannelResults is what is said of channels of one app.
type AppChannelResults struct {
	// App is the topic as the device named it.
	App      apns.Topic
	Channels []ChannelResult
}

// ChannelResult is what is said of one channel.
type ChannelResult struct {
	Channel    apns.ChannelID
	Status     ChannelStatus
	Checkpoint uint64
}

// ChannelStatus is what there is to say of a channel.
type ChannelStatus uint8

// The statuses of a channel.
const (
	// ChannelInvalid says that there is no such channel (CHANNEL_ID_INVALID in
	// the answer to a subscription, DOES_NOT_EXIST in an update).
	ChannelInvalid ChannelStatus = 0
	// ChannelCurrent says that it is followed (CHECKPOINT_LATEST).
	ChannelCurrent ChannelStatus = 1
)

// ParseSubscriptionsResponse reads the payload of a SubscriptionsResponse frame. It
// fails with a MalformedError alone, also for a frame without status and for
// what is no such protobuf message.
func ParseSubscriptionsResponse(payload []byte) (SubscriptionsResponse, error) {
	var m SubscriptionsResponse
	var message []byte
	hasStatus := false
	it := items{rest: payload}
	for it.next() {
		switch it.id {
		case 1:
			it.takeUint32(&m.RequestID)
		case 2:
			message = it.value
		case 3:
			it.takeBaseToken(&m.BaseToken)
		case 4:
			if it.takeUint8((*uint8)(&m.Status)) {
				hasStatus = true
			}
		case 5:
			it.takeSeconds(&m.RetryAfter)
		}
	}
	if err := it.err(CommandChannels); err != nil {
		return SubscriptionsResponse{}, err
	}
	if !hasStatus {
		return SubscriptionsResponse{}, &MalformedError{Command: CommandChannels, Problem: "no status"}
	}
	f := fields{rest: message}
	if m.Apps = f.results(1, nil); f.bad {
		return SubscriptionsResponse{}, malformedSubscriptions(CommandChannels)
	}
	return m, nil
}

// results reads the repeated field of results by app, and calls other, which may
// be nil, for each other field.
func (f *fields) results(number uint64, other func()) (apps []AppChannelResults) {
	left := countdown(MaxSubscriptions)
	for f.next() {
		switch {
		case f.is(number, kindBytes):
			var a AppChannelResults
			ok := left.take() && a.parse(f.bytes, &left)
			if !ok {
				f.bad = true
				return nil
			}
			apps = append(apps, a)
		case other != nil:
			other()
		}
	}
	if f.bad {
		return nil
	}
	return apps
}

func (a *AppChannelResults) parse(message []byte, left *countdown) bool {
	f := fields{rest: message}
	for f.next() {
		switch {
		case f.is(1, kindBytes):
			f.takeTopic(&a.App)
		case f.is(2, kindBytes):
			var r ChannelResult
			if !left.take() || !r.parse(f.bytes) {
				return false
			}
			a.Channels = append(a.Channels, r)
		}
	}
	return !f.bad
}

func (r *ChannelResult) parse(message []byte) bool {
	f := fields{rest: message}
	for f.next() {
		switch {
		case f.is(1, kindBytes):
			f.takeChannelID(&r.Channel)
		case f.is(2, kindVarint):
			r.Status = ChannelStatus(min(f.varint, 255)) //nolint:gosec // it fits
		case f.is(3, kindVarint):
			r.Checkpoint = f.varint
		}
	}
	return !f.bad
}

// Append appends m to b as a whole frame. Items 1, 3 and 4 are always written,
// as some devices require them.
func (m SubscriptionsResponse) Append(b []byte) []byte {
	b, start := begin(b, CommandChannels)
	b = appendUint32(b, 1, m.RequestID)
	b, item := beginItem(b, 2)
	b = endItem(appendResults(b, m.Apps), item)
	b = appendOpaque(b, 3, m.BaseToken)
	b = appendUint8(b, 4, uint8(m.Status))
	if m.RetryAfter != 0 {
		b = appendSeconds(b, 5, m.RetryAfter)
	}
	return end(b, start)
}

func appendResults(b []byte, apps []AppChannelResults) []byte {
	for i := range apps {
		var app int
		b, app = beginField(b, 1)
		b = appendTopic(b, 1, apps[i].App)
		for _, r := range apps[i].Channels {
			var one int
			b, one = beginField(b, 2)
			b = appendChannelID(b, r.Channel)
			b = appendVarint(b, 2, uint64(r.Status))
			if r.Checkpoint != 0 {
				b = appendVarint(b, 3, r.Checkpoint)
			}
			b = endField(b, one)
		}
		b = endField(b, app)
	}
	return b
}
