package trace

import (
	"encoding/binary"
	"hash/crc32"
	"time"

	"github.com/heraldpush/herald/apns"
)

// A record is a line as it is kept:
//
//	 0  u8        hop
//	 1  u8        environment; 0 = none
//	 2  u8        flags
//	 3  u8        number of the reason; 0 = none
//	 4  u16       status
//	 6  u16       0
//	 8  i64       time, nanoseconds since the epoch, UTC
//	16  16 bytes  apns-id
//	32  u64       device; 0 = none
//	40  20 bytes  topic hash
//	60  u32       message id
//	64  u64       connection
//	72  16 bytes  apns-id of the other notification
//	88  u32       until, seconds since the epoch, UTC; 0 = none
//	92  u32       CRC-32C of all before
const (
	recordBytes = 96

	timeAt     = 8
	idAt       = 16
	deviceAt   = 32
	topicAt    = 40
	messageAt  = 60
	linkAt     = 64
	otherAt    = 72
	untilAt    = 88
	checksumAt = 92
)

// flagWasStored is the flag of Line.WasStored.
const flagWasStored = 1 << 0

// castagnoli is the table of CRC-32C, which processors compute themselves.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// encode makes r, which is zero, the record of l. The checksum is left to
// checksum, which is for those who are in no hurry.
func encode(r *[recordBytes]byte, l *Line) {
	at := l.Time
	if at.IsZero() {
		at = time.Now()
	}
	r[0], r[1] = byte(l.Hop), byte(l.Address.Environment)
	if l.WasStored {
		r[2] = flagWasStored
	}
	if l.Reason != "" {
		r[3] = reasonCodes[l.Reason]
	}
	le := binary.LittleEndian
	le.PutUint16(r[4:], l.Status)
	le.PutUint64(r[timeAt:], uint64(at.UnixNano())) //nolint:gosec // read back the same way
	(*id)(r[idAt:]).set(l.ID)
	le.PutUint64(r[deviceAt:], uint64(l.Address.Device))
	*(*apns.TopicHash)(r[topicAt:]) = l.Address.Topic
	le.PutUint32(r[messageAt:], l.Message)
	le.PutUint64(r[linkAt:], l.Connection)
	if l.Other != "" {
		(*id)(r[otherAt:]).set(l.Other)
	}
	if !l.Until.IsZero() {
		le.PutUint32(r[untilAt:], uint32(min(max(l.Until.Unix(), 0), 1<<32-1))) //nolint:gosec // it is within
	}
}

// checksum fills in the checksums of whole records.
func checksum(records []byte) {
	for r := records; len(r) >= recordBytes; r = r[recordBytes:] {
		binary.LittleEndian.PutUint32(r[checksumAt:], crc32.Checksum(r[:checksumAt], castagnoli))
	}
}

// isWhole reports whether r begins with a record that is as it was written.
func isWhole(r []byte) bool {
	return len(r) >= recordBytes && binary.LittleEndian.Uint32(r[checksumAt:]) == crc32.Checksum(r[:checksumAt], castagnoli)
}

// timeOf returns the time of a record.
func timeOf(r []byte) int64 { return int64(binary.LittleEndian.Uint64(r[timeAt:])) } //nolint:gosec // as it was written

// parseRecord reads the record at the beginning of r. It reports false for one
// that is torn or damaged.
func parseRecord(r []byte) (l Line, ok bool) {
	if !isWhole(r) {
		return Line{}, false
	}
	le := binary.LittleEndian
	l = Line{
		Hop: Hop(r[0]), Time: time.Unix(0, timeOf(r)), ID: id(r[idAt:deviceAt]).text(),
		Address: apns.Address{
			Device: apns.DeviceOrdinal(le.Uint64(r[deviceAt:])), Environment: apns.Environment(r[1]), Topic: apns.TopicHash(r[topicAt:messageAt]),
		},
		Status: le.Uint16(r[4:]), Reason: reasonOf(r[3]), Other: id(r[otherAt:untilAt]).text(),
		Connection: le.Uint64(r[linkAt:]), Message: le.Uint32(r[messageAt:]), WasStored: r[2]&flagWasStored != 0,
	}
	if until := le.Uint32(r[untilAt:]); until != 0 {
		l.Until = time.Unix(int64(until), 0)
	}
	return l, true
}
