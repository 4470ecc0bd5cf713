package portal

import (
	"context"
	"crypto/sha256"
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
	// KeyReused warns that an earlier certificate of the team has the same key:
	// whoever has taken that one has taken this one too.
	KeyReused bool `json:"key_reused,omitempty"`
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

// maxIssued is how many certificates a team may be issued in issuedWithin: more
// than anyone needs, and few enough that a script gone wild fills no disk.
const (
	maxIssued    = 100
	issuedWithin = time.Hour
)

// IssueCertificate issues a push certificate for an app to the key that signed
// the certificate signing request, PEM or DER. Renewing is issuing again: the
// one before stays good until it expires or is revoked. It returns a Refusal
// if there is no such app, it is a wildcard, the request is not good enough,
// its key is another team's, two certificates of the kind are active, or the
// team was issued 100 within the hour.
func (p *Portal) IssueCertificate(ctx context.Context, app apns.Topic, kind credential.PushKind, csr []byte) (Certificate, error) {
	req, err := credential.ParseRequest(csr)
	if err != nil {
		return Certificate{}, &Refusal{Code: CodeRequest, Err: err, Hint: "`herald cert request` makes one, as Keychain's assistant does."}
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
		reused, err := mayIssue(tx, of, kind, fingerprint, now)
		if err != nil {
			return err
		}
		profile := credential.PushProfile{Kind: kind, BundleID: app, TeamID: of.team.ID, Organization: of.team.Name}
		cert, err := by.IssuePush(profile, req.PublicKey, validFor(kind.Lifetime(), by.Certificate))
		if err != nil {
			return &Refusal{Code: CodeRequest, Err: err}
		}
		if err := inspectPush(cert, profile, req.PublicKey); err != nil {
			return err
		}
		issued = Certificate{
			Serial: Serial(cert), App: app, Team: of.team.ID, Kind: kind, Subject: cert.Subject.CommonName,
			NotBefore: cert.NotBefore, NotAfter: cert.NotAfter, Key: fingerprint, KeyReused: reused, DER: cert.Raw,
		}
		if err := note(ctx, tx, "certificate.issue", issued.Serial, "%s, %s, key %s, request %s%s", app, kind, fingerprint, digest(req.Raw), warning(reused)); err != nil {
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

// digest returns the SHA-256 of a request, for the audit log.
func digest(request []byte) string { return fmt.Sprintf("%x", sha256.Sum256(request)) }

// warning is what the audit log says of a key.
func warning(reused bool) string {
	if reused {
		return ", the key was used before"
	}
	return ""
}

// mayIssue checks the rules between certificates, and reports whether the key
// has another one of the team.
func mayIssue(tx Tx, of certified, kind credential.PushKind, fingerprint string, now time.Time) (reused bool, _ error) {
	var active []string
	issued := 0
	err := each(tx, kindCertificate, func(c *Certificate) error {
		if c.Key == fingerprint && c.Team != of.team.ID {
			return refuse(CodeKeyReused, "Make a new key and request.", "the key of this request is another team's")
		}
		reused = reused || c.Key == fingerprint
		if c.Team == of.team.ID && now.Sub(c.NotBefore.Add(backdate)) < issuedWithin {
			issued++
		}
		if c.App == of.app.BundleID && c.Kind == kind && c.Active(now) {
			active = append(active, fmt.Sprintf("%s (expires %s)", c.Serial, c.NotAfter.Format(time.DateOnly)))
		}
		return nil
	})
	switch {
	case err != nil:
		return false, err
	case issued >= maxIssued:
		return false, refuse(CodeTooMany, "Try again in an hour.", "team %s was issued %d certificates within the hour, and no more may be", of.team.ID, issued)
	case len(active) >= maxActive:
		return false, refuse(CodeTwoActive, "Revoke one.", "two certificates are active for %s / %s: %s", of.app.BundleID, kind, strings.Join(active, ", "))
	}
	return reused, nil
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
