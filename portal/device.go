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

// Enrolment is what is known of an enrolment code. The code itself is not: it
// is stored by its hash.
type Enrolment struct {
	// ID names it to people: the first digits of the hash.
	ID string `json:"id"`
	// Uses is how many devices it may still activate; negative means any number.
	Uses    int       `json:"uses"`
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires,omitzero"` // zero means never
	// Revoked is when it was taken back, zero for one that was not.
	Revoked time.Time `json:"revoked,omitzero"`
}

// good reports whether e may activate a device now.
func (e Enrolment) good(now time.Time) bool {
	return e.Uses != 0 && !e.expired(now)
}

func (e Enrolment) expired(now time.Time) bool { return !e.Expires.IsZero() && now.After(e.Expires) }

// DeviceCertificate is the newest certificate that was issued to a device.
type DeviceCertificate struct {
	Device   apns.DeviceID `json:"device"`
	Serial   string        `json:"serial"`
	Issued   time.Time     `json:"issued"`
	NotAfter time.Time     `json:"not_after"`
	// Revoked is when the device was revoked, with all its certificates; zero
	// for one that was not.
	Revoked time.Time `json:"revoked,omitzero"`
	// Former are the earlier ones that had not expired at Issued.
	Former []FormerCertificate `json:"former,omitempty"`
	DER    []byte              `json:"der"`
	// ChainPEM is the certificate and its issuer's as text. It is not stored.
	ChainPEM []byte `json:"-"`
}

// enrolmentIDLength is how many hex digits name an enrolment code.
const enrolmentIDLength = 12

// CreateEnrolmentCode returns a new code that activates the given number of
// devices, any number if uses is negative, until it expires; never if validFor
// is zero. The code is returned this once, with what is kept of it. It returns a
// Refusal for a code that would be of no use.
func (p *Portal) CreateEnrolmentCode(ctx context.Context, uses int, validFor time.Duration) (Enrolment, string, error) {
	if uses == 0 || validFor < 0 {
		return Enrolment{}, "", refuse(CodeEnrolment, "", "an enrolment code for %d devices, for %v, is of no use", uses, validFor)
	}
	code := rand.Text()
	hash := hashCode(code)
	e := Enrolment{ID: hash[:enrolmentIDLength], Uses: uses, Created: time.Now().UTC()}
	if validFor != 0 {
		e.Expires = e.Created.Add(validFor)
	}
	err := p.store.Update(ctx, func(tx Tx) error {
		if err := note(ctx, tx, "enrolment.create", e.ID, "%d uses", uses); err != nil {
			return err
		}
		return put(tx, kindEnrolment, hash, e)
	})
	if err != nil {
		return Enrolment{}, "", fmt.Errorf("creating enrolment code: %w", err)
	}
	return e, code, nil
}

// Enrolments returns all enrolment codes that may still be used.
func (p *Portal) Enrolments(ctx context.Context) (codes []Enrolment, err error) {
	err = p.store.View(ctx, func(tx Tx) error {
		return each(tx, kindEnrolment, func(e *Enrolment) error {
			if e.good(time.Now()) {
				codes = append(codes, *e)
			}
			return nil
		})
	})
	return codes, err
}

// RevokeEnrolmentCode takes back an enrolment code, by its ID.
func (p *Portal) RevokeEnrolmentCode(ctx context.Context, id string) error {
	err := p.store.Update(ctx, func(tx Tx) error {
		hash := ""
		var found Enrolment
		err := tx.Each(kindEnrolment, func(key string, _ []byte) error {
			if len(key) >= enrolmentIDLength && key[:enrolmentIDLength] == id {
				hash = key
			}
			return nil
		})
		if err != nil {
			return err
		}
		if hash == "" {
			return refuse(CodeEnrolment, "`herald portal device codes` names them.", "there is no enrolment code %q", id)
		}
		if err := get(tx, kindEnrolment, hash, &found); err != nil {
			return err
		}
		found.Uses, found.Revoked = 0, time.Now().UTC()
		if err := note(ctx, tx, "enrolment.revoke", id, ""); err != nil {
			return err
		}
		return put(tx, kindEnrolment, hash, found)
	})
	if err != nil {
		return fmt.Errorf("revoking enrolment code: %w", err)
	}
	return nil
}

