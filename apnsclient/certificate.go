package apnsclient

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
)

// pushCertificate is the certificate that a sender presents, and what it
// allows. Nil stands for none.
type pushCertificate struct {
	credential.PushCertificate
	leaf *x509.Certificate
}

func readCertificate(c *tls.Certificate) (*pushCertificate, error) {
	if len(c.Certificate) == 0 || c.PrivateKey == nil {
		return nil, &CheckError{
			apns.BadCertificate, "the certificate is empty or has no private key",
			"read both from one file, with credential.ParseIdentityPEM",
		}
	}
	leaf := c.Leaf
	if leaf == nil {
		var err error
		if leaf, err = x509.ParseCertificate(c.Certificate[0]); err != nil {
			return nil, fmt.Errorf("push sender: reading the certificate: %w", err)
		}
	}
	p := &pushCertificate{leaf: leaf}
	var err error
	if p.PushCertificate, err = credential.ParsePushCertificate(leaf); errors.Is(err, credential.ErrNotPush) {
		return nil, &CheckError{
			apns.BadCertificate, fmt.Sprintf("the certificate %q is no push certificate", p.name()),
			"make one for the app's bundle ID in the developer portal",
		}
	} else if err != nil {
		return nil, fmt.Errorf("push sender: reading the certificate: %w", err)
	}
	return p, nil
}

// name returns the common name of the certificate, empty if there is none.
func (p *pushCertificate) name() string {
	if p == nil {
		return ""
	}
	return p.leaf.Subject.CommonName
}

// topics lists what the certificate is for, for people.
func (p *pushCertificate) topics() string {
	s := make([]string, len(p.Topics))
	for i, t := range p.Topics {
		s[i] = string(t)
	}
	return strings.Join(s, ", ")
}

// check says whether the certificate is good at the given time for the
// environment e.
func (p *pushCertificate) check(e apns.Environment, now time.Time) error {
	const renew = "make a new one in the developer portal"
	switch {
	case now.After(p.leaf.NotAfter):
		return &CheckError{
			apns.BadCertificate,
			fmt.Sprintf("the certificate %q expired on %s", p.name(), p.leaf.NotAfter.UTC().Format(time.DateOnly)), renew,
		}
	case now.Before(p.leaf.NotBefore):
		return &CheckError{
			apns.BadCertificate,
			fmt.Sprintf("the certificate %q is not valid before %s", p.name(), p.leaf.NotBefore.UTC().Format(time.RFC3339)),
			"see whether the clock of this machine is right",
		}
	case !p.Allows(e):
		other := apns.Sandbox
		if e == apns.Sandbox {
			other = apns.Production
		}
		return &CheckError{
			apns.BadCertificateEnvironment,
			fmt.Sprintf("the certificate %q is for %s, not for %s", p.name(), other, e),
			"send to " + other.String() + " with it, or make one for " + e.String(),
		}
	}
	return nil
}
