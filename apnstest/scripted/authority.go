package scripted

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"time"
)

// validity is how long the certificates of a gateway are good for, either way of
// now: longer than any test in virtual time runs.
const validity = 100 * 365 * 24 * time.Hour

// names are what the certificate of a gateway is for: Apple's names, so that a
// library that knows no others can be led here, and those of this machine.
var names = []string{
	Name, "localhost",
	"api.push.apple.com", "api.sandbox.push.apple.com", "api.development.push.apple.com",
	"api-manage-broadcast.push.apple.com", "api-manage-broadcast.sandbox.push.apple.com",
}

// authority is what a gateway is known by. Its keys are made anew each time and
// never leave the process.
type authority struct {
	root *x509.Certificate
	leaf tls.Certificate
}

func newAuthority() (*authority, error) {
	now := time.Now()
	template := func(serial int64, name string) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name},
			NotBefore: now.Add(-validity), NotAfter: now.Add(validity), BasicConstraintsValid: true,
		}
	}
	rootKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	root := template(1, "Scripted Gateway Root")
	root.IsCA, root.KeyUsage = true, x509.KeyUsageCertSign
	if root, err = issue(root, root, &rootKey.PublicKey, rootKey); err != nil {
		return nil, err
	}
	leafKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	leaf := template(2, Name)
	leaf.KeyUsage, leaf.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	leaf.DNSNames, leaf.IPAddresses = names, []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	if leaf, err = issue(leaf, root, &leafKey.PublicKey, rootKey); err != nil {
		return nil, err
	}
	return &authority{
		root: root,
		leaf: tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: leafKey, Leaf: leaf},
	}, nil
}

func issue(template, parent *x509.Certificate, key *ecdsa.PublicKey, by *ecdsa.PrivateKey) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key, by)
	if err != nil {
		return nil, fmt.Errorf("issuing a certificate: %w", err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("reading the certificate just issued: %w", err)
	}
	return c, nil
}
