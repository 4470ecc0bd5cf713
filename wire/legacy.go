package wire

import (
	"encoding/binary"
	"errors"

	"github.com/heraldpush/herald/apns"
)

// The legacy interface is a stream of notifications from the provider, each in
// one of three forms that its first byte names. The service says nothing but
// the one LegacyError that ends a connection
// (docs/protocol/legacy.md#notifications).

// LegacyCommand is the first byte of a message of the legacy interface.
type LegacyCommand uint8

// The commands.
const (
	LegacyCommandSimple   LegacyCommand = 0 // provider to service
	LegacyCommandEnhanced LegacyCommand = 1 // provider to service
	LegacyCommandFramed   LegacyCommand = 2 // provider to service
	LegacyCommandError    LegacyCommand = 8 // service to provider
)

// Known reports whether a notification of a provider can begin with c. No
// other protocol that a provider may speak after TLS begins like that.
func (c LegacyCommand) Known() bool { return c <= LegacyCommandFramed }

// Limits of the legacy interface, in bytes.
const (
	// MaxLegacyPayloadBytes bounds a payload (docs/protocol/legacy.md#limits).
	MaxLegacyPayloadBytes = 2048
	// MaxLegacyBytes bounds a notification in any form, and with it what a
	// reader keeps while NextLegacy has ErrLegacyIncomplete.
	MaxLegacyBytes = legacyFrameHeaderBytes + maxLegacyFrameBytes
)

// ErrLegacyIncomplete says that the bytes hold only a part of a message: read
// more.
var ErrLegacyIncomplete = errors.New("legacy interface: incomplete message")

// LegacyNotification is a notification in any of the three forms.
type LegacyNotification struct {
	DeviceToken apns.DeviceToken
	// Payload aliases the bytes parsed.
	Payload apns.Payload
	// Identifier is the provider's name for it, which an error repeats; 0 in
	// the simple form, which has none.
	Identifier uint32
	// Expiry is when it may be discarded, in seconds since the epoch, as good
	// as absent without HasExpiry (docs/protocol/legacy.md#expiry).
	Expiry    uint32
	HasExpiry bool
	// Priority is zero where the form, or the provider, gives none.
	Priority apns.Priority
}

// NextLegacy takes the first notification off b; n is the number of bytes that
// it occupies.
//
// It returns ErrLegacyIncomplete while b holds only a part of it, and a
// *LegacyError for what has to be refused, after which nothing on the
// connection can be read any more. What is too long is refused as soon as its
// length is known, so that no one needs to make room for it.
func NextLegacy(b []byte) (m LegacyNotification, n int, err error) {
	if len(b) == 0 {
		return m, 0, ErrLegacyIncomplete
	}
	switch LegacyCommand(b[0]) {
	case LegacyCommandSimple:
		var s LegacySimple
		if s, n, err = ParseLegacySimple(b); err == nil {
			m = LegacyNotification{DeviceToken: s.DeviceToken, Payload: s.Payload}
		}
	case LegacyCommandEnhanced:
		var e LegacyEnhanced
		if e, n, err = ParseLegacyEnhanced(b); err == nil {
			m = LegacyNotification{
				DeviceToken: e.DeviceToken, Payload: e.Payload, Identifier: e.Identifier, Expiry: e.Expiry, HasExpiry: true,
			}
		}
	case LegacyCommandFramed:
		var f LegacyFramed
		if f, n, err = ParseLegacyFramed(b); err == nil {
			m = LegacyNotification(f)
		}
	default:
		err = &LegacyError{Status: LegacyUnparsable}
	}
	return m, n, err
}

// cutLegacy takes a value off b, which begins at a place with a u16 that says
// its length. The error is ErrLegacyIncomplete, or that a check of the length
// gives for the notification with this identifier.
func cutLegacy(b []byte, at int, identifier uint32, check func(length int) LegacyStatus) (value []byte, next int, err error) {
	if len(b) < at+2 {
		return nil, 0, ErrLegacyIncomplete
	}
	length := int(binary.BigEndian.Uint16(b[at:]))
	if status := check(length); status != LegacyNoError {
		return nil, 0, &LegacyError{Status: status, Identifier: identifier}
	}
	if next = at + 2 + length; len(b) < next {
		return nil, 0, ErrLegacyIncomplete
	}
	return b[at+2 : next : next], next, nil
}

// cutLegacyBody takes the end of the simple and the enhanced form off b: device
// token and payload.
func cutLegacyBody(b []byte, at int, identifier uint32) (t apns.DeviceToken, p apns.Payload, next int, err error) {
	token, at, err := cutLegacy(b, at, identifier, checkLegacyToken)
	if err != nil {
		return "", nil, 0, err
	}
	payload, next, err := cutLegacy(b, at, identifier, checkLegacyPayload)
	if err != nil {
		return "", nil, 0, err
	}
	return apns.DeviceToken(token), payload, next, nil
}

// appendLegacyBody appends it. What is too long for its length is cut.
func appendLegacyBody(b []byte, t apns.DeviceToken, p apns.Payload) []byte {
	return appendLegacy(appendLegacy(b, t), p)
}

// appendLegacy appends a value after its length.
func appendLegacy[T ~string | ~[]byte](b []byte, value T) []byte {
	n := min(len(value), MaxItemBytes)
	return append(binary.BigEndian.AppendUint16(b, uint16(n)), value[:n]...)
}

// checkLegacyToken says what is wrong with the length of a device token.
func checkLegacyToken(length int) LegacyStatus {
	switch {
	case length == 0:
		return LegacyMissingDeviceToken
	case length > apns.MaxDeviceTokenBytes:
		return LegacyInvalidTokenSize
	}
	return LegacyNoError
}

// checkLegacyPayload says what is wrong with the length of a payload.
func checkLegacyPayload(length int) LegacyStatus {
	switch {
	case length == 0:
		return LegacyMissingPayload
	case length > MaxLegacyPayloadBytes:
		return LegacyInvalidPayloadSize
	}
	return LegacyNoError
}
