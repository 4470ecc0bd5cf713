package wire

import (
	"encoding/binary"
	"fmt"
	"strconv"
)

// LegacyError is all that the service ever says on the legacy interface, once,
// and then it closes (docs/protocol/legacy.md#error).
//
//	offset  0  u8   command, 08
//	        1  u8   status
//	        2  u32  identifier of the notification that it is about
//
// It is also the error with which the parsers refuse a notification.
type LegacyError struct {
	Status LegacyStatus
	// Identifier names the notification that was refused, 0 for one that has
	// no name; for LegacyShutdown, the last one that was accepted.
	Identifier uint32
}

// LegacyErrorBytes is the size of a LegacyError.
const LegacyErrorBytes = 6

// LegacyStatus says what a LegacyError is about.
type LegacyStatus uint8

// The statuses (docs/protocol/legacy.md#error).
const (
	LegacyNoError            LegacyStatus = 0
	LegacyProcessingError    LegacyStatus = 1
	LegacyMissingDeviceToken LegacyStatus = 2
	LegacyMissingTopic       LegacyStatus = 3
	LegacyMissingPayload     LegacyStatus = 4
	LegacyInvalidTokenSize   LegacyStatus = 5
	LegacyInvalidTopicSize   LegacyStatus = 6
	LegacyInvalidPayloadSize LegacyStatus = 7
	LegacyInvalidToken       LegacyStatus = 8
	// LegacyShutdown is no fault of the provider's: what it sent after the
	// notification that is named was not looked at.
	LegacyShutdown   LegacyStatus = 10
	LegacyUnparsable LegacyStatus = 128
	LegacyUnknown    LegacyStatus = 255
)

// legacySentences say what the statuses mean.
var legacySentences = map[LegacyStatus]string{
	LegacyNoError:            "no error",
	LegacyProcessingError:    "processing error",
	LegacyMissingDeviceToken: "missing device token",
	LegacyMissingTopic:       "missing topic",
	LegacyMissingPayload:     "missing payload",
	LegacyInvalidTokenSize:   "invalid token size",
	LegacyInvalidTopicSize:   "invalid topic size",
	LegacyInvalidPayloadSize: "invalid payload size",
	LegacyInvalidToken:       "invalid token",
	LegacyShutdown:           "shutdown",
	LegacyUnparsable:         "protocol error",
	LegacyUnknown:            "unknown",
}

// String says what s means, with its number where it means nothing known.
func (s LegacyStatus) String() string {
	if sentence, ok := legacySentences[s]; ok {
		return sentence
	}
	return "status " + strconv.Itoa(int(s))
}

// ParseLegacyError takes a LegacyError off b; n is the number of bytes that it
// occupies. The error is ErrLegacyIncomplete, or says that this is none.
func ParseLegacyError(b []byte) (m LegacyError, n int, err error) {
	if len(b) > 0 && LegacyCommand(b[0]) != LegacyCommandError {
		return LegacyError{}, 0, fmt.Errorf("legacy interface: an error has command %d, this has %d", LegacyCommandError, b[0])
	}
	if len(b) < LegacyErrorBytes {
		return LegacyError{}, 0, ErrLegacyIncomplete
	}
	return LegacyError{Status: LegacyStatus(b[1]), Identifier: binary.BigEndian.Uint32(b[2:])}, LegacyErrorBytes, nil
}

// Append appends m to b.
func (m LegacyError) Append(b []byte) []byte {
	return binary.BigEndian.AppendUint32(append(b, byte(LegacyCommandError), byte(m.Status)), m.Identifier)
}

// Error names status and notification.
func (m *LegacyError) Error() string {
	return fmt.Sprintf("legacy interface: notification %d: %v (%d)", m.Identifier, m.Status, uint8(m.Status))
}
