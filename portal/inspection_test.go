package portal

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
)

// TestInspection proves that what was issued by mistake is not handed out.
func TestInspection(t *testing.T) {
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	newKey := func() *ecdsa.PrivateKey {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		must(err)
		return key
	}
	rootKey, key, other := newKey(), newKey(), newKey()
	root, err := credential.NewRoot("Example Root", rootKey, validFor(rootLifetime, nil))
	must(err)
	providersKey := newKey()
	providers, err := credential.Authority{Certificate: root, Key: rootKey}.IssueIntermediate(
		credential.IntermediateProfile{Name: "Example Providers", Purpose: credential.ForProviders}, providersKey.Public(), validFor(intermediateLifetime, root))
	must(err)
	by := credential.Authority{Certificate: providers, Key: providersKey}
	good := credential.PushProfile{Kind: credential.PushUniversal, BundleID: "com.example.demo", TeamID: "ABCDE12345", Organization: "Example"}
	issue := func(p credential.PushProfile) *x509.Certificate {
		cert, err := by.IssuePush(p, key.Public(), validFor(time.Hour, providers))
		must(err)
		return cert
	}
	changed := func(change func(*credential.PushProfile)) credential.PushProfile {
		p := good
		change(&p)
		return p
	}
	id := apns.DeviceID(apns.NewUUID())
	device, err := by.IssueDevice(id, key.Public(), validFor(time.Hour, providers))
	must(err)
	altered := func(change func(*x509.Certificate)) *x509.Certificate {
		cert := *issue(good)
		change(&cert)
		return &cert
	}

	kinds := map[credential.PushKind]apns.Topic{
		credential.PushSandbox: good.BundleID, credential.PushUniversal: good.BundleID, credential.PushVoIP: good.BundleID,
		credential.PushComplication: good.BundleID, credential.PushPass: "pass.com.example.demo", credential.PushWebsite: "web.com.example.demo",
		credential.PushMDM: "com.apple.mgmt.External.eabeae54-14a8-41e5-b60b-1697f925ec7b",
	}
	for kind, bundleID := range kinds {
		p := changed(func(p *credential.PushProfile) { p.Kind, p.BundleID = kind, bundleID })
		if err := inspectPush(issue(p), p, key.Public()); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
	if err := inspectDevice(device, id, key.Public()); err != nil {
		t.Errorf("device: %v", err)
	}

	for _, tt := range []struct {
		name, want string
		err        error
	}{
		{"kind", "kind", inspectPush(issue(good), changed(func(p *credential.PushProfile) { p.Kind = credential.PushSandbox }), key.Public())},
		{"team", "team", inspectPush(issue(good), changed(func(p *credential.PushProfile) { p.TeamID = "ZZZZZ12345" }), key.Public())},
		{"app", "topic", inspectPush(issue(good), changed(func(p *credential.PushProfile) { p.BundleID = "com.example.other" }), key.Public())},
		{"key", "key", inspectPush(issue(good), good, other.Public())},
		{"no push certificate", "not a push certificate", inspectPush(device, good, key.Public())},
		{"authority", "issue others", inspectPush(altered(func(c *x509.Certificate) { c.IsCA = true }), good, key.Public())},
		{"usage", "key usage", inspectPush(altered(func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageCertSign }), good, key.Public())},
		{"purpose", "extended key usages", inspectPush(altered(func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}
		}), good, key.Public())},
		{"server", "names", inspectPush(altered(func(c *x509.Certificate) { c.DNSNames = []string{"localhost"} }), good, key.Public())},
		{"device", "device", inspectDevice(device, apns.DeviceID(apns.NewUUID()), key.Public())},
		{"device's key", "key", inspectDevice(device, id, other.Public())},
		{"no device", "common name", inspectDevice(issue(good), id, key.Public())},
	} {
		if tt.err == nil || !strings.Contains(tt.err.Error(), tt.want) {
			t.Errorf("%s: got %v, want an error with %q", tt.name, tt.err, tt.want)
		}
	}
}
