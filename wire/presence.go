package wire

import (
	"time"

	"github.com/heraldpush/herald/apns"
)

// Presence asks to share the presence of a user, command 32. A courier ignores
// it (docs/protocol/courier.md#presence).
//
//	D→S
//	 1  u32       id
//	 2  32 bytes  token
//	 3  u64       salt, absent if 0
//	 4  u32       flag
//	 5  u64       timestamp, milliseconds
type Presence struct {
	ID    uint32
	Token apns.DeviceToken
	Salt  uint64
	Flag  uint32
	Time  time.Time
}

// ParsePresence reads the payload of a Presence frame. It fails with a
// MalformedError alone.
func ParsePresence(payload []byte) (Presence, error) {
	var m Presence
	it := items{rest: payload}
	for it.next() {
		switch it.id {
		case 1:
			it.takeUint32(&m.ID)
		case 2:
			it.takeDeviceToken(&m.Token)
		case 3:
			it.takeUint64(&m.Salt)
		case 4:
			it.takeUint32(&m.Flag)
		case 5:
			it.takeMillis(&m.Time)
		}
	}
	if err := it.err(CommandPresence); err != nil {
		return Presence{}, err
	}
	return m, nil
}

// Append appends m to b as a whole frame.
func (m Presence) Append(b []byte) []byte {
	b, start := begin(b, CommandPresence)
	if m.ID != 0 {
		b = appendUint32(b, 1, m.ID)
	}
	b = appendOpaque(b, 2, m.Token)
	if m.Salt != 0 {
		b = appendUint64(b, 3, m.Salt)
	}
	if m.Flag != 0 {
		b = appendUint32(b, 4, m.Flag)
	}
	b = appendMillis(b, 5, m.Time)
	return end(b, start)
}

// PresenceResponse answers a Presence, the other direction of command 32.
//
//	S→D
//	 1  u32       id of the request
//	 2  32 bytes  token of the request
//	 3  u8        status, 0 for ok
type PresenceResponse struct {
	ID     uint32
	Token  apns.DeviceToken
	Status uint8
}

// ParsePresenceResponse reads the payload of a PresenceResponse frame. It fails
// with a MalformedError alone, also for a frame without status.
func ParsePresenceResponse(payload []byte) (PresenceResponse, error) {
	var m PresenceResponse
	hasStatus := false
	it := items{rest: payload}
	for it.next() {
		switch it.id {
		case 1:
			it.takeUint32(&m.ID)
		case 2:
			it.takeDeviceToken(&m.Token)
		case 3:
			if it.takeUint8(&m.Status) {
				hasStatus = true
			}
		}
	}
	if err := it.err(CommandPresence); err != nil {
		return PresenceResponse{}, err
	}
	if !hasStatus {
		return PresenceResponse{}, &MalformedError{Command: CommandPresence, Problem: "no status"}
	}
	return m, nil
}

// Append appends m to b as a whole frame.
func (m PresenceResponse) Append(b []byte) []byte {
	b, start := begin(b, CommandPresence)
	if m.ID != 0 {
		b = appendUint32(b, 1, m.ID)
	}
	b = appendOpaque(b, 2, m.Token)
	b = appendUint8(b, 3, m.Status)
	return end(b, start)
}
