package registry

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"fmt"
	"sync"
)

// siv is AES-SIV (RFC 5297) for what a token holds: one block, with empty
// associated data. Then all that differs from token to token comes down to two
// encryptions of a block, one for the synthetic IV and one for the key stream,
// and nothing is allocated to open one. It is safe for concurrent use.
type siv struct {
	authentication, encryption cipher.Block
	// mask is combined with a plain text to give the block whose encryption is
	// the synthetic IV: what S2V makes of the associated data (RFC 5297 section
	// 2.4), and the subkey of CMAC for a whole block (RFC 4493 section 2.4).
	mask [aes.BlockSize]byte
}

// The sizes of what is under the seal, and of it with its synthetic IV.
const (
	plainBytes = aes.BlockSize
	sivBytes   = aes.BlockSize + plainBytes
)

// scratch is room for blocks on their way through a cipher.Block, whose
// arguments would otherwise be allocated for each call.
type scratch struct{ iv, stream, plain [aes.BlockSize]byte }

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// newSIV returns the cipher of a key of tokenKeyBytes: one half authenticates,
// the other encrypts.
func newSIV(key []byte) (*siv, error) {
	if len(key) != tokenKeyBytes {
		return nil, fmt.Errorf("%d bytes, want %d", len(key), tokenKeyBytes)
	}
	authentication, err := aes.NewCipher(key[:tokenKeyBytes/2])
	if err != nil {
		return nil, err
	}
	encryption, err := aes.NewCipher(key[tokenKeyBytes/2:])
	if err != nil {
		return nil, err
	}
	s := &siv{authentication: authentication, encryption: encryption}

	// The subkeys of CMAC: for a last block that is whole, and for one that is
	// not.
	var whole, part [aes.BlockSize]byte
	authentication.Encrypt(whole[:], whole[:])
	double(&whole)
	part = whole
	double(&part)

	// S2V of empty associated data: twice the CMAC of a block of zeros, and the
	// CMAC of the empty string.
	zeros, empty := whole, part
	authentication.Encrypt(zeros[:], zeros[:])
	double(&zeros)
	empty[0] ^= 0x80 // the padding
	authentication.Encrypt(empty[:], empty[:])
	for _, b := range [][]byte{zeros[:], empty[:], whole[:]} {
		subtle.XORBytes(s.mask[:], s.mask[:], b)
	}
	return s, nil
}

// double multiplies b by x in the field of RFC 5297 section 2.3, whose
// polynomial is x¹²⁸ + x⁷ + x² + x + 1.
func double(b *[aes.BlockSize]byte) {
	high := b[0] >> 7
	for i := range aes.BlockSize - 1 {
		b[i] = b[i]<<1 | b[i+1]>>7
	}
	b[aes.BlockSize-1] = b[aes.BlockSize-1]<<1 ^ high*0x87
}

// seal returns the synthetic IV of a plain text, and the plain text encrypted.
func (s *siv) seal(plain [plainBytes]byte) (sealed [sivBytes]byte) {
	x, _ := scratches.Get().(*scratch)
	defer scratches.Put(x)
	x.plain = plain
	s.synthesize(x)
	copy(sealed[:], x.iv[:])
	s.crypt(x)
	copy(sealed[aes.BlockSize:], x.plain[:])
	return sealed
}

// open returns the plain text of what seal returned, and false for anything
// else.
func (s *siv) open(sealed string) (plain [plainBytes]byte, ok bool) {
	if len(sealed) != sivBytes {
		return plain, false
	}
	x, _ := scratches.Get().(*scratch)
	defer scratches.Put(x)
	copy(x.iv[:], sealed)
	copy(x.plain[:], sealed[aes.BlockSize:])
	said := x.iv
	s.crypt(x)
	s.synthesize(x)
	if subtle.ConstantTimeCompare(said[:], x.iv[:]) != 1 {
		return plain, false
	}
	return x.plain, true
}

// synthesize sets x.iv to the synthetic IV of x.plain.
func (s *siv) synthesize(x *scratch) {
	subtle.XORBytes(x.iv[:], x.plain[:], s.mask[:])
	s.authentication.Encrypt(x.iv[:], x.iv[:])
}

// crypt encrypts x.plain, or decrypts it, in counter mode from x.iv. The counter
// begins with two bits of it cleared (RFC 5297 section 2.5), and one block
// takes no more than that.
func (s *siv) crypt(x *scratch) {
	x.stream = x.iv
	x.stream[8] &= 0x7f
	x.stream[12] &= 0x7f
	s.encryption.Encrypt(x.stream[:], x.stream[:])
	subtle.XORBytes(x.plain[:], x.plain[:], x.stream[:])
}
