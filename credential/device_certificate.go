package credential

import (
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"

	"github.com/heraldpush/herald/apns"
)

// DeviceLifetime is how long the certificate of a device is to be valid. The
// agent renews it after two thirds of it.
const DeviceLifetime = 90 * day

// IssueDevice makes a device's certificate for the public key pub. Its
// subject is the UUID id and nothing else
// (docs/protocol/certificates.md#device-certificates).
func (a Authority) IssueDevice(id apns.DeviceID, pub crypto.PublicKey, v Validity) (*x509.Certificate, error) {
	cert, err := a.issueDevice(id, pub, v)
	if err != nil {
		return nil, fmt.Errorf("device certificate: %w", err)
	}
	return cert, nil
}

func (a Authority) issueDevice(id apns.DeviceID, pub crypto.PublicKey, v Validity) (*x509.Certificate, error) {
	if err := a.check(); err != nil {
		return nil, err
	}
	if !validUUID(string(id)) {
		return nil, fmt.Errorf("device ID %.80q is not a UUID", string(id))
	}
	subject, err := name{{oidCommonName, asn1.TagUTF8String, string(id)}}.marshal()
	if err != nil {
		return nil, err
	}
	ski, err := keyID(pub)
	if err != nil {
		return nil, err
	}
	e := a.leafExtensions(ski, oidClientAuth)
	if e.err != nil {
		return nil, e.err
	}
	return a.issue(&x509.Certificate{RawSubject: subject, ExtraExtensions: e.list}, pub, v, x509.ExtKeyUsageClientAuth)
}

// ParseDeviceCertificate returns the device that a certificate names. It does
// not ask who issued the certificate, nor whether it is still valid.
func ParseDeviceCertificate(cert *x509.Certificate) (apns.DeviceID, error) {
	n, err := parseName(cert.RawSubject)
	if err != nil {
		return "", fmt.Errorf("device certificate: %w", err)
	}
	if len(n) != 1 || !n[0].oid.Equal(oidCommonName) {
		return "", errors.New("device certificate: the subject is not a common name alone")
	}
	if !validUUID(n[0].value) {
		return "", fmt.Errorf("device certificate: common name %.80q is not a UUID", n[0].value)
	}
	return apns.DeviceID(n[0].value), nil
}

// validUUID reports whether s is a UUID: 8-4-4-4-12 hex digits.
func validUUID(s string) bool {
	return apns.NotificationID(s).Valid() // the same form
}
