package wire

import "github.com/heraldpush/herald/apns"

// AppTokenResponse answers an AppToken, command 18
// (docs/protocol/courier.md#app-tokens).
//
//	S→D
//	 1  u8        status
//	 2  32 bytes  device token
//	 3  20 bytes  topic hash of the request
//	 4  u16       app id of the request, absent if 0
type AppTokenResponse struct {
	Status      AppTokenStatus
	DeviceToken apns.DeviceToken
	// TopicHash and AppID are what a device finds its request by.
	TopicHash apns.TopicHash
	AppID     uint16
}

// AppTokenStatus is the outcome of an AppToken. The numbers are those that
// devices know as failures; their meaning is Herald's choice.
type AppTokenStatus uint8

// The statuses.
const (
	AppTokenOK            AppTokenStatus = 0
	AppTokenInvalid       AppTokenStatus = 1 // no topic hash, or a kind that is not offered
	AppTokenUnknownDevice AppTokenStatus = 2 // the base token is not connected here
	AppTokenTooMany       AppTokenStatus = 4 // the device has as many as it may have
	AppTokenTryLater      AppTokenStatus = 5
)

// ParseAppTokenResponse reads the payload of an AppTokenResponse frame. It
// fails with a MalformedError alone, also for a frame without status.
func ParseAppTokenResponse(payload []byte) (AppTokenResponse, error) {
	var m AppTokenResponse
	hasStatus := false
	it := items{rest: payload}
	for it.next() {
		switch it.id {
		case 1:
			if it.takeUint8((*uint8)(&m.Status)) {
				hasStatus = true
			}
		case 2:
			it.takeDeviceToken(&m.DeviceToken)
		case 3:
			it.takeTopicHash(&m.TopicHash)
		case 4:
			it.takeUint16(&m.AppID)
		}
	}
	if err := it.err(CommandAppTokenResponse); err != nil {
		return AppTokenResponse{}, err
	}
	if !hasStatus {
		return AppTokenResponse{}, &MalformedError{Command: CommandAppTokenResponse, Problem: "no status"}
	}
	return m, nil
}

// Append appends m to b as a whole frame.
func (m AppTokenResponse) Append(b []byte) []byte {
	b, start := begin(b, CommandAppTokenResponse)
	b = appendUint8(b, 1, uint8(m.Status))
	b = appendOpaque(b, 2, m.DeviceToken)
	b = appendTopicHash(b, 3, m.TopicHash)
	if m.AppID != 0 {
		b = appendUint16(b, 4, m.AppID)
	}
	return end(b, start)
}
