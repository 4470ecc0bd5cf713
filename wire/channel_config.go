package wire

import (
	"encoding/json"
	"strings"

	"github.com/heraldpush/herald/apns"
)

// ChannelConfig is the configuration of a channel, the body with which a
// provider creates one, and the answer to its reading
// (docs/protocol/broadcast.md#configuration):
//
//	{"message-storage-policy":1,"push-type":"LiveActivity"}
//
// The push type is always that of Live Activities.
type ChannelConfig struct {
	StoragePolicy apns.StoragePolicy
}

// The attributes of a configuration.
const (
	storagePolicyAttribute = "message-storage-policy"
	pushTypeAttribute      = "push-type"
)

// livePushType is the push type of Live Activities as a configuration spells
// it. Apple's texts have several spellings, so it is compared without letter
// case.
const livePushType = "LiveActivity"

// ParseChannelConfig reads the body of a request to create a channel. The
// rejection is PayloadTooLarge, BadRequestPayload, BadRequestParams,
// MissingPushType or InvalidPushType, looked for in this order, or nil.
func ParseChannelConfig(body []byte) (c ChannelConfig, r *apns.Rejection) {
	if len(body) > apns.MaxBroadcastBytes {
		return c, apns.Reject(apns.PayloadTooLarge, "")
	}
	var doc map[string]json.RawMessage
	if !apns.Payload(body).IsObject() || json.Unmarshal(body, &doc) != nil {
		return c, apns.Reject(apns.BadRequestPayload, "the configuration is not a JSON object")
	}
	for name := range doc {
		if name != storagePolicyAttribute && name != pushTypeAttribute {
			return c, apns.Reject(apns.BadRequestParams, "the configuration has an unknown attribute")
		}
	}
	switch string(doc[storagePolicyAttribute]) {
	case "0":
		c.StoragePolicy = apns.NoMessageStored
	case "1":
		c.StoragePolicy = apns.MostRecentMessageStored
	default:
		return c, apns.Reject(apns.BadRequestParams, storagePolicyAttribute+" is not 0 or 1")
	}
	raw, ok := doc[pushTypeAttribute]
	if !ok {
		return c, apns.Reject(apns.MissingPushType, "the configuration has no "+pushTypeAttribute)
	}
	var pushType string
	if json.Unmarshal(raw, &pushType) != nil || !strings.EqualFold(pushType, livePushType) {
		return c, apns.Reject(apns.InvalidPushType, "the configuration is for another push type than Live Activities")
	}
	return c, nil
}

// Append appends the configuration. It allocates only to grow b.
func (c ChannelConfig) Append(b []byte) []byte {
	b = append(b, `{"`+storagePolicyAttribute+`":`...)
	b = append(b, '0'+byte(c.StoragePolicy))
	return append(b, `,"`+pushTypeAttribute+`":"`+livePushType+`"}`...)
}
