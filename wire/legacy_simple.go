package wire

import "github.com/heraldpush/herald/apns"

// LegacySimple is a notification in the oldest form, command 0. It has neither
// identifier nor expiry (docs/protocol/legacy.md#simple).
//
//	offset  0  u8     command, 00
//	        1  u16    length of the device token
//	        3  bytes  device token
//	        …  u16    length of the payload
//	        …  bytes  payload
type LegacySimple struct {
	DeviceToken apns.DeviceToken
	// Payload aliases the bytes parsed.
	Payload apns.Payload
}

// ParseLegacySimple takes a notification off b, which begins with its command;
// n is the number of bytes that it occupies. The error is ErrLegacyIncomplete
// or a *LegacyError.
func ParseLegacySimple(b []byte) (m LegacySimple, n int, err error) {
	m.DeviceToken, m.Payload, n, err = cutLegacyBody(b, 1, 0)
	return m, n, err
}

// Append appends m to b.
func (m LegacySimple) Append(b []byte) []byte {
	return appendLegacyBody(append(b, byte(LegacyCommandSimple)), m.DeviceToken, m.Payload)
}