// Devices returns all devices ever activated, by ID.
func (p *Portal) Devices(ctx context.Context) (devices []DeviceCertificate, err error) {
	err = p.store.View(ctx, func(tx Tx) error {
		return each(tx, kindDevice, func(d *DeviceCertificate) error { devices = append(devices, *d); return nil })
	})
	return devices, err
}

func hashCode(code string) string {
	h := sha256.Sum256([]byte(code))
	return hex.EncodeToString(h[:])
}

// ActivateDevice issues a certificate to a new device: to the key that signed
// its certificate signing request, under a new ID. The code is used only if
// that succeeds. The same code with the same key again, within a day and the
// validity of the code, is the question of a device that did not get the
// answer: it gets its certificate, and the code is not used again. It returns
// ErrEnrolmentCode for a code that is not good, and a Refusal for a request that
// is not.
func (p *Portal) ActivateDevice(ctx context.Context, code string, csr []byte) (DeviceCertificate, error) {
	id := apns.DeviceID(apns.NewUUID())
	by := p.authority.devices
	var issued DeviceCertificate
	again := false
	err := p.change(ctx, func(tx Tx) error {
		var e Enrolment
		switch err := get(tx, kindEnrolment, hashCode(code), &e); {
		case isNotFound(err):
			return ErrEnrolmentCode
		case err != nil:
			return err
		case e.expired(time.Now()):
			return ErrEnrolmentCode
		}
		req, err := credential.ParseRequest(csr) // after the code: no work for strangers
		if err != nil && e.Uses == 0 {
			return ErrEnrolmentCode
		}
		if err != nil {
			return &Refusal{Code: CodeRequest, Err: err}
		}
		key, err := activationKey(code, req)
		if err != nil {
			return &Refusal{Code: CodeRequest, Err: err}
		}
		if issued, again, err = activatedBefore(tx, key, e, by); err != nil || again {
			return err
		}
		if !e.good(time.Now()) {
			return ErrEnrolmentCode
		}
		if issued, err = issueTo(by, id, req); err != nil {
			return err
		}
		if err := put(tx, kindActivation, key, activated{Device: id, At: issued.Issued}); err != nil {
			return err
		}
		if e.Uses > 0 {
			e.Uses--
			if err := put(tx, kindEnrolment, hashCode(code), e); err != nil {
				return err
			}
		}
		if err := note(ctx, tx, "device.activate", string(id), "enrolment %s, certificate %s, request %s", e.ID, issued.Serial, digest(req.Raw)); err != nil {
			return err
		}
		return put(tx, kindDevice, string(id), issued)
	}, func() {
		if !again {
			p.devices[issued.Serial] = time.Time{}
		}
	})
	if err != nil {
		return DeviceCertificate{}, fmt.Errorf("activating device: %w", err)
	}
	return issued, nil
}

// AdmitDevice returns the device that a certificate names, if this portal
// issued it, it is valid now and not revoked. The error wraps ErrDeviceExpired
// if nothing but its time is over. That the one who shows it has its key, the
// caller has to check.
func (p *Portal) AdmitDevice(cert *x509.Certificate) (apns.DeviceID, error) {
	if err := p.vouch(cert); err != nil {
		return "", err
	}
	p.mu.RLock()
	revoked, known := p.devices[Serial(cert)]
	p.mu.RUnlock()
	switch {
	case !known:
		return "", errors.New("device certificate: this portal has no record of it")
	case !revoked.IsZero():
		return "", fmt.Errorf("device certificate: revoked at %s", revoked.Format(time.RFC3339))
	}
	return credential.ParseDeviceCertificate(cert)
}

// vouch returns why this portal's authority does not vouch for a certificate of a
// device now, nil if it does. Of one that it has seen before it does not check the
// signature again.
func (p *Portal) vouch(cert *x509.Certificate) error {
	if p.vouched.known(cert, time.Now()) {
		return nil
	}
	chains, err := cert.Verify(x509.VerifyOptions{
		Roots:     p.DeviceRoots(),
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if expired, ok := errors.AsType[x509.CertificateInvalidError](err); ok && expired.Reason == x509.Expired && time.Now().After(cert.NotAfter) {
		if _, err := p.FormerDevice(cert); err == nil {
			return fmt.Errorf("device certificate: %w, on %s", ErrDeviceExpired, cert.NotAfter.Format(time.DateOnly))
		}
	}
	if err != nil {
		return fmt.Errorf("device certificate: %w", err)
	}
	p.vouched.add(cert, chains)
	return nil
}
