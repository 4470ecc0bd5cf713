package portal

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
)

const (
	// repeatWithin is how long a device that did not get the answer may ask
	// again for the same certificate.
	repeatWithin = 24 * time.Hour
	// maxFormer bounds the certificates of one device that are good at a time,
	// besides the newest.
	maxFormer = 8
)

// FormerCertificate is a certificate of a device that has a newer one, and is
// good until it expires or the device is revoked.
type FormerCertificate struct {
	Serial   string    `json:"serial"`
	NotAfter time.Time `json:"not_after"`
}

// ErrDeviceExpired says that the certificate of a device has expired. The
// device has to be activated anew.
var ErrDeviceExpired = errors.New("the certificate has expired")

// RenewDevice issues a further certificate to the device that cert names, to
// the key that signed the certificate signing request; the old one stays good
// until it expires. A request for the key of the newest certificate, within a
// day of its issue, gets that certificate again. That the one who asks has the
// key of cert, the caller has to check.
//
// The error wraps ErrDeviceExpired, is a Refusal of the request, or says why
// cert is not admitted.
func (p *Portal) RenewDevice(ctx context.Context, cert *x509.Certificate, csr []byte) (DeviceCertificate, error) {
	id, err := p.AdmitDevice(cert)
	if err != nil {
		return DeviceCertificate{}, fmt.Errorf("renewing device: %w", err)
	}
	by := p.authority.devices
	var d DeviceCertificate
	issued := false
	err = p.change(ctx, func(tx Tx) error {
		if err := get(tx, kindDevice, string(id), &d); err != nil {
			return err
		}
		if !d.Revoked.IsZero() { // since it was admitted
			return refuse(CodeDevice, "", "device %s is revoked", id)
		}
		req, err := credential.ParseRequest(csr)
		if err != nil {
			return &Refusal{Code: CodeRequest, Err: err}
		}
		now := time.Now().UTC()
		if now.Sub(d.Issued) < repeatWithin {
			if same, err := d.isFor(req.PublicKey); err != nil || same {
				return errors.Join(err, d.chain(by))
			}
		}
		former := slices.DeleteFunc(slices.Clone(d.Former), func(f FormerCertificate) bool { return now.After(f.NotAfter) })
		if len(former) >= maxFormer {
			return refuse(CodeTooMany, "One of them is good, or will expire.", "device %s has %d certificates already", id, maxFormer+1)
		}
		if now.Before(d.NotAfter) {
			former = append(former, FormerCertificate{d.Serial, d.NotAfter})
		}
		if d, err = issueTo(by, id, req); err != nil {
			return err
		}
		d.Former, issued = former, true
		if err := note(ctx, tx, "device.renew", string(id), "certificate %s after %s, request %s", d.Serial, Serial(cert), digest(req.Raw)); err != nil {
			return err
		}
		return put(tx, kindDevice, string(id), d)
	}, func() {
		if issued {
			p.devices[d.Serial] = time.Time{}
		}
	})
	if err != nil {
		return DeviceCertificate{}, fmt.Errorf("renewing device: %w", err)
	}
	return d, nil
}

// FormerDevice returns the device that a certificate of this portal names, even
// if it has expired or is revoked: for one that says it is no more. That the
// one who says so has the key, the caller has to check.
func (p *Portal) FormerDevice(cert *x509.Certificate) (apns.DeviceID, error) {
	_, err := cert.Verify(x509.VerifyOptions{
		Roots: p.DeviceRoots(), CurrentTime: cert.NotAfter.Add(-time.Second),
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return "", fmt.Errorf("device certificate: %w", err)
	}
	p.mu.RLock()
	_, known := p.devices[Serial(cert)]
	p.mu.RUnlock()
	if !known {
		return "", errors.New("device certificate: this portal has no record of it")
	}
	return credential.ParseDeviceCertificate(cert)
}

// issueTo issues a certificate for a device.
func issueTo(by credential.Authority, id apns.DeviceID, req *x509.CertificateRequest) (DeviceCertificate, error) {
	cert, err := by.IssueDevice(id, req.PublicKey, validFor(credential.DeviceLifetime, by.Certificate))
	if err != nil {
		return DeviceCertificate{}, &Refusal{Code: CodeRequest, Err: err}
	}
	if err := inspectDevice(cert, id, req.PublicKey); err != nil {
		return DeviceCertificate{}, err
	}
	return DeviceCertificate{
		Device: id, Serial: Serial(cert), Issued: time.Now().UTC(), NotAfter: cert.NotAfter, DER: cert.Raw,
		ChainPEM: credential.MarshalCertificatePEM(cert, by.Certificate),
	}, nil
}

// serials returns those of all certificates that may be good.
func (d *DeviceCertificate) serials() []string {
	all := []string{d.Serial}
	for _, f := range d.Former {
		all = append(all, f.Serial)
	}
	return all
}

// isFor reports whether d is for the key pub.
func (d *DeviceCertificate) isFor(pub any) (bool, error) {
	cert, err := x509.ParseCertificate(d.DER)
	if err != nil {
		return false, fmt.Errorf("record of device %s is damaged: %w", d.Device, err)
	}
	key, ok := pub.(interface{ Equal(x crypto.PublicKey) bool })
	return ok && key.Equal(cert.PublicKey), nil
}

// chain fills in ChainPEM, which is not stored.
func (d *DeviceCertificate) chain(by credential.Authority) error {
	cert, err := x509.ParseCertificate(d.DER)
	if err != nil {
		return fmt.Errorf("record of device %s is damaged: %w", d.Device, err)
	}
	d.ChainPEM = credential.MarshalCertificatePEM(cert, by.Certificate)
	return nil
}

// activated is what an activation led to, kept for a device that did not get
// the answer.
type activated struct {
	Device apns.DeviceID `json:"device"`
	At     time.Time     `json:"at"`
}

// activationKey names the activation of a key by a code.
func activationKey(code string, req *x509.CertificateRequest) (string, error) {
	fingerprint, err := credential.Fingerprint(req.PublicKey)
	if err != nil {
		return "", err
	}
	return hashCode(code) + "." + fingerprint, nil
}

// activatedBefore returns the device that a code activated for the same key
// lately, if it is to have its certificate again.
func activatedBefore(tx Tx, key string, e Enrolment, by credential.Authority) (d DeviceCertificate, again bool, err error) {
	var a activated
	if err := get(tx, kindActivation, key, &a); isNotFound(err) {
		return d, false, nil
	} else if err != nil {
		return d, false, err
	}
	now := time.Now()
	if !e.Revoked.IsZero() || e.expired(now) || now.Sub(a.At) > repeatWithin {
		return d, false, ErrEnrolmentCode
	}
	if err := get(tx, kindDevice, string(a.Device), &d); err != nil {
		return d, false, err
	}
	if !d.Revoked.IsZero() {
		return d, false, ErrEnrolmentCode
	}
	return d, true, d.chain(by)
}
