package credential

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
)

// ErrKeyMismatch is in the chain of the error for a certificate and a private
// key that do not belong together.
var ErrKeyMismatch = errors.New("the private key is not the one that the certificate was issued for")

// Identity is a certificate together with its private key, and so what a
// provider or a device proves itself with. It never prints its key.
type Identity struct {
	// Certificate is the holder's. Required.
	Certificate *x509.Certificate
	// Chain is what lies between it and the root, the issuer first. It may be
	// empty.
	Chain []*x509.Certificate
	// Key is the private half of the certificate's key. Required. To be
	// written to a file, it must be one that lives in memory.
	Key crypto.Signer
}

// maxChain bounds the certificates that come with an identity.
const maxChain = 10

// ParseIdentityPEM reads an identity from text, such as a ck.pem: a private
// key that is not encrypted, its certificate, and perhaps further certificates
// of the chain, in any order. What CleanText repairs is accepted. The error
// wraps ErrKeyMismatch if no certificate is the key's, ErrNoKey,
// ErrNoCertificate, or ErrNoPassword if the key is encrypted. Each error says
// what was found, and nothing of the key.
func ParseIdentityPEM(data []byte) (Identity, error) { return OpenIdentityPEM(data, nil) }

// OpenIdentity reads an identity from a .p12 or from text, whichever data is. The
// error wraps ErrPassword or ErrNoPassword where it is the password, and is else
// that of ParsePKCS12, of PKCS12.Identity or of OpenIdentityPEM.
func OpenIdentity(data []byte, password string) (Identity, error) {
	file, err := ParsePKCS12(data, password)
	if _, other := errors.AsType[*NotPKCS12Error](err); other {
		return OpenIdentityPEM(data, func() (string, error) { return password, nil })
	}
	if err != nil {
		return Identity{}, err
	}
	return file.Identity()
}

// OpenIdentityPEM is ParseIdentityPEM for a key that may be encrypted. Its
// errors are those of ParseIdentityPEM and of ParsePrivateKeyPEM.
func OpenIdentityPEM(data []byte, password func() (string, error)) (Identity, error) {
	id, err := openIdentityPEM(data, password)
	if err != nil {
		return Identity{}, fmt.Errorf("identity: %w", err)
	}
	return id, nil
}

func openIdentityPEM(data []byte, password func() (string, error)) (Identity, error) {
	blocks, err := pemBlocks(data)
	if err != nil {
		return Identity{}, err
	}
	defer clearKeys(blocks)
	var key *pem.Block
	var certs []*x509.Certificate
	for i, b := range blocks {
		switch {
		case b.Type == pemCertificate:
			if len(certs) == maxChain {
				return Identity{}, fmt.Errorf("more than %d certificates: leave only that of the key and those of its chain", maxChain)
			}
			cert, err := x509.ParseCertificate(b.Bytes)
			if err != nil { // not repeated: it may be a key with the wrong label
				return Identity{}, fmt.Errorf("block %d: labelled a certificate, but damaged or something else", i+1)
			}
			certs = append(certs, cert)
		case isKeyBlock(b):
			if key != nil {
				return Identity{}, errors.New("more than one private key: leave only the one that the certificate was requested with")
			}
			key = b
		case b.Type == pemECParameters: // openssl ecparam writes the curve first
		default:
			return Identity{}, fmt.Errorf("block %d is %s; want a certificate and a private key", i+1, describePEM(b))
		}
	}
	if err := checkHalves(key != nil, len(certs) > 0); err != nil {
		return Identity{}, err
	}
	signer, err := openKeyBlock(key, password, newWorkLimit()) // last: nobody is asked for a password in vain
	if err != nil {
		return Identity{}, err
	}
	return Identity{Key: signer}.pair(certs)
}

// checkHalves says which half of an identity is missing.
func checkHalves(key, cert bool) error {
	switch {
	case !key && !cert:
		return errors.New("neither a private key nor a certificate: give a file with both, such as a ck.pem")
	case !key:
		return fmt.Errorf("%w: export it together with the key it was requested with", ErrNoKey)
	case !cert:
		return fmt.Errorf("%w: this is half of the pair; join it with the certificate that the portal issued", ErrNoCertificate)
	}
	return nil
}

// pair finds the certificate of id's key. Order proves nothing: tools write
// the chain in front as well as behind.
func (id Identity) pair(certs []*x509.Certificate) (Identity, error) {
	for _, cert := range certs {
		if id.Certificate == nil && samePublicKey(id.Key.Public(), cert.PublicKey) {
			id.Certificate = cert
			continue
		}
		id.Chain = append(id.Chain, cert)
	}
	if id.Certificate == nil {
		return Identity{}, mismatch(certs[0], id.Key)
	}
	return id, nil
}

// mismatch names both keys by their fingerprints.
func mismatch(cert *x509.Certificate, key crypto.Signer) error {
	return fmt.Errorf("%w: the certificate is for %s, the key is %s (SHA-256)",
		ErrKeyMismatch, shortFingerprint(cert.PublicKey), shortFingerprint(key.Public()))
}

// check refuses halves and strangers.
func (id Identity) check() error {
	switch {
	case id.Certificate == nil:
		return errors.New("no certificate")
	case id.Key == nil:
		return errors.New("no private key")
	case !samePublicKey(id.Key.Public(), id.Certificate.PublicKey):
		return mismatch(id.Certificate, id.Key)
	}
	return nil
}

// MarshalPEM returns id as text in the order of a ck.pem: the certificate, its
// private key as PKCS#8 and not encrypted, then the chain. The result is as
// secret as the key.
func (id Identity) MarshalPEM() ([]byte, error) {
	if err := id.check(); err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	der, err := privateKeyDER(id.Key)
	if err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	defer clear(der)
	text := MarshalCertificatePEM(id.Certificate)
	text = append(text, pem.EncodeToMemory(&pem.Block{Type: pemPKCS8, Bytes: der})...)
	return append(text, MarshalCertificatePEM(id.Chain...)...), nil
}

// TLS returns id in the form that crypto/tls presents. A zero identity gives
// one that presents nothing.
func (id Identity) TLS() tls.Certificate {
	if id.Certificate == nil {
		return tls.Certificate{}
	}
	c := tls.Certificate{
		Certificate: [][]byte{id.Certificate.Raw},
		PrivateKey:  id.Key,
		Leaf:        id.Certificate,
	}
	for _, cert := range id.Chain {
		c.Certificate = append(c.Certificate, cert.Raw)
	}
	return c
}

// String returns the name on the certificate.
func (id Identity) String() string {
	if id.Certificate == nil {
		return "no identity"
	}
	return fmt.Sprintf("identity %q", id.Certificate.Subject.CommonName)
}

// GoString is String, for the verb %#v.
func (id Identity) GoString() string { return id.String() }

// LogValue implements slog.LogValuer.
func (id Identity) LogValue() slog.Value { return slog.StringValue(id.String()) }
