package apnsclient

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
)

// pushCertificate is the certificate that a sender presents, and what it
// allows. Nil stands for none.
type pushCertificate struct {
	credential.PushCertificate
	leaf *x509.Certificate
	pair *tls.Certificate
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
	p := &pushCertificate{leaf: leaf, pair: c}
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

// app returns the bundle ID that all its topics are of, empty if there are several.
func (p *pushCertificate) app() apns.Topic {
	var app apns.Topic
	for _, t := range p.Topics {
		if id := t.BundleID(); app == "" {
			app = id
		} else if id != app {
			return ""
		}
	}
	return app
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

// presented is the certificate of a sender, which its file may replace. It is safe
// for concurrent use.
type presented struct {
	environment apns.Environment
	file        *CertificateFile // nil if there is never another
	current     atomic.Pointer[pushCertificate]
}

// newPresented returns what a sender presents: c, or what is in the file. The
// error is a *CheckError for one that can not do the work.
func newPresented(e apns.Environment, c *tls.Certificate, file *CertificateFile) (*presented, error) {
	if file != nil {
		c = file.Certificate()
	}
	first, err := readCertificate(c)
	if err != nil {
		return nil, err
	}
	if err := first.check(e, time.Now()); err != nil {
		return nil, err
	}
	p := &presented{environment: e, file: file}
	p.current.Store(first)
	return p, nil
}

// get returns what to present on a new connection.
func (p *presented) get() (*tls.Certificate, error) { return p.newest().pair, nil }

// newest looks whether there is another certificate in the file, and returns the
// one to use from now on. One that is good for nothing is left there.
func (p *presented) newest() *pushCertificate {
	old := p.current.Load()
	if p.file == nil {
		return old
	}
	pair := p.file.Certificate()
	if pair == old.pair {
		return old
	}
	c, err := readCertificate(pair)
	if err != nil || c.check(p.environment, time.Now()) != nil {
		return old
	}
	p.current.Store(c)
	return c
}
