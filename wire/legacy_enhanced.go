package wire

import (
	"encoding/binary"

	"github.com/heraldpush/herald/apns"
)

// LegacyEnhanced is a notification that errors can name, command 1
// (docs/protocol/legacy.md#enhanced).
//
//	offset  0  u8     command, 01
//	        1  u32    identifier, whatever the provider likes
//	        5  u32    expiry, seconds since the epoch; 0 = do not store
//	        9  u16    length of the device token
//	       11  bytes  device token
//	        …  u16    length of the payload
//	        …  bytes  payload
type LegacyEnhanced struct {
	Identifier  uint32
	Expiry      uint32
	DeviceToken apns.DeviceToken
	// Payload aliases the bytes parsed.
	Payload apns.Payload
}

// ParseLegacyEnhanced takes a notification off b, which begins with its
// command; n is the number of bytes that it occupies. The error is
// ErrLegacyIncomplete or a *LegacyError.
func ParseLegacyEnhanced(b []byte) (m LegacyEnhanced, n int, err error) {
	const headerBytes = 9
	if len(b) < headerBytes {
		return m, 0, ErrLegacyIncomplete
	}
	identifier := binary.BigEndian.Uint32(b[1:])
	t, p, n, err := cutLegacyBody(b, headerBytes, identifier)
	if err != nil {
		return m, 0, err
	}
	return LegacyEnhanced{Identifier: identifier, Expiry: binary.BigEndian.Uint32(b[5:]), DeviceToken: t, Payload: p}, n, nil
}

// Append appends m to b.
func (m LegacyEnhanced) Append(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(append(b, byte(LegacyCommandEnhanced)), m.Identifier)
	return appendLegacyBody(binary.BigEndian.AppendUint32(b, m.Expiry), m.DeviceToken, m.Payload)
}
