package portal

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
)

// ErrEnrolmentCode says that an enrolment code is unknown, used up or expired.
// It does not say which, as one who guesses should not learn it.
var ErrEnrolmentCode = errors.New("enrolment code refused")

// enrolment is an enrolment code, stored by its hash.
type enrolment struct {
	// Uses is how many devices it may still activate; negative means any number.
	Uses    int
	Expires time.Time // zero means never
}

// DeviceCertificate is a certificate that was issued to a device.
type DeviceCertificate struct {
	Device   apns.DeviceID
	Serial   string
	NotAfter time.Time
	DER      []byte
	// ChainPEM is the certificate and its issuer's as text. It is not stored.
	ChainPEM []byte `json:"-"`
}

// CreateEnrolmentCode returns a new code that activates the given number of
// devices, any number if uses is negative, until it expires; never if validFor
// is zero. The code is returned this once and not kept.
func (p *Portal) CreateEnrolmentCode(ctx context.Context, uses int, validFor time.Duration) (string, error) {
	code := rand.Text()
	e := enrolment{Uses: uses}
	if validFor != 0 {
		e.Expires = time.Now().Add(validFor).UTC()
	}
	if err := p.store.Update(ctx, func(tx Tx) error { return put(tx, kindEnrolment, hashCode(code), e) }); err != nil {
		return "", fmt.Errorf("creating enrolment code: %w", err)
	}
	return code, nil
}

func hashCode(code string) string {
	h := sha256.Sum256([]byte(code))
	return hex.EncodeToString(h[:])
}

// ActivateDevice issues a certificate to a new device: to the key that signed
// its certificate signing request, under a new ID. The code is used only if
// that succeeds. It returns ErrEnrolmentCode for a code that is not good, and
// a Refusal for a request that is not.
func (p *Portal) ActivateDevice(ctx context.Context, code string, csr []byte) (DeviceCertificate, error) {
	id := apns.DeviceID(apns.NewUUID())
	by := p.authority.devices
	var issued DeviceCertificate
	err := p.store.Update(ctx, func(tx Tx) error {
		var e enrolment
		switch err := get(tx, kindEnrolment, hashCode(code), &e); {
		case errors.Is(err, ErrNotFound):
			return ErrEnrolmentCode
		case err != nil:
			return err
		case e.Uses == 0, !e.Expires.IsZero() && time.Now().After(e.Expires):
			return ErrEnrolmentCode
		}
		req, err := credential.ParseRequest(csr) // after the code: no work for strangers
		if err != nil {
			return &Refusal{err}
		}
		cert, err := by.IssueDevice(id, req.PublicKey, validFor(credential.DeviceLifetime, by.Certificate))
		if err != nil {
			return &Refusal{err}
		}
		issued = DeviceCertificate{
			Device: id, Serial: serial(cert), NotAfter: cert.NotAfter, DER: cert.Raw,
			ChainPEM: credential.MarshalCertificatePEM(cert, by.Certificate),
		}
		if e.Uses > 0 {
			e.Uses--
			if err := put(tx, kindEnrolment, hashCode(code), e); err != nil {
				return err
			}
		}
		return put(tx, kindDevice, string(id), issued)
	})
	if err != nil {
		return DeviceCertificate{}, fmt.Errorf("activating device: %w", err)
	}
	return issued, nil
}

// AdmitDevice returns the device that a certificate names, if this portal
// issued it and it is valid now. That the one who shows it has its key, the
// caller has to check.
func (p *Portal) AdmitDevice(cert *x509.Certificate) (apns.DeviceID, error) {
	_, err := cert.Verify(x509.VerifyOptions{
		Roots:     p.DeviceRoots(),
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return "", fmt.Errorf("device certificate: %w", err)
	}
	return credential.ParseDeviceCertificate(cert)
}
