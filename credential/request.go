package credential

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
)

// RequestSubject is what a certificate request says of the one who makes it.
// An authority does not rely on it: nothing of it reaches the certificate.
type RequestSubject struct {
	// Email is an address, such as "dev@example.com", in ASCII. Empty leaves
	// it out.
	Email string
	// CommonName is a name for people, or the UUID of a device. Required.
	CommonName string
	// Country is two upper-case letters, such as "US". Empty leaves it out.
	Country string
}

// Bounds of the parts of a subject in bytes (RFC 5280 appendix A.1).
const (
	maxCommonNameBytes = 64
	maxEmailBytes      = 255
)

// NewRequest makes a certificate request (PKCS#10, RFC 2986) for key, in the
// form in which Keychain's Certificate Assistant writes one
// (docs/protocol/certificates.md#csr). It returns DER; MarshalRequestPEM makes
// the file of it. The error wraps ErrWeakKey for a key that no authority here
// would accept. The assistant's own key is RSA with 2048 bits.
func NewRequest(key crypto.Signer, s RequestSubject) (der []byte, err error) {
	if key == nil {
		return nil, errors.New("certificate request: no key")
	}
	subject, err := s.name()
	if err != nil {
		return nil, fmt.Errorf("certificate request: %w", err)
	}
	algorithm, err := signatureAlgorithm(key.Public())
	if err != nil {
		return nil, fmt.Errorf("certificate request: %w", err)
	}
	raw, err := subject.marshal()
	if err != nil {
		return nil, fmt.Errorf("certificate request: %w", err)
	}
	der, err = x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		RawSubject:         raw,
		SignatureAlgorithm: algorithm,
	}, key)
	if err != nil {
		return nil, fmt.Errorf("certificate request: %w", err)
	}
	return der, nil
}

// name returns the subject with the assistant's order and string types.
func (s RequestSubject) name() (name, error) {
	var n name
	if s.Email != "" {
		if err := checkText("email", s.Email, maxEmailBytes); err != nil {
			return nil, err
		}
		n = append(n, attribute{oidEmailAddress, asn1.TagIA5String, s.Email})
	}
	if err := checkText("common name", s.CommonName, maxCommonNameBytes); err != nil {
		return nil, err
	}
	n = append(n, attribute{oidCommonName, asn1.TagUTF8String, s.CommonName})
	if s.Country != "" {
		if err := checkCountry(s.Country); err != nil {
			return nil, err
		}
		n = append(n, attribute{oidCountry, asn1.TagPrintableString, s.Country})
	}
	return n, nil
}

// ParseRequest reads a certificate request, as DER or as text, of which what
// CleanText repairs is accepted. The request that it returns was signed by the key it asks a certificate for, and that
// key is one the authority accepts: RSA from 2048 bits and with an exponent
// from 65537, or ECDSA on P-256 or P-384. The error wraps ErrWeakKey when it
// is not. Each error says what was found, and what to do.
func ParseRequest(pemOrDER []byte) (*x509.CertificateRequest, error) {
	der, err := requestDER(pemOrDER)
	if err != nil {
		return nil, fmt.Errorf("certificate request: %w", err)
	}
	req, err := x509.ParseCertificateRequest(der)
	if err != nil {
		if shape := shapeOf(der); shape != shapeUnknown && shape != shapeRequest {
			return nil, fmt.Errorf("certificate request: this is %s, not a request: send the file of the kind .certSigningRequest", shape.article())
		}
		return nil, errors.New("certificate request: not PKCS#10, or damaged: make the file again, or send it as PEM")
	}
	if err := checkPublicKey(req.PublicKey); err != nil {
		return nil, fmt.Errorf("certificate request: %w, and a new request with it", err)
	}
	if err := req.CheckSignature(); err != nil {
		return nil, fmt.Errorf("certificate request: it was not signed by the key it is for, or was changed since: %w", err)
	}
	return req, nil
}

// requestDER returns the request in data, which is text or DER.
func requestDER(data []byte) ([]byte, error) {
	if err := checkSize(data); err != nil {
		return nil, err
	}
	if isDER(data) {
		return data, nil
	}
	blocks, err := pemBlocks(data)
	if err != nil {
		return nil, err
	}
	if len(blocks) > 1 {
		return nil, fmt.Errorf("the file has %d PEM blocks, the first is %s: send the request alone, and keep the private key", len(blocks), describePEM(blocks[0]))
	}
	b := blocks[0]
	if b.Type != pemRequest && b.Type != pemOldRequest {
		return nil, fmt.Errorf("this is %s: send the file that starts with -----BEGIN CERTIFICATE REQUEST-----", describePEM(b))
	}
	return b.Bytes, nil
}
