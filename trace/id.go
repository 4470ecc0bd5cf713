package trace

import (
	"encoding/binary"
	"encoding/hex"
	"unsafe"

	"github.com/heraldpush/herald/apns"
)

// id is an apns-id as it is kept: 16 bytes, so that the letter case of the text
// does not matter. It is zero for what has none.
type id [16]byte

// idText is the length of an apns-id.
const idText = 36

// idOf returns the id of an apns-id; zero for any other text.
func idOf(s apns.NotificationID) (d id) {
	if s.Valid() {
		d.set(s)
	}
	return d
}

// set makes d, which is zero, that of a valid apns-id. A text of another length
// leaves it zero; for all else d is anything. Each line asks for it, so it reads
// eight digits at a time.
func (d *id) set(s apns.NotificationID) {
	if len(s) != idText {
		return
	}
	b := unsafe.Slice(unsafe.StringData(string(s)), idText)
	le := binary.LittleEndian
	le.PutUint32(d[0:], unhex(le.Uint64(b[0:])))
	le.PutUint32(d[4:], unhex(uint64(le.Uint32(b[9:]))|uint64(le.Uint32(b[14:]))<<32))
	le.PutUint32(d[8:], unhex(uint64(le.Uint32(b[19:]))|uint64(le.Uint32(b[24:]))<<32))
	le.PutUint32(d[12:], unhex(le.Uint64(b[28:])))
}

// unhex returns the four bytes of eight hex digits, the first of which is the
// lowest byte of x.
func unhex(x uint64) uint32 {
	const each = 0x0101010101010101
	x = x&(0x0f*each) + 9*(x>>6&each)      // the value of each digit
	x = (x<<4 | x>>8) & 0x00ff00ff00ff00ff // each two of them
	x = (x | x>>8) & 0x0000ffff0000ffff    // and now side by side
	return uint32(x | x>>16)               //nolint:gosec // the rest is of no use
}

// FormatID returns the apns-id that 16 bytes stand for, in lower case; for zero it
// is empty.
func FormatID(b [16]byte) apns.NotificationID { return id(b).text() }

// ParseID returns the 16 bytes of an apns-id; zero for any other text.
func ParseID(s apns.NotificationID) [16]byte { return idOf(s) }

// text returns d in lower case; the zero id is empty.
func (d id) text() apns.NotificationID {
	if d == (id{}) {
		return ""
	}
	b := make([]byte, 0, idText)
	for i, part := range [...][]byte{d[:4], d[4:6], d[6:8], d[8:10], d[10:]} {
		if i > 0 {
			b = append(b, '-')
		}
		b = hex.AppendEncode(b, part)
	}
	return apns.NotificationID(b)
}
