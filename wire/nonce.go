package wire

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" // the protocol signs with SHA-1
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// NonceBytes is the size of a Nonce.
const NonceBytes = 17

// Nonce is what a device signs in Connect to prove that it has the key of its
// certificate (docs/protocol/courier.md#nonce). The zero value stands for none.
//
//	0  1 byte   0
//	1  u64      device's time, milliseconds since the epoch
//	9  8 bytes  random
type Nonce [NonceBytes]byte

// NewNonce returns the nonce for a time and eight random bytes.
func NewNonce(t time.Time, random [8]byte) Nonce {
	var n Nonce
	binary.BigEndian.PutUint64(n[1:], uint64(t.UnixMilli()))
	copy(n[9:], random[:])
	return n
}

// ParseNonce reads a nonce; ok tells whether b has the size of one.
func ParseNonce(b []byte) (n Nonce, ok bool) {
	if len(b) != NonceBytes {
		return Nonce{}, false
	}
	return Nonce(b), true
}

// Time returns the time in n, to the millisecond. It may be any time at all.
func (n Nonce) Time() time.Time {
	return time.UnixMilli(int64(binary.BigEndian.Uint64(n[1:]))).UTC()
}

// The first two bytes of a signature say how it was made.
const (
	signedRSASHA1     = "\x01\x01" // PKCS #1 v1.5, RFC 8017 section 8.2
	signedECDSASHA256 = "\x01\x03" // ASN.1 DER
)

// maxRSABytes bounds the modulus of an RSA key, and with it the work that a
// stranger's certificate can make.
const maxRSABytes = 1024

// ErrBadSignature says that a signature in Connect does not prove what it
// should.
var ErrBadSignature = errors.New("courier signature: does not verify")

// Sign signs n with the key of a device, RSA or ECDSA, for Connect.
func (n Nonce) Sign(key crypto.Signer) ([]byte, error) {
	var (
		prefix    string
		signature []byte
		err       error
	)
	switch pub := key.Public().(type) {
	case *rsa.PublicKey:
		digest := sha1.Sum(n[:]) // the protocol signs with SHA-1
		prefix = signedRSASHA1
		signature, err = key.Sign(rand.Reader, digest[:], crypto.SHA1)
	case *ecdsa.PublicKey:
		digest := sha256.Sum256(n[:])
		prefix = signedECDSASHA256
		signature, err = key.Sign(rand.Reader, digest[:], crypto.SHA256)
	default:
		return nil, fmt.Errorf("courier signature: %T: want an RSA or ECDSA key", pub)
	}
	if err != nil {
		return nil, fmt.Errorf("courier signature: %w", err)
	}
	return append([]byte(prefix), signature...), nil
}

// VerifySignature checks that signature, as Connect carries it, is one over n
// by the key pub. Any failure is ErrBadSignature. It says nothing about the
// time of the nonce, nor whether it was used before.
func VerifySignature(pub crypto.PublicKey, n Nonce, signature []byte) error {
	// A nonce with another first byte is signed for services other than the
	// courier, and must not open a connection.
	if len(signature) < 2 || n[0] != 0 {
		return ErrBadSignature
	}
	prefix, signature := string(signature[:2]), signature[2:]
	switch pub := pub.(type) {
	case *rsa.PublicKey:
		digest := sha1.Sum(n[:]) // the protocol signs with SHA-1
		if prefix != signedRSASHA1 || pub.Size() > maxRSABytes || rsa.VerifyPKCS1v15(pub, crypto.SHA1, digest[:], signature) != nil {
			return ErrBadSignature
		}
	case *ecdsa.PublicKey:
		digest := sha256.Sum256(n[:])
		if prefix != signedECDSASHA256 || !ecdsa.VerifyASN1(pub, digest[:], signature) {
			return ErrBadSignature
		}
	default:
		return ErrBadSignature
	}
	return nil
}
