package credential

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"time"
)

// Authority is an issuer: a certificate that may sign others, and its key.
// It decides nothing: who asks, and for what, the caller has checked.
type Authority struct {
	// Certificate is the authority's own. Required.
	Certificate *x509.Certificate
	// Key signs in its name. Required, and may live in hardware.
	Key crypto.Signer

	// IssuerURL is where the authority's certificate can be had, OCSPURL and
	// CRLURL where revocations are answered and published. They are written
	// into the certificates that it issues; an empty one is left out.
	IssuerURL, OCSPURL, CRLURL string
}

// Validity is the time in which a certificate is valid, both ends included,
// to the second.
type Validity struct {
	NotBefore, NotAfter time.Time
}

// Purpose is what the certificates of an intermediate authority are for.
type Purpose string

// The purposes. Each has its own intermediate, so that a certificate of one
// is never good for another (docs/protocol/certificates.md#authority).
const (
	ForProviders Purpose = "providers"
	ForDevices   Purpose = "devices"
	ForServers   Purpose = "servers"
)

// IntermediateProfile says what an intermediate authority may do.
type IntermediateProfile struct {
	// Name is its common name, such as "Herald Provider Authority". Required.
	Name string
	// Purpose is required.
	Purpose Purpose
	// PermittedDNS are the names that the certificates of servers may be for,
	// each with all names below it, such as "push.example.com"; PermittedIPs
	// the addresses. ForServers needs one of either; what is not permitted
	// here is excluded. The other purposes take none.
	PermittedDNS []string
	PermittedIPs []netip.Prefix
}

// NewRoot makes the certificate of a root authority with the common name
// name, signed by its own key. It may sign intermediates, and revocations.
func NewRoot(name string, key crypto.Signer, v Validity) (*x509.Certificate, error) {
	if key == nil {
		return nil, errors.New("root authority: no key")
	}
	tmpl, err := authorityTemplate(name, key.Public())
	if err != nil {
		return nil, fmt.Errorf("root authority: %w", err)
	}
	tmpl.MaxPathLen = 1
	tmpl.SignatureAlgorithm, err = signatureAlgorithm(key.Public())
	if err != nil {
		return nil, fmt.Errorf("root authority: %w", err)
	}
	if err := v.apply(tmpl); err != nil {
		return nil, fmt.Errorf("root authority: %w", err)
	}
	cert, err := create(tmpl, tmpl, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("root authority: %w", err)
	}
	return cert, nil
}

// IssueIntermediate makes the certificate of an intermediate authority for
// the public key pub. It may sign certificates for its purpose, and no further
// authorities. It is valid no longer than a.
func (a Authority) IssueIntermediate(p IntermediateProfile, pub crypto.PublicKey, v Validity) (*x509.Certificate, error) {
	cert, err := a.issueIntermediate(p, pub, v)
	if err != nil {
		return nil, fmt.Errorf("intermediate authority: %w", err)
	}
	return cert, nil
}

func (a Authority) issueIntermediate(p IntermediateProfile, pub crypto.PublicKey, v Validity) (*x509.Certificate, error) {
	tmpl, err := authorityTemplate(p.Name, pub)
	if err != nil {
		return nil, err
	}
	tmpl.MaxPathLenZero = true
	if err := a.check(); err != nil {
		return nil, err
	}
	if a.Certificate.MaxPathLenZero {
		// Verify does not see this: the path length counts what stands
		// between the ends of a chain (RFC 5280 section 4.2.1.9).
		return nil, fmt.Errorf("the authority %q may not issue authorities", a.Certificate.Subject.CommonName)
	}
	constrained := len(p.PermittedDNS)+len(p.PermittedIPs) > 0
	switch p.Purpose {
	case ForProviders, ForDevices:
		if constrained {
			return nil, fmt.Errorf("an authority for %s takes no permitted names", p.Purpose)
		}
		tmpl.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	case ForServers:
		if !constrained {
			return nil, errors.New("an authority for servers needs the names or addresses that it may certify")
		}
		tmpl.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		if err := p.constrain(tmpl); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("purpose %.40q: want providers, devices or servers", string(p.Purpose))
	}
	return a.issue(tmpl, pub, v, x509.ExtKeyUsageAny)
}

