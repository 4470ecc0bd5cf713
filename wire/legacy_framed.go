package wire

import (
	"encoding/binary"

	"github.com/heraldpush/herald/apns"
)

// LegacyFramed is a notification as a frame of items, command 2
// (docs/protocol/legacy.md#framed).
//
//	offset  0  u8     command, 02
//	        1  u32    length of the items, bytes
//	        5  items  in any order, each: id u8, length u16, value
//
//	 1  bytes  device token
//	 2  bytes  payload
//	 3  u32    identifier
//	 4  u32    expiry, seconds since the epoch; 0 = do not store
//	 5  u8     priority, 10 or 5
//
// An identifier of 0 is the same as none: so an error calls a notification
// that has none.
type LegacyFramed LegacyNotification

// The items of a LegacyFramed.
const (
	legacyItemToken      = 1
	legacyItemPayload    = 2
	legacyItemIdentifier = 3
	legacyItemExpiry     = 4
	legacyItemPriority   = 5
)

const legacyFrameHeaderBytes = 5

// maxLegacyFrameBytes bounds the items of a frame. The longest item and all
// others fit in it: a payload that is too long is best refused by name, and its
// identifier mostly comes after it.
const maxLegacyFrameBytes = 68 << 10

// ParseLegacyFramed takes a notification off b, which begins with its command;
// n is the number of bytes that it occupies. The error is ErrLegacyIncomplete
// or a *LegacyError.
func ParseLegacyFramed(b []byte) (m LegacyFramed, n int, err error) {
	if len(b) < legacyFrameHeaderBytes {
		return m, 0, ErrLegacyIncomplete
	}
	length := binary.BigEndian.Uint32(b[1:])
	if length > maxLegacyFrameBytes {
		return LegacyFramed{}, 0, &LegacyError{Status: LegacyUnparsable}
	}
	n = legacyFrameHeaderBytes + int(length)
	if len(b) < n {
		return LegacyFramed{}, 0, ErrLegacyIncomplete
	}
	if status := m.parse(b[legacyFrameHeaderBytes:n]); status != LegacyNoError {
		return LegacyFramed{}, 0, &LegacyError{Status: status, Identifier: m.Identifier}
	}
	return m, n, nil
}

// parse reads the items. After an error the identifier is still the one that
// was read.
func (m *LegacyFramed) parse(rest []byte) LegacyStatus {
	var token, payload []byte
	var seen [legacyItemPriority + 1]bool
	for len(rest) > 0 {
		if len(rest) < itemHeaderBytes {
			return LegacyUnparsable
		}
		id, end := rest[0], itemHeaderBytes+int(binary.BigEndian.Uint16(rest[1:]))
		if len(rest) < end {
			return LegacyUnparsable
		}
		value := rest[itemHeaderBytes:end:end]
		rest = rest[end:]
		if id < legacyItemToken || id > legacyItemPriority {
			continue // of a later time
		}
		if seen[id] {
			return LegacyUnparsable
		}
		seen[id] = true
		ok := true
		switch id {
		case legacyItemToken:
			token = value
		case legacyItemPayload:
			payload = value
		case legacyItemIdentifier:
			ok = takeLegacyUint32(value, &m.Identifier)
		case legacyItemExpiry:
			m.HasExpiry = true
			ok = takeLegacyUint32(value, &m.Expiry)
		case legacyItemPriority:
			ok = takeLegacyPriority(value, &m.Priority)
		}
		if !ok {
			return LegacyUnparsable
		}
	}
	if status := checkLegacyToken(len(token)); status != LegacyNoError {
		return status
	}
	if status := checkLegacyPayload(len(payload)); status != LegacyNoError {
		return status
	}
	m.DeviceToken, m.Payload = apns.DeviceToken(token), payload
	return LegacyNoError
}

func takeLegacyUint32(value []byte, p *uint32) bool {
	if len(value) != 4 {
		return false
	}
	*p = binary.BigEndian.Uint32(value)
	return true
}

// takeLegacyPriority reads a priority. The third of apns.Priority came after
// this interface.
func takeLegacyPriority(value []byte, p *apns.Priority) bool {
	if len(value) != 1 {
		return false
	}
	*p = apns.Priority(value[0])
	return *p == apns.PriorityImmediate || *p == apns.PriorityConserve
}

// Append appends m to b.
func (m LegacyFramed) Append(b []byte) []byte {
	start := len(b)
	b = append(b, byte(LegacyCommandFramed), 0, 0, 0, 0)
	b = appendLegacy(append(b, legacyItemToken), m.DeviceToken)
	b = appendLegacy(append(b, legacyItemPayload), m.Payload)
	if m.Identifier != 0 {
		b = appendUint32(b, legacyItemIdentifier, m.Identifier)
	}
	if m.HasExpiry {
		b = appendUint32(b, legacyItemExpiry, m.Expiry)
	}
	if m.Priority != 0 {
		b = appendUint8(b, legacyItemPriority, uint8(m.Priority))
	}
	binary.BigEndian.PutUint32(b[start+1:], uint32(len(b)-start-legacyFrameHeaderBytes))
	return b
}
