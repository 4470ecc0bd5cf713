package wire

import (
	"time"

	"github.com/heraldpush/herald/apns"
)

// AppToken asks for the device token of an app, command 17. Requests may be
// sent before earlier ones are answered (docs/protocol/courier.md#app-tokens).
//
//	D→S
//	 2  20 bytes  topic hash
//	 1  32 bytes  base token
//	 3  u16       app id, absent if 0
//	 4  u16       type, absent if 0
//	 5  u32       lifetime, seconds, absent if 0
//
// Item 6, a hash of a web push key, and topic hashes of 32 bytes are skipped.
type AppToken struct {
	TopicHash apns.TopicHash
	BaseToken apns.BaseToken
	// AppID tells several device tokens for one topic apart.
	AppID uint16
	// Type is 2 for web push.
	Type uint16
	// Lifetime is in whole seconds; zero means without end.
	Lifetime time.Duration
}

// ParseAppToken reads the payload of an AppToken frame. It fails with a
// MalformedError alone.
func ParseAppToken(payload []byte) (AppToken, error) {
	var m AppToken
	it := items{rest: payload}
	for it.next() {
		switch it.id {
		case 1:
			it.takeBaseToken(&m.BaseToken)
		case 2:
			it.takeTopicHash(&m.TopicHash)
		case 3:
			it.takeUint16(&m.AppID)
		case 4:
			it.takeUint16(&m.Type)
		case 5:
			it.takeSeconds(&m.Lifetime)
		}
	}
	if err := it.err(CommandAppToken); err != nil {
		return AppToken{}, err
	}
	return m, nil
}

// Append appends m to b as a whole frame.
func (m AppToken) Append(b []byte) []byte {
	b, start := begin(b, CommandAppToken)
	b = appendTopicHash(b, 2, m.TopicHash)
	b = appendOpaque(b, 1, m.BaseToken)
	if m.AppID != 0 {
		b = appendUint16(b, 3, m.AppID)
	}
	if m.Type != 0 {
		b = appendUint16(b, 4, m.Type)
	}
	if m.Lifetime != 0 {
		b = appendSeconds(b, 5, m.Lifetime)
	}
	return end(b, start)
}
