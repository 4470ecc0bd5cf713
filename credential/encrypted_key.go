package credential

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// maxKeyBytes bounds a private key that was decrypted. One of RSA with 8192
// bits takes 4.7 KiB; checking a key costs the more the longer it is.
const maxKeyBytes = 8 << 10

// errNotPKCS8 says that what was decrypted has not even the form of a key.
var errNotPKCS8 = errors.New("not a private key")

// privateKeyInfo is OneAsymmetricKey (RFC 5958 section 2).
type privateKeyInfo struct {
	Version    int
	Algorithm  pkix.AlgorithmIdentifier
	PrivateKey []byte
}

// parsePKCS8 reads a private key. It fails with errNotPKCS8, with an
// UnsupportedError for what can not sign in Herald, or says that it is damaged.
func parsePKCS8(der []byte) (crypto.Signer, error) {
	if len(der) > maxKeyBytes {
		return nil, &LimitError{What: "bytes of private key", Got: len(der), Max: maxKeyBytes}
	}
	var info privateKeyInfo
	if unmarshalAll(der, &info) != nil {
		return nil, errNotPKCS8
	}
	defer clear(info.PrivateKey)
	switch alg := info.Algorithm; {
	case alg.Algorithm.Equal(oidECKey):
		var curve asn1.ObjectIdentifier
		if unmarshalAll(alg.Parameters.FullBytes, &curve) == nil && !slices.ContainsFunc(oidNamedCurves, curve.Equal) {
			return nil, unsupported("curve", curve)
		}
	case !alg.Algorithm.Equal(oidRSAKey) && !alg.Algorithm.Equal(oidEd25519Key):
		return nil, unsupported("kind of private key", alg.Algorithm)
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil { // not repeated: it has seen the key
		return nil, errors.New("the private key is damaged, or of an unknown kind")
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, errors.New("the private key can not sign")
	}
	return signer, nil
}

// ParsePrivateKeyPEM reads the one private key of a text, encrypted or not;
// certificates beside it are passed over. password is called at most once, and
// only for a key that is encrypted in a way that is read; nil says that there
// is nobody to ask. Its error is returned, wrapped.
//
// The error wraps ErrNoPassword, ErrPassword, an *UnsupportedError or a
// *LimitError, or says what was found instead of a key. None repeats anything
// of it.
func ParsePrivateKeyPEM(data []byte, password func() (string, error)) (crypto.Signer, error) {
	key, err := parsePrivateKeyPEM(data, password)
	if err != nil {
		return nil, fmt.Errorf("private key: %w", err)
	}
	return key, nil
}

func parsePrivateKeyPEM(data []byte, password func() (string, error)) (crypto.Signer, error) {
	blocks, err := pemBlocks(data)
	if err != nil {
		return nil, err
	}
	defer clearKeys(blocks)
	var found *pem.Block
	for i, b := range blocks {
		switch {
		case isKeyBlock(b) && found != nil:
			return nil, errors.New("more than one private key")
		case isKeyBlock(b):
			found = b
		case b.Type == pemCertificate || b.Type == pemECParameters:
		default:
			return nil, fmt.Errorf("block %d is %s; want a private key", i+1, describePEM(b))
		}
	}
	if found == nil {
		return nil, fmt.Errorf("this is %s: %w", describePEM(blocks[0]), ErrNoKey)
	}
	return openKeyBlock(found, password, newWorkLimit())
}

// openKeyBlock reads a private key that may be encrypted, in whichever way.
func openKeyBlock(b *pem.Block, password func() (string, error), work *workLimit) (crypto.Signer, error) {
	var sealed encryptedKeyInfo
	switch {
	case b.Headers[pemKeyEncryption] != "":
		return openTraditionalKey(b, password)
	case unmarshalAll(b.Bytes, &sealed) == nil:
		return openPKCS8(sealed, password, work)
	case b.Type == pemEncryptedKey:
		return nil, errors.New("the encrypted private key is damaged")
	}
	return parseKeyBlock(b)
}

// ask returns the password.
func ask(password func() (string, error)) (string, error) {
	if password == nil {
		return "", ErrNoPassword
	}
	text, err := password()
	if err != nil {
		return "", fmt.Errorf("asking for the password: %w", err)
	}
	return text, nil
}

// openPKCS8 decrypts a key in the form of RFC 5958 section 3. There is no MAC:
// a wrong password shows in the padding, or in that no key comes out.
func openPKCS8(sealed encryptedKeyInfo, password func() (string, error), work *workLimit) (crypto.Signer, error) {
	e, err := parseEncryption(sealed.Algorithm) // before anyone is asked in vain
	if err != nil {
		return nil, err
	}
	text, err := ask(password)
	if err != nil {
		return nil, err
	}
	forms, err := passphrases(text)
	if err != nil {
		return nil, err
	}
	for _, form := range forms {
		var plain []byte
		if plain, err = e.decrypt(work, form, sealed.Sealed); err == nil {
			key, err := parsePKCS8(plain)
			clear(plain)
			if !errors.Is(err, errNotPKCS8) {
				return key, err
			}
		} else if !errors.Is(err, ErrPassword) {
			return nil, err
		}
	}
	return nil, ErrPassword
}

// openTraditionalKey decrypts a key as OpenSSL wrote them before 1.0, in the
// encryption of RFC 1423:
//
//	Proc-Type: 4,ENCRYPTED
//	DEK-Info: DES-EDE3-CBC,<initialization vector in hex, whose first 8 bytes are the salt>
//
// It is read and never written: one round of MD5 is all that protects it.
func openTraditionalKey(b *pem.Block, password func() (string, error)) (crypto.Signer, error) {
	name, vector, _ := strings.Cut(b.Headers[pemKeyEncryption], ",")
	name = strings.ToUpper(strings.TrimSpace(name))
	c, ok := pemCiphers[name]
	if !ok {
		return nil, &UnsupportedError{What: "encryption", Name: fmt.Sprintf("%.40q", name)}
	}
	iv, err := hex.DecodeString(strings.TrimSpace(vector))
	if err != nil || len(iv) != c.blockBytes {
		return nil, fmt.Errorf("the encrypted private key is damaged: its %s header has no vector of %d bytes", pemKeyEncryption, c.blockBytes)
	}
	text, err := ask(password)
	if err != nil {
		return nil, err
	}
	if len(text) > maxPasswordBytes {
		return nil, &LimitError{What: "bytes of password", Got: len(text), Max: maxPasswordBytes}
	}
	der, err := c.decrypt(opensslKDF([]byte(text), iv[:8], c.keyBytes), iv, b.Bytes)
	if err != nil {
		return nil, err
	}
	defer clear(der)
	if len(der) > maxKeyBytes {
		return nil, &LimitError{What: "bytes of private key", Got: len(der), Max: maxKeyBytes}
	}
	var form struct{ Version int }
	if unmarshalAll(der, &form) != nil {
		return nil, ErrPassword
	}
	return parseKeyBlock(&pem.Block{Type: b.Type, Bytes: der})
}

// parseTraditionalKey reads the keys of PKCS#1 and SEC 1.
func parseTraditionalKey(der []byte) (crypto.Signer, bool) {
	if key, err := x509.ParseECPrivateKey(der); err == nil {
		return key, true
	}
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return key, true
	}
	return nil, false
}
