package credential

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// isKeyBlock reports whether b is labelled as a private key, encrypted or not.
func isKeyBlock(b *pem.Block) bool {
	switch b.Type {
	case pemPKCS8, pemEncryptedKey, pemRSAKey, pemECKey:
		return true
	}
	return false
}

// parseKeyBlock reads a private key that is not encrypted, in any of the three
// forms in which tools write one, whatever its label says. The errors of the
// parsers are dropped on purpose: they have seen the key.
func parseKeyBlock(b *pem.Block) (crypto.Signer, error) {
	if b.Type == pemEncryptedKey || b.Headers[pemKeyEncryption] != "" {
		return nil, fmt.Errorf("%w: take the pass phrase off, for example with openssl pkey", ErrNoPassword)
	}
	key, err := parsePKCS8(b.Bytes)
	if !errors.Is(err, errNotPKCS8) {
		return key, err
	}
	if key, ok := parseTraditionalKey(b.Bytes); ok {
		return key, nil
	}
	switch shape := shapeOf(b.Bytes); shape {
	case shapeUnknown, shapePKCS8, shapeECKey, shapeRSAKey:
		return nil, errors.New("the private key is damaged, or of an unknown kind")
	default:
		return nil, errors.New("labelled a private key, but " + shape.article())
	}
}

// privateKeyDER returns a key as PKCS#8 (RFC 5958), not encrypted. The encoder's
// error is dropped: it has seen the key.
func privateKeyDER(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, errors.New("the private key can not be written: it is not in memory, or of an unknown kind")
	}
	return der, nil
}

// clearKeys overwrites the private keys that were decoded from text. Parsed
// certificates go on using the bytes of their blocks.
func clearKeys(blocks []*pem.Block) {
	for _, b := range blocks {
		if isKeyBlock(b) {
			clear(b.Bytes)
		}
	}
}
