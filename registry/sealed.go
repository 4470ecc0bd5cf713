package registry

import (
	"encoding/binary"
	"fmt"

	"github.com/tink-crypto/tink-go/v2/daead/subtle"

	"github.com/heraldpush/herald/apns"
)

// tokenKeyBytes is the size of a token key: AES-256-SIV takes two keys of 32.
const tokenKeyBytes = subtle.AESSIVKeySize

// kind tells what a sealed token names.
type kind byte

const (
	kindBase kind = 1 // a device
	kindApp  kind = 2 // a topic on a device
)

// maxGeneration is what fits into three bytes.
const maxGeneration = 1<<24 - 1

// plainBytes is what is under the seal; with the 16 bytes of the synthetic IV
// it makes a token of 32.
const plainBytes = 16

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

// sealer makes and reads the tokens of one environment.
type sealer struct{ siv *subtle.AESSIV }

func newSealer(key []byte) (*sealer, error) {
	if len(key) != tokenKeyBytes {
		return nil, fmt.Errorf("%d bytes, want %d", len(key), tokenKeyBytes)
	}
	siv, err := subtle.NewAESSIV(key)
	if err != nil {
		return nil, err
	}
	return &sealer{siv}, nil
}

func (s *sealer) seal(t sealed) string {
	plain := make([]byte, 0, plainBytes)
	plain = append(plain, byte(t.kind)<<4|byte(t.env), byte(t.generation>>16), byte(t.generation>>8), byte(t.generation))
	plain = binary.BigEndian.AppendUint32(plain, t.topic)
	plain = binary.BigEndian.AppendUint64(plain, uint64(t.device))
	token, err := s.siv.EncryptDeterministically(plain, nil)
	if err != nil {
		// It fails only for plain texts of about 2 GB.
		panic("registry: sealing 16 bytes: " + err.Error())
	}
	return string(token)
}

// open reads a token, and reports whether it was sealed by s.
func (s *sealer) open(token string) (sealed, bool) {
	if len(token) != apns.CourierTokenBytes {
		return sealed{}, false
	}
	plain, err := s.siv.DecryptDeterministically([]byte(token), nil)
	if err != nil || len(plain) != plainBytes {
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