// constrain writes the name constraints (RFC 5280 section 4.2.1.10). A kind of
// name without a permitted entry would be free, so it is excluded whole.
func (p IntermediateProfile) constrain(tmpl *x509.Certificate) error {
	tmpl.PermittedDNSDomainsCritical = true
	for _, d := range p.PermittedDNS {
		if err := checkDNSName(d); err != nil {
			return err
		}
		if strings.HasPrefix(d, "*.") {
			return fmt.Errorf("permitted name %q: leave out the asterisk, all names below are permitted anyway", d)
		}
	}
	tmpl.PermittedDNSDomains = p.PermittedDNS
	if len(p.PermittedDNS) == 0 {
		tmpl.ExcludedDNSDomains = []string{""}
	}
	for _, r := range p.PermittedIPs {
		if !r.IsValid() {
			return errors.New("permitted addresses: an empty range")
		}
		tmpl.PermittedIPRanges = append(tmpl.PermittedIPRanges, ipNet(r))
	}
	if len(p.PermittedIPs) == 0 {
		tmpl.ExcludedIPRanges = []*net.IPNet{
			ipNet(netip.PrefixFrom(netip.IPv4Unspecified(), 0)),
			ipNet(netip.PrefixFrom(netip.IPv6Unspecified(), 0)),
		}
	}
	return nil
}

func ipNet(r netip.Prefix) *net.IPNet {
	r = r.Masked()
	return &net.IPNet{IP: r.Addr().AsSlice(), Mask: net.CIDRMask(r.Bits(), r.Addr().BitLen())}
}

// authorityTemplate is what root and intermediates have in common.
func authorityTemplate(commonName string, pub crypto.PublicKey) (*x509.Certificate, error) {
	if err := checkText("name", commonName, maxCommonNameBytes); err != nil {
		return nil, err
	}
	subject, err := name{{oidCommonName, asn1.TagUTF8String, commonName}}.marshal()
	if err != nil {
		return nil, err
	}
	id, err := keyID(pub)
	if err != nil {
		return nil, err
	}
	return &x509.Certificate{
		RawSubject:            subject,
		SubjectKeyId:          id,
		BasicConstraintsValid: true,
		IsCA:                  true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}, nil
}

// issue signs tmpl for pub, and checks the result as a stranger would who
// trusts a, for the given usage.
func (a Authority) issue(tmpl *x509.Certificate, pub crypto.PublicKey, v Validity, usage x509.ExtKeyUsage) (*x509.Certificate, error) {
	if err := a.check(); err != nil {
		return nil, err
	}
	if err := checkPublicKey(pub); err != nil {
		return nil, err
	}
	if err := v.apply(tmpl); err != nil {
		return nil, err
	}
	if tmpl.NotAfter.After(a.Certificate.NotAfter) {
		return nil, fmt.Errorf("valid until %s, longer than its authority, until %s",
			tmpl.NotAfter.Format(time.RFC3339), a.Certificate.NotAfter.UTC().Format(time.RFC3339))
	}
	var err error
	if tmpl.SignatureAlgorithm, err = signatureAlgorithm(a.Key.Public()); err != nil {
		return nil, fmt.Errorf("the authority's own key: %w", err)
	}
	cert, err := create(tmpl, a.Certificate, pub, a.Key)
	if err != nil {
		return nil, err
	}
	at := cert.NotBefore
	if at.Before(a.Certificate.NotBefore) {
		at = a.Certificate.NotBefore
	}
	anchor := x509.NewCertPool()
	anchor.AddCert(a.Certificate)
	if _, err := cert.Verify(x509.VerifyOptions{
		Roots:       anchor,
		CurrentTime: at,
		KeyUsages:   []x509.ExtKeyUsage{usage},
	}); err != nil {
		return nil, fmt.Errorf("the authority %q may not issue it: %w", a.Certificate.Subject.CommonName, err)
	}
	return cert, nil
}

func (a Authority) check() error {
	switch {
	case a.Certificate == nil:
		return errors.New("the authority has no certificate")
	case a.Key == nil:
		return errors.New("the authority has no key")
	case len(a.Certificate.SubjectKeyId) == 0:
		return errors.New("the authority's certificate has no subject key identifier")
	}
	return nil
}

// apply sets the validity of tmpl.
func (v Validity) apply(tmpl *x509.Certificate) error {
	tmpl.NotBefore = v.NotBefore.UTC().Truncate(time.Second)
	tmpl.NotAfter = v.NotAfter.UTC().Truncate(time.Second)
	if v.NotBefore.IsZero() || !tmpl.NotAfter.After(tmpl.NotBefore) {
		return errors.New("validity: the end is not after the beginning, or one is missing")
	}
	return nil
}

// create signs tmpl with a new serial number and reads the result back.
func create(tmpl, parent *x509.Certificate, pub crypto.PublicKey, key crypto.Signer) (*x509.Certificate, error) {
	tmpl.SerialNumber = newSerial()
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, pub, key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// newSerial returns 128 random bits, Apple's length since the G4 issuer, and
// never zero (RFC 5280 section 4.1.2.2).
func newSerial() *big.Int {
	for {
		var b [16]byte
		_, _ = rand.Read(b[:]) // never fails
		if n := new(big.Int).SetBytes(b[:]); n.Sign() > 0 {
			return n
		}
	}
}
