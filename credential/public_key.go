package credential

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
)

// ErrWeakKey is in the chain of every error that refuses a public key for its
// kind or its size. The error's text names what was found and what to do.
var ErrWeakKey = errors.New("key not accepted")

// Bounds of RSA keys. The upper one bounds the work of a signature check, and
// is also that of crypto/tls.
const (
	minRSABits     = 2048
	maxRSABits     = 8192
	minRSAExponent = 65537
)

// checkPublicKey refuses keys that the authority does not certify
// (docs/protocol/certificates.md#csr).
func checkPublicKey(pub crypto.PublicKey) error {
	switch k := pub.(type) {
	case *rsa.PublicKey:
		if k == nil || k.N == nil {
			break
		}
		switch bits := k.N.BitLen(); {
		case bits < minRSABits:
			return fmt.Errorf("%w: RSA with %d bits; make a key with 2048", ErrWeakKey, bits)
		case bits > maxRSABits:
			return fmt.Errorf("%w: RSA with %d bits; make a key with 2048", ErrWeakKey, bits)
		case k.E < minRSAExponent:
			return fmt.Errorf("%w: RSA with the public exponent %d; make a key with 65537", ErrWeakKey, k.E)
		}
		return nil
	case *ecdsa.PublicKey:
		if k == nil || k.Curve == nil {
			break
		}
		if k.Curve != elliptic.P256() && k.Curve != elliptic.P384() {
			return fmt.Errorf("%w: ECDSA on the curve %s; make a key on P-256 or P-384, or RSA with 2048 bits", ErrWeakKey, k.Params().Name)
		}
		return nil
	case ed25519.PublicKey:
		return fmt.Errorf("%w: Ed25519; make an RSA key with 2048 bits, or ECDSA on P-256", ErrWeakKey)
	}
	return fmt.Errorf("%w: a key of type %T is neither RSA nor ECDSA, or is empty; make an RSA key with 2048 bits, or ECDSA on P-256", ErrWeakKey, pub)
}

// signatureAlgorithm returns how a key with this public half signs requests
// and certificates: always with SHA-256.
func signatureAlgorithm(pub crypto.PublicKey) (x509.SignatureAlgorithm, error) {
	if err := checkPublicKey(pub); err != nil {
		return x509.UnknownSignatureAlgorithm, err
	}
	if _, ok := pub.(*rsa.PublicKey); ok {
		return x509.SHA256WithRSA, nil
	}
	return x509.ECDSAWithSHA256, nil
}

// Fingerprint names a key for people and for look-ups without giving anything
// of it away: the SHA-256 of the public half in its X.509 form
// (SubjectPublicKeyInfo), in lower-case hex. It fails for kinds of key that
// X.509 does not know.
func Fingerprint(pub crypto.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return "", fmt.Errorf("fingerprint: %w", err)
	}
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:]), nil
}

// shortFingerprint is enough of a fingerprint to compare by eye.
func shortFingerprint(pub crypto.PublicKey) string {
	sum, err := Fingerprint(pub)
	if err != nil {
		return "unknown"
	}
	return sum[:16] + "…"
}

// publicKeyInfo is SubjectPublicKeyInfo (RFC 5280 section 4.1).
type publicKeyInfo struct {
	Algorithm pkix.AlgorithmIdentifier
	Key       asn1.BitString
}

// keyID returns the subject key identifier of a public key, 20 bytes: the
// first method of RFC 7093 section 2, which has the length of Apple's but not
// their SHA-1. It refuses keys that are not to be certified.
func keyID(pub crypto.PublicKey) ([]byte, error) {
	if err := checkPublicKey(pub); err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return nil, err
	}
	var info publicKeyInfo
	if err := unmarshalAll(der, &info); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(info.Key.RightAlign())
	return sum[:20], nil
}

// samePublicKey reports whether a and b are the same key.
func samePublicKey(a, b crypto.PublicKey) bool {
	k, ok := a.(interface{ Equal(x crypto.PublicKey) bool })
	return ok && k.Equal(b)
}
