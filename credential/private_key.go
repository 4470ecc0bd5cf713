package credential

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
)

// isKeyBlock reports whether b is labelled as a private key, encrypted or not.
func isKeyBlock(b *pem.Block) bool {
	switch b.Type {
	case pemPKCS8, pemEncryptedKey, pemRSAKey, pemECKey:
		return true
	}
	return false
}

// parseKeyBlock reads a private key in any of the three forms in which tools
// write one, whatever its label says. The errors of the parsers are dropped on
// purpose: they have seen the key.
func parseKeyBlock(b *pem.Block) (crypto.Signer, error) {
	if b.Type == pemEncryptedKey || b.Headers[pemKeyEncryption] != "" {
		return nil, errors.New("the private key is encrypted: take the pass phrase off, for example with openssl pkey")
	}
	if key, err := x509.ParsePKCS8PrivateKey(b.Bytes); err == nil {
		if s, ok := key.(crypto.Signer); ok {
			return s, nil
		}
		return nil, errors.New("the private key can not sign")
	}
	if key, err := x509.ParseECPrivateKey(b.Bytes); err == nil {
		return key, nil
	}
	if key, err := x509.ParsePKCS1PrivateKey(b.Bytes); err == nil {
		return key, nil
	}
	if what := describeDER(b.Bytes); what != "" {
		return nil, errors.New("labelled a private key, but " + what)
	}
	return nil, errors.New("the private key is damaged, or of an unknown kind")
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
