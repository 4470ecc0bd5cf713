package credential

import (
	"crypto"
	"encoding/asn1"
	"encoding/pem"
	"errors"
)

// lockedRounds is how often the key of a private key in PEM is derived. Unlike
// those of PKCS#12, its readers take any number.
const lockedRounds = 600_000

// MarshalPrivateKeyPEM returns a private key as text: PKCS#8 (RFC 5958), not
// encrypted. The result is as secret as the key.
func MarshalPrivateKeyPEM(key crypto.Signer) ([]byte, error) {
	der, err := privateKeyDER(key)
	if err != nil {
		return nil, err
	}
	defer clear(der)
	return pem.EncodeToMemory(&pem.Block{Type: pemPKCS8, Bytes: der}), nil
}

// MarshalEncryptedPrivateKeyPEM returns a private key as text: PKCS#8,
// encrypted with password by PBES2 with AES-256-CBC, its key derived by PBKDF2
// with HMAC-SHA-256 in 600 000 rounds (RFC 5958 section 3, RFC 8018
// section 6.2). The password must not be empty: readers disagree on what that
// is. The result protects the key no better than the password does.
func MarshalEncryptedPrivateKeyPEM(key crypto.Signer, password string) ([]byte, error) {
	der, err := encryptKey(key, password)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: pemEncryptedKey, Bytes: der}), nil
}

// encryptKey returns EncryptedPrivateKeyInfo (RFC 5958 section 3).
func encryptKey(key crypto.Signer, password string) ([]byte, error) {
	switch {
	case password == "":
		return nil, errors.New("no password to encrypt the private key with")
	case len(password) > maxPasswordBytes:
		return nil, &LimitError{What: "bytes of password", Got: len(password), Max: maxPasswordBytes}
	}
	plain, err := privateKeyDER(key)
	if err != nil {
		return nil, err
	}
	defer clear(plain)
	alg, err := newPBES2(lockedRounds)
	if err != nil {
		return nil, err
	}
	e, err := parseEncryption(alg)
	if err != nil {
		return nil, err
	}
	sealed, err := e.encrypt(newWorkLimit(), passphrase{text: []byte(password)}, plain)
	if err != nil {
		return nil, err
	}
	return asn1.Marshal(encryptedKeyInfo{alg, sealed})
}
