package credential

import (
	"crypto"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/asn1"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/apns"
)

const phone = apns.DeviceID("eabeae54-14a8-41e5-b60b-1697f925ec7b")

func TestIssueDevice(t *testing.T) {
	all := newAuthorities(t, IntermediateProfile{PermittedDNS: []string{"localhost"}})
	v := Validity{oneYear.NotBefore, oneYear.NotBefore.Add(DeviceLifetime)}
	for name, key := range map[string]crypto.Signer{"P-256": newECKey(t, elliptic.P256()), "RSA": rsaKey()} {
		t.Run(name, func(t *testing.T) {
			cert, err := all.devices.IssueDevice(phone, key.Public(), v)
			if err != nil {
				t.Fatal(err)
			}
			if err := all.verify(cert, all.devices, x509.ExtKeyUsageClientAuth); err != nil {
				t.Errorf("chain: %v", err)
			}
			if err := all.verify(cert, all.providers, x509.ExtKeyUsageClientAuth); err == nil {
				t.Error("chain: also under the authority for providers")
			}
			want := []subjectLine{{"2.5.4.3", asn1.TagUTF8String, string(phone)}}
			if diff := cmp.Diff(want, walkSubject(t, cert.RawSubject)); diff != "" {
				t.Errorf("subject (-want +got):\n%s", diff)
			}
			got, err := ParseDeviceCertificate(cert)
			if err != nil || got != phone {
				t.Errorf("parsed: got %q, %v, want %q", got, err, phone)
			}
			if _, err := ParsePushCertificate(cert); err == nil {
				t.Error("it is a push certificate")
			}
		})
	}
	_, err := all.devices.IssueDevice("phone", rsaKey().Public(), v)
	wantError(t, err, "not a UUID")
	_, err = all.devices.IssueDevice(phone, weakRSAKey().Public(), v)
	wantError(t, err, "RSA with 1024 bits")
	_, err = Authority{}.IssueDevice(phone, rsaKey().Public(), v)
	wantError(t, err, "no certificate")
}

func TestParseDeviceCertificateRefused(t *testing.T) {
	cn := attribute{oidCommonName, asn1.TagUTF8String, string(phone)}
	for name, subject := range map[string]name{
		"empty":     {},
		"no UUID":   {{oidCommonName, asn1.TagUTF8String, "phone"}},
		"user ID":   {{oidUserID, asn1.TagUTF8String, string(phone)}},
		"more":      {cn, {oidCountry, asn1.TagPrintableString, "US"}},
		"two names": {cn, cn},
	} {
		if _, err := ParseDeviceCertificate(handmade(t, subject)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
