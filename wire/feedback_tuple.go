package wire

import (
	"encoding/binary"
	"errors"
	"math"
	"time"

	"github.com/heraldpush/herald/apns"
)

// FeedbackTuple says that an app is gone from a device. The feedback service
// writes one after the other, and closes (docs/protocol/legacy.md#feedback).
//
//	offset  0  u32    when the app was found gone, seconds since the epoch
//	        4  u16    length of the device token
//	        6  bytes  device token
type FeedbackTuple struct {
	// Time is to the second, UTC, within what a u32 can tell.
	Time        time.Time
	DeviceToken apns.DeviceToken
}

const feedbackHeaderBytes = 6

// MaxFeedbackTupleBytes bounds a tuple.
const MaxFeedbackTupleBytes = feedbackHeaderBytes + apns.MaxDeviceTokenBytes

// ErrFeedbackMalformed says that the bytes are no feedback tuple.
var ErrFeedbackMalformed = errors.New("feedback tuple: the device token has no length that is possible")

// ParseFeedbackTuple takes a tuple off b; n is the number of bytes that it
// occupies. The error is ErrLegacyIncomplete or ErrFeedbackMalformed.
func ParseFeedbackTuple(b []byte) (m FeedbackTuple, n int, err error) {
	if len(b) < feedbackHeaderBytes {
		return FeedbackTuple{}, 0, ErrLegacyIncomplete
	}
	length := int(binary.BigEndian.Uint16(b[4:]))
	if length == 0 || length > apns.MaxDeviceTokenBytes {
		return FeedbackTuple{}, 0, ErrFeedbackMalformed
	}
	if n = feedbackHeaderBytes + length; len(b) < n {
		return FeedbackTuple{}, 0, ErrLegacyIncomplete
	}
	seconds := binary.BigEndian.Uint32(b)
	return FeedbackTuple{time.Unix(int64(seconds), 0).UTC(), apns.DeviceToken(b[feedbackHeaderBytes:n])}, n, nil
}

// Append appends m to b. A time that a u32 cannot tell becomes the nearest that
// it can.
func (m FeedbackTuple) Append(b []byte) []byte {
	seconds := min(max(m.Time.Unix(), 0), math.MaxUint32)
	return appendLegacy(binary.BigEndian.AppendUint32(b, uint32(seconds)), m.DeviceToken)
}
