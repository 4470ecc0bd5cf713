package credential

import (
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// ServerProfile says which names the certificate of a gateway or courier is
// for. At least one of either is required.
type ServerProfile struct {
	// DNSNames are host names; the first label may be an asterisk. The first
	// name also becomes the common name, where it has room: old device
	// clients look there and nowhere else.
	DNSNames []string
	// IPs are addresses.
	IPs []netip.Addr
}

// IssueServer makes a server's certificate for the public key pub. The error
// says so when the authority may not certify one of the names.
func (a Authority) IssueServer(p ServerProfile, pub crypto.PublicKey, v Validity) (*x509.Certificate, error) {
	cert, err := a.issueServer(p, pub, v)
	if err != nil {
		return nil, fmt.Errorf("server certificate: %w", err)
	}
	return cert, nil
}

func (a Authority) issueServer(p ServerProfile, pub crypto.PublicKey, v Validity) (*x509.Certificate, error) {
	if len(p.DNSNames)+len(p.IPs) == 0 {
		return nil, errors.New("no name and no address")
	}
	tmpl := &x509.Certificate{
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:              p.DNSNames,
	}
	for _, d := range p.DNSNames {
		if err := checkDNSName(d); err != nil {
			return nil, err
		}
	}
	for _, ip := range p.IPs {
		if !ip.IsValid() || ip.Zone() != "" {
			return nil, fmt.Errorf("address %q: empty, or with a zone", ip)
		}
		tmpl.IPAddresses = append(tmpl.IPAddresses, ip.Unmap().AsSlice())
	}
	var subject name
	if len(p.DNSNames) > 0 && len(p.DNSNames[0]) <= maxCommonNameBytes {
		subject = name{{oidCommonName, asn1.TagUTF8String, p.DNSNames[0]}}
	}
	var err error
	if tmpl.RawSubject, err = subject.marshal(); err != nil {
		return nil, err
	}
	if tmpl.SubjectKeyId, err = keyID(pub); err != nil {
		return nil, err
	}
	for _, u := range []struct {
		from string
		to   *[]string
	}{
		{a.IssuerURL, &tmpl.IssuingCertificateURL},
		{a.OCSPURL, &tmpl.OCSPServer},
		{a.CRLURL, &tmpl.CRLDistributionPoints},
	} {
		if u.from != "" {
			*u.to = []string{u.from}
		}
	}
	return a.issue(tmpl, pub, v, x509.ExtKeyUsageServerAuth)
}

// checkDNSName refuses what is not a host name (RFC 1123 section 2.1): labels
// of letters, digits, hyphens and, as networks have them, underscores; the first of which may be an asterisk.
func checkDNSName(s string) error {
	bad := fmt.Errorf("%.80q is not a host name", s)
	rest := strings.TrimPrefix(s, "*.")
	if rest == "" || len(s) > 253 {
		return bad
	}
	for label := range strings.SplitSeq(rest, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return bad
		}
		for i := range len(label) {
			switch c := label[i]; {
			case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_':
			default:
				return bad
			}
		}
	}
	return nil
}
