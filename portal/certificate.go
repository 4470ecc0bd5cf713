package portal

import (
	"context"
	"crypto/x509"
	"fmt"
	"strings"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
)

// Certificate is a push certificate that was issued.
type Certificate struct {
	// Serial is the serial number, 32 lower-case hex digits.
	Serial    string              `json:"serial"`
	App       apns.Topic          `json:"app"`
	Team      apns.TeamID         `json:"team"`
	Kind      credential.PushKind `json:"kind"`
	Subject   string              `json:"subject"`
	NotBefore time.Time           `json:"not_before"`
	NotAfter  time.Time           `json:"not_after"`
	// Key is the SHA-256 of the public key (SubjectPublicKeyInfo), hex.
	Key string `json:"key_sha256"`
	// Revoked is when it was revoked, zero for one that was not.
	Revoked time.Time        `json:"revoked,omitzero"`
	Reason  RevocationReason `json:"reason,omitempty"`
	// DER is what is downloaded as .cer.
	DER []byte `json:"der"`
}

// Active reports whether c is neither revoked nor expired.
func (c Certificate) Active(now time.Time) bool {
	return c.Revoked.IsZero() && !now.After(c.NotAfter)
}

// maxActive is how many active certificates of a kind an App ID may have: one,
// and the next during its renewal (docs/protocol/certificates.md#rules).
const maxActive = 2

// IssueCertificate issues a push certificate for an app to the key that signed
// the certificate signing request, PEM or DER. Renewing is issuing again: the
// one before stays good until it expires or is revoked. It returns a Refusal
// if there is no such app, it is a wildcard, the request is not good enough,
// its key is another team's, or two certificates of the kind are active.
func (p *Portal) IssueCertificate(ctx context.Context, app apns.Topic, kind credential.PushKind, csr []byte) (Certificate, error) {
	req, err := credential.ParseRequest(csr)
	if err != nil {
		return Certificate{}, &Refusal{Code: CodeRequest, Err: err}
	}
	fingerprint, err := credential.Fingerprint(req.PublicKey)
	if err != nil {
		return Certificate{}, &Refusal{Code: CodeRequest, Err: err}
	}
	by := p.authority.providers
	now := time.Now()
	var issued Certificate
	err = p.change(ctx, func(tx Tx) error {
		of, err := getCertified(tx, app)
		if err != nil {
			return err
		}
		if err := mayIssue(tx, of, kind, fingerprint, now); err != nil {
			return err
		}
		profile := credential.PushProfile{Kind: kind, BundleID: app, TeamID: of.team.ID, Organization: of.team.Name}
		cert, err := by.IssuePush(profile, req.PublicKey, validFor(kind.Lifetime(), by.Certificate))
		if err != nil {
			return &Refusal{Code: CodeRequest, Err: err}
		}
		issued = Certificate{
			Serial: Serial(cert), App: app, Team: of.team.ID, Kind: kind, Subject: cert.Subject.CommonName,
			NotBefore: cert.NotBefore, NotAfter: cert.NotAfter, Key: fingerprint, DER: cert.Raw,
		}
		if err := note(ctx, tx, "certificate.issue", issued.Serial, "%s, %s, key %s", app, kind, fingerprint); err != nil {
			return err
		}
		return put(tx, kindCertificate, issued.Serial, issued)
	}, func() {
		p.certificates[issued.Serial] = &issued
	})
	if err != nil {
		return Certificate{}, fmt.Errorf("issuing certificate: %w", err)
	}
	return issued, nil
}

// mayIssue checks the rules between certificates.
func mayIssue(tx Tx, of certified, kind credential.PushKind, fingerprint string, now time.Time) error {
	var active []string
	err := each(tx, kindCertificate, func(c *Certificate) error {
		if c.Key == fingerprint && c.Team != of.team.ID {
			return refuse(CodeKeyReused, "Make a new key and request.", "the key of this request is another team's")
		}
		if c.App == of.app.BundleID && c.Kind == kind && c.Active(now) {
			active = append(active, fmt.Sprintf("%s (expires %s)", c.Serial, c.NotAfter.Format(time.DateOnly)))
		}
		return nil
	})
	if err != nil {
		return err
	}
	if len(active) >= maxActive {
		return refuse(CodeTwoActive, "Revoke one.", "two certificates are active for %s / %s: %s", of.app.BundleID, kind, strings.Join(active, ", "))
	}
	return nil
}

// Serial returns the serial number of a certificate as it is written here, 32
// lower-case hex digits.
func Serial(cert *x509.Certificate) string { return fmt.Sprintf("%032x", cert.SerialNumber) }

// Certificates returns all push certificates ever issued, by serial number.
func (p *Portal) Certificates(ctx context.Context) (certs []Certificate, err error) {
	err = p.store.View(ctx, func(tx Tx) error {
		return each(tx, kindCertificate, func(c *Certificate) error { certs = append(certs, *c); return nil })
	})
	return certs, err
}

// Certificate returns one push certificate, or a Refusal.
func (p *Portal) Certificate(serial string) (Certificate, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if c, ok := p.certificates[normalSerial(serial)]; ok {
		return *c, nil
	}
	return Certificate{}, errNoCertificate(serial)
}

func errNoCertificate(serial string) *Refusal {
	return refuse(CodeCertificate, "`herald portal cert list` shows the serial numbers.", "there is no certificate %q", serial)
}

// normalSerial returns a serial number as it is stored: people write it in
// upper case, with colons, and without leading zeros.
func normalSerial(s string) string {
	s = strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(s, "0x"), ":", ""))
	if len(s) < 32 {
		s = strings.Repeat("0", 32-len(s)) + s
	}
	return s
}

// ProviderIssuer returns the certificate that signs providers' certificates,
// to be bundled with them.
func (p *Portal) ProviderIssuer() *x509.Certificate { return p.authority.providers.Certificate }
