package main

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"

	"github.com/heraldpush/herald/credential"
)

// lockedRounds are those of key derivation in a private key that is written in
// PEM. Readers take any number, unlike those of PKCS#12.
const lockedRounds = 600_000

// The algorithms of a locked key (RFC 8018 appendix A).
var (
	oidPBES2      = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}
	oidPBKDF2     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}
	oidHMACSHA256 = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 9}
	oidAES256CBC  = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42}
)

// lockedKey is EncryptedPrivateKeyInfo (RFC 5958 section 3).
type lockedKey struct {
	Algorithm pkix.AlgorithmIdentifier
	Sealed    []byte
}

// derivation is PBKDF2-params (RFC 8018 appendix A.2).
type derivation struct {
	Salt   []byte
	Rounds int
	PRF    pkix.AlgorithmIdentifier
}

// lockPEM returns certificates and keys as PEM, in the order of a ck.pem, each
// key encrypted by PBES2 with AES-256.
func lockPEM(c *contents, password string) ([]byte, error) {
	var text []byte
	certs := c.certs
	if len(certs) > 0 { // the certificate, the key, the chain
		text, certs = credential.MarshalCertificatePEM(certs[0]), certs[1:]
	}
	for _, key := range c.keys {
		der, err := lockKey(key, password)
		if err != nil {
			return nil, err
		}
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: der})...)
	}
	return append(text, credential.MarshalCertificatePEM(certs...)...), nil
}

// lockKey encrypts a private key.
func lockKey(key crypto.Signer, password string) ([]byte, error) {
	plain, err := marshalKeyDER(key)
	if err != nil {
		return nil, err
	}
	defer clear(plain)
	salt, iv := make([]byte, 16), make([]byte, aes.BlockSize)
	_, _ = rand.Read(salt) // neither fails
	_, _ = rand.Read(iv)
	derived, err := pbkdf2.Key(sha256.New, password, salt, lockedRounds, 32)
	if err != nil {
		return nil, err
	}
	defer clear(derived)
	block, err := aes.NewCipher(derived)
	if err != nil {
		return nil, err
	}
	pad := aes.BlockSize - len(plain)%aes.BlockSize // RFC 8018 section 6.1.1
	sealed := append(bytes.Clone(plain), bytes.Repeat([]byte{byte(pad)}, pad)...)
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(sealed, sealed)

	derivationDER, err := asn1.Marshal(derivation{salt, lockedRounds, pkix.AlgorithmIdentifier{Algorithm: oidHMACSHA256, Parameters: asn1.NullRawValue}})
	if err != nil {
		return nil, err
	}
	ivDER, err := asn1.Marshal(iv)
	if err != nil {
		return nil, err
	}
	parameters, err := asn1.Marshal([]pkix.AlgorithmIdentifier{
		{Algorithm: oidPBKDF2, Parameters: asn1.RawValue{FullBytes: derivationDER}},
		{Algorithm: oidAES256CBC, Parameters: asn1.RawValue{FullBytes: ivDER}},
	})
	if err != nil {
		return nil, err
	}
	return asn1.Marshal(lockedKey{pkix.AlgorithmIdentifier{Algorithm: oidPBES2, Parameters: asn1.RawValue{FullBytes: parameters}}, sealed})
}
