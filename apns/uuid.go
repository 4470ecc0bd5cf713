package apns

import (
	"crypto/rand"
	"encoding/hex"
)

// uuidBytes is how many bytes a UUID has, and uuidChars its text.
const (
	uuidBytes = 16
	uuidChars = 36
)

// NewUUID returns a random UUID (RFC 9562 section 5.4) in lower case: for a
// NotificationID that the sender left to the service, or a DeviceID.
func NewUUID() string {
	var b [uuidBytes]byte
	var room [uuidChars]byte
	rand.Read(b[:]) // it never fails
	return string(appendUUID(room[:0], &b))
}

// UUIDs makes random UUIDs for those who need very many: it takes the randomness
// for some of them at once. The zero value is ready. It is not safe for
// concurrent use.
type UUIDs struct {
	random [16 * uuidBytes]byte
	left   int // of random, at its end
}

// Append appends to b what NewUUID would return. It allocates only to grow b.
func (u *UUIDs) Append(b []byte) []byte {
	if u.left == 0 {
		rand.Read(u.random[:]) // it never fails
		u.left = len(u.random)
	}
	next := (*[uuidBytes]byte)(u.random[len(u.random)-u.left:])
	u.left -= uuidBytes
	return appendUUID(b, next)
}

// appendUUID appends the UUID that is made of the random bytes.
func appendUUID(to []byte, b *[uuidBytes]byte) []byte {
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	for i, part := range [...][]byte{b[:4], b[4:6], b[6:8], b[8:10], b[10:]} {
		if i > 0 {
			to = append(to, '-')
		}
		to = hex.AppendEncode(to, part)
	}
	return to
}
