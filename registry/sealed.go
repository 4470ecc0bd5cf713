package registry

import (
	"encoding/binary"

	"github.com/heraldpush/herald/apns"
)

// tokenKeyBytes is the size of a token key: AES-256-SIV takes two keys of 32.
const tokenKeyBytes = 64

// kind tells what a sealed token names.
type kind byte

const (
	kindBase kind = 1 // a device
	kindApp  kind = 2 // a topic on a device
)

// maxGeneration is what fits into three bytes.
const maxGeneration = 1<<24 - 1

// sealed is what a token says to those who hold the key:
//
//	offset 0   kind and environment, a nibble each
//	       1   generation, 3 bytes
//	       4   topic ordinal, 4 bytes; 0 in a base token
//	       8   device ordinal, 8 bytes, the upper 2 of which are for its shard
type sealed struct {
	kind       kind
	env        apns.Environment
	generation uint32
	topic      uint32
	device     apns.DeviceOrdinal
}

// sealToken returns the token that says t.
func (s *siv) sealToken(t sealed) string {
	var plain [plainBytes]byte
	plain[0] = byte(t.kind)<<4 | byte(t.env)
	plain[1], plain[2], plain[3] = byte(t.generation>>16), byte(t.generation>>8), byte(t.generation)
	binary.BigEndian.PutUint32(plain[4:], t.topic)
	binary.BigEndian.PutUint64(plain[8:], uint64(t.device))
	token := s.seal(plain)
	return string(token[:])
}

// openToken reads a token, and reports whether it was sealed by s.
func (s *siv) openToken(token string) (sealed, bool) {
	plain, ok := s.open(token)
	if !ok {
		return sealed{}, false
	}
	return sealed{
		kind:       kind(plain[0] >> 4),
		env:        apns.Environment(plain[0] & 0x0f),
		generation: uint32(plain[1])<<16 | uint32(plain[2])<<8 | uint32(plain[3]),
		topic:      binary.BigEndian.Uint32(plain[4:]),
		device:     apns.DeviceOrdinal(binary.BigEndian.Uint64(plain[8:])),
	}, true
}
