package portal

import (
	"context"
	"crypto/x509"
	"fmt"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
)

// Certificate is a push certificate that was issued.
type Certificate struct {
	// Serial is the serial number in hex.
	Serial    string
	App       apns.Topic
	Kind      credential.PushKind
	NotBefore time.Time
	NotAfter  time.Time
	// DER is what is downloaded as .cer.
	DER []byte
}

// maxActive is how many certificates of a kind an App ID may have that have
// not expired: one, and the next during its renewal.
const maxActive = 2

// IssueCertificate issues a push certificate for an app to the key that signed
// the certificate signing request, PEM or DER. It returns a Refusal if there
// is no such app, the request is not good enough, or two certificates of the
// kind are active.
func (p *Portal) IssueCertificate(ctx context.Context, app apns.Topic, kind credential.PushKind, csr []byte) (Certificate, error) {
	req, err := credential.ParseRequest(csr)
	if err != nil {
		return Certificate{}, &Refusal{err}
	}
	by := p.authority.providers
	now := time.Now()
	var issued Certificate
	err = p.store.Update(ctx, func(tx Tx) error {
		var a App
		if err := get(tx, kindApp, string(app), &a); err != nil {
			return refuse("App ID %q: %w", app, err)
		}
		var t Team
		if err := get(tx, kindTeam, string(a.Team), &t); err != nil {
			return err
		}
		active := 0
		err := each(tx, kindCertificate, func(c *Certificate) error {
			if c.App == app && c.Kind == kind && now.Before(c.NotAfter) {
				active++
			}
			return nil
		})
		if err != nil {
			return err
		}
		if active >= maxActive {
			return refuse("%d %s certificates are active for %s, and no more than %d may be; revoke one", active, kind, app, maxActive)
		}
		profile := credential.PushProfile{Kind: kind, BundleID: app, TeamID: t.ID, Organization: t.Name}
		cert, err := by.IssuePush(profile, req.PublicKey, validFor(kind.Lifetime(), by.Certificate))
		if err != nil {
			return &Refusal{err}
		}
		issued = Certificate{
			Serial: serial(cert), App: app, Kind: kind,
			NotBefore: cert.NotBefore, NotAfter: cert.NotAfter, DER: cert.Raw,
		}
		return put(tx, kindCertificate, issued.Serial, issued)
	})
	if err != nil {
		return Certificate{}, fmt.Errorf("issuing certificate: %w", err)
	}
	return issued, nil
}

func serial(cert *x509.Certificate) string { return fmt.Sprintf("%032x", cert.SerialNumber) }

// ProviderIssuer returns the certificate that signs providers' certificates,
// to be bundled with them.
func (p *Portal) ProviderIssuer() *x509.Certificate { return p.authority.providers.Certificate }
