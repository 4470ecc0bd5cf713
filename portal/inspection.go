package portal

import (
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
)

// What is issued is read back and compared with what was to be issued before it
// is stored (docs/protocol/certificates.md#issuance): a mistake would be good
// for more than a year, in hands that are not ours.

// inspectPush compares a push certificate with what was asked for.
func inspectPush(cert *x509.Certificate, want credential.PushProfile, pub crypto.PublicKey) error {
	got, err := credential.ParsePushCertificate(cert)
	if err != nil {
		return inspection(err)
	}
	if want.Kind == credential.PushMDM {
		want.TeamID = "" // of which such a certificate says nothing
	}
	switch {
	case got.Kind != want.Kind:
		return inspection(fmt.Errorf("its kind is %s, not %s", got.Kind, want.Kind))
	case got.TeamID != want.TeamID:
		return inspection(fmt.Errorf("its team is %q, not %q", got.TeamID, want.TeamID))
	}
	for _, t := range got.Topics {
		if t.BundleID() != want.BundleID {
			return inspection(fmt.Errorf("it has the topic %s, which is not of %s", t, want.BundleID))
		}
	}
	return inspectLeaf(cert, pub)
}

// inspectDevice compares a device's certificate with what was asked for.
func inspectDevice(cert *x509.Certificate, want apns.DeviceID, pub crypto.PublicKey) error {
	got, err := credential.ParseDeviceCertificate(cert)
	if err != nil {
		return inspection(err)
	}
	if got != want {
		return inspection(fmt.Errorf("its device is %s, not %s", got, want))
	}
	return inspectLeaf(cert, pub)
}

// inspectLeaf checks what holds for whoever has to prove who it is.
func inspectLeaf(cert *x509.Certificate, pub crypto.PublicKey) error {
	got, err := credential.Fingerprint(cert.PublicKey)
	if err != nil {
		return inspection(err)
	}
	want, err := credential.Fingerprint(pub)
	switch {
	case err != nil:
		return inspection(err)
	case got != want:
		return inspection(fmt.Errorf("its key is %s, not %s", got, want))
	case cert.IsCA || !cert.BasicConstraintsValid:
		return inspection(errors.New("it could issue others"))
	case cert.KeyUsage != x509.KeyUsageDigitalSignature:
		return inspection(fmt.Errorf("its key usage is %b", cert.KeyUsage))
	case !slices.Equal(cert.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}):
		return inspection(fmt.Errorf("its extended key usages are %v", cert.ExtKeyUsage))
	case len(cert.DNSNames)+len(cert.IPAddresses)+len(cert.URIs)+len(cert.EmailAddresses) > 0:
		return inspection(errors.New("it has names of a server"))
	}
	return nil
}

// inspection says that this side made a mistake.
func inspection(err error) error { return fmt.Errorf("certificate is not as asked for: %w", err) }
