package credential

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"fmt"
	"log/slog"
	"slices"
)

// PKCS12 is what a PKCS#12 file holds: keys and certificates, in the order of
// the file, and how it was locked. It never prints its keys.
type PKCS12 struct {
	// Keys are the private keys. Files with a key alone are common: it is what
	// Keychain writes when only the key is chosen.
	Keys []PKCS12Key
	// Certificates are those of the keys and those of the chain alike.
	Certificates []PKCS12Certificate
	// Encryption names what the file was encrypted with, each once, in the
	// order of the file, such as "RC2-40" and "3DES". It is empty if nothing
	// was encrypted. Marshal ignores it.
	Encryption []string
	// Old is set if the file, or a part of it, was encrypted with an algorithm
	// that no longer protects: RC2, DES or 3DES. It is best written anew.
	// Marshal ignores it.
	Old bool
	// MAC names what proves that the file is whole and was written by someone
	// who knew the password, such as "HMAC-SHA-256" or "PBMAC1 with
	// HMAC-SHA-256". It is empty if nothing does, of which people should be
	// warned. Marshal ignores it.
	MAC string
}

// PKCS12Key is a private key of a PKCS#12 file.
type PKCS12Key struct {
	// Key is the private key. Required.
	Key crypto.Signer
	// FriendlyName is what Keychain shows for it. It may be empty.
	FriendlyName string
	// LocalKeyID is the same with a key and with its certificate, if the
	// writer kept to that. It may be empty; Marshal then makes one for keys
	// that have a certificate in the file.
	LocalKeyID []byte
}

// String returns the friendly name.
func (k PKCS12Key) String() string { return fmt.Sprintf("private key %q", k.FriendlyName) }

// GoString is String, for the verb %#v.
func (k PKCS12Key) GoString() string { return k.String() }

// LogValue implements slog.LogValuer.
func (k PKCS12Key) LogValue() slog.Value { return slog.StringValue(k.String()) }

// PKCS12Certificate is a certificate of a PKCS#12 file.
type PKCS12Certificate struct {
	// Certificate is required.
	Certificate *x509.Certificate
	// FriendlyName is what Keychain shows for it. It may be empty.
	FriendlyName string
	// LocalKeyID is that of the key, as far as the writer kept to that.
	LocalKeyID []byte
}

// String says how much there is.
func (p PKCS12) String() string {
	return fmt.Sprintf("PKCS#12 (keys: %d, certificates: %d)", len(p.Keys), len(p.Certificates))
}

// GoString is String, for the verb %#v.
func (p PKCS12) GoString() string { return p.String() }

// LogValue implements slog.LogValuer.
func (p PKCS12) LogValue() slog.Value { return slog.StringValue(p.String()) }

// Identities returns each pair of a key and a certificate for it, in the order
// of the keys, with the certificates of the file that lead from it towards the
// root. They are matched by the public key: the order, the names and the
// IDs of a file prove nothing.
func (p *PKCS12) Identities() []Identity {
	var all []Identity
	for _, k := range p.Keys {
		for _, c := range p.Certificates {
			if samePublicKey(k.Key.Public(), c.Certificate.PublicKey) && !slices.ContainsFunc(all, func(id Identity) bool {
				return id.Certificate.Equal(c.Certificate)
			}) {
				all = append(all, Identity{Certificate: c.Certificate, Chain: p.chain(c.Certificate), Key: k.Key})
			}
		}
	}
	return all
}

// chain returns the issuers of cert that are in the file, the nearest first,
// without the root. Signatures are not checked: whoever verifies the chain
// does, and some of those of old are by SHA-1.
func (p *PKCS12) chain(cert *x509.Certificate) []*x509.Certificate {
	var chain []*x509.Certificate
	for len(chain) < maxChain {
		i := slices.IndexFunc(p.Certificates, func(c PKCS12Certificate) bool {
			return mayIssue(c.Certificate, cert) && !selfIssued(c.Certificate) && !slices.ContainsFunc(chain, c.Certificate.Equal)
		})
		if i < 0 {
			break
		}
		cert = p.Certificates[i].Certificate
		chain = append(chain, cert)
	}
	return chain
}

// mayIssue reports whether cert names issuer as its issuer.
func mayIssue(issuer, cert *x509.Certificate) bool {
	if !bytes.Equal(issuer.RawSubject, cert.RawIssuer) || issuer.Equal(cert) {
		return false
	}
	return len(issuer.SubjectKeyId) == 0 || len(cert.AuthorityKeyId) == 0 || bytes.Equal(issuer.SubjectKeyId, cert.AuthorityKeyId)
}

// selfIssued reports whether cert is a root.
func selfIssued(cert *x509.Certificate) bool { return bytes.Equal(cert.RawSubject, cert.RawIssuer) }

// Identity returns the only identity of the file. The error wraps ErrNoKey,
// ErrNoCertificate, ErrKeyMismatch or ErrManyIdentities.
func (p *PKCS12) Identity() (Identity, error) {
	id, err := p.identity()
	if err != nil {
		return Identity{}, fmt.Errorf("pkcs12: %w", err)
	}
	return id, nil
}

func (p *PKCS12) identity() (Identity, error) {
	switch all := p.Identities(); {
	case len(all) == 1:
		return all[0], nil
	case len(all) > 1:
		return Identity{}, fmt.Errorf("%w: %d of them, choose one", ErrManyIdentities, len(all))
	}
	if err := checkHalves(len(p.Keys) > 0, len(p.Certificates) > 0); err != nil {
		return Identity{}, err
	}
	return Identity{}, mismatch(p.Certificates[0].Certificate, p.Keys[0].Key)
}
