package credential

import (
	"bytes"
	"crypto"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"flag"
	"math/big"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/heraldpush/herald/apns"
)

var (
	update = flag.Bool("update", false, "write the golden files as they turn out")
	remake = flag.Bool("remake", false, "make the files of testdata/files anew; -update is needed afterwards")
)

// inspected are one file of every kind, by its name in testdata, and what
// Inspect is given besides.
var inspected = []struct {
	golden   string // the name of the golden files
	file     string
	password string // what is answered; "-" has nobody to ask
	failed   Code   // why Inspect could not read it; what is wrong besides is in the report
}{
	{"sandbox.cer", "files/aps_developer_identity.cer", "-", ""},
	{"universal.pem", "files/aps.pem", "-", ""},
	{"pass.cer", "files/pass.cer", "-", ""},
	{"mdm.cer", "files/mdm.cer", "-", ""},
	{"identity.p12", "files/aps_developer_identity.p12", "herald", ""},
	{"wrong-password.p12", "files/aps_developer_identity.p12", "Herald", CodePassword},
	{"no-password.p12", "files/aps_developer_identity.p12", "-", CodePassword},
	{"key-only.p12", "files/Push.p12", "herald", ""},
	{"two-identities.p12", "files/two.p12", "herald", ""},
	{"keychain.p12", "pkcs12/identity-rc2-40.p12", "herald", ""},
	{"no-mac.p12", "pkcs12/identity-no-mac.p12", "herald", ""},
	{"camellia.p12", "pkcs12/camellia.p12", "herald", CodeUnsupported},
	{"provider-key.p8", "files/AuthKey_2X9R4HXF34.p8", "-", ""},
	{"mangled.p8", "files/AuthKey_7QK2M4ZT6B.p8", "-", ""},
	{"no-provider-key.p8", "files/RSA.p8", "-", ""},
	{"request", "files/Push.certSigningRequest", "-", ""},
	{"ck.pem", "files/ck.pem", "-", ""},
	{"mismatch.pem", "files/mismatch.pem", "-", ""},
	{"locked-ck.pem", "files/locked-ck.pem", "herald", ""},
	{"locked-key.pem", "keys/pbes2-ec.pem", "herald", ""},
	{"locked-key-unasked.pem", "keys/traditional-aes256.pem", "-", CodePassword},
	{"development.mobileprovision", "files/development.mobileprovision", "-", ""},
	{"wildcard.mobileprovision", "files/wildcard.mobileprovision", "-", ""},
	{"device.cer", "files/device.cer", "-", ""},
	{"gateway.pem", "files/gateway.pem", "-", ""},
	{"authorities.pem", "files/authorities.pem", "-", ""},
	{"revoked.crl", "files/revoked.crl", "-", ""},
	{"foreign.cer", "files/sign-in.cer", "-", CodeUnknown},
	{"cut.cer", "files/cut.cer", "-", CodeDamaged},
}

// TestInspectGolden holds the words that people and scripts read to those of
// testdata/golden.
func TestInspectGolden(t *testing.T) {
	if *remake {
		makeFiles(t)
	}
	for _, tt := range inspected {
		t.Run(tt.golden, func(t *testing.T) {
			var ask PasswordFunc
			if tt.password != "-" {
				ask = func(string) (string, error) { return tt.password, nil }
			}
			r, err := Inspect(tt.file, readTestdata(t, tt.file), InspectOptions{Password: ask, Now: now})
			if p, _ := errors.AsType[Problem](err); p.Code != tt.failed {
				t.Errorf("got error %v, want %q", err, tt.failed)
			}
			var facts bytes.Buffer
			enc := json.NewEncoder(&facts)
			enc.SetEscapeHTML(false)
			enc.SetIndent("", "  ")
			if err := enc.Encode(r); err != nil {
				t.Fatal(err)
			}
			golden(t, tt.golden+".txt", []byte(r.Text()))
			golden(t, tt.golden+".json", facts.Bytes())
		})
	}
}

// golden compares got with a file of testdata/golden, or writes that.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", "golden", name)
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s: got\n%s\nwant\n%s\n(go test -run %s -update writes it anew)", name, got, want, t.Name())
	}
}

// makeFiles makes the files of testdata/files, each with keys of its own that
// are used nowhere else. The password is "herald".
func makeFiles(t *testing.T) {
	t.Helper()
	all := newAuthorities(t, IntermediateProfile{PermittedDNS: []string{"push.example.com"}, PermittedIPs: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	push := func(p PushProfile, key crypto.Signer) Identity {
		p.TeamID, p.Organization = "ABCDE12345", "Example"
		if p.BundleID == "" {
			p.BundleID = "com.example.push"
		}
		v := Validity{oneYear.NotBefore, oneYear.NotBefore.Add(p.Kind.Lifetime())}
		cert := must(all.providers.IssuePush(p, key.Public(), v))
		return Identity{Certificate: cert, Chain: []*x509.Certificate{all.providers.Certificate}, Key: key}
	}
	ec := func() crypto.Signer { return newECKey(t, elliptic.P256()) }
	walk := rsaKey() // the classic walkthrough: one RSA key from the request to the identity
	identity := push(PushProfile{Kind: PushSandbox}, walk)
	universal := push(PushProfile{Kind: PushUniversal}, ec())
	other := push(PushProfile{Kind: PushVoIP, BundleID: "com.example.other"}, ec())
	two := PKCS12{
		Keys:         []PKCS12Key{{Key: other.Key, FriendlyName: "other"}, {Key: universal.Key, FriendlyName: "push"}},
		Certificates: []PKCS12Certificate{{Certificate: universal.Certificate, FriendlyName: "push"}, {Certificate: other.Certificate, FriendlyName: "other"}},
	}
	p8 := must(MarshalP8(must(NewProviderKey())))
	mangled := "\ufeffAPNS_KEY=\"" + strings.ReplaceAll(strings.TrimSpace(string(must(MarshalP8(must(NewProviderKey()))))), "\n", `\n`) + "\"\r\n"
	device := must(all.devices.IssueDevice("2F1C8A34-6E0B-4D57-9A1E-5B7C3D9F0E21", ec().Public(), Validity{oneYear.NotBefore, oneYear.NotBefore.Add(DeviceLifetime)}))
	gateway := must(all.servers.IssueServer(ServerProfile{DNSNames: []string{"push.example.com"}, IPs: []netip.Addr{netip.MustParseAddr("127.0.0.1")}}, ec().Public(), oneYear))
	revoked := must(x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number: big.NewInt(7), ThisUpdate: now, NextUpdate: now.AddDate(0, 0, 1),
		RevokedCertificateEntries: []x509.RevocationListEntry{{SerialNumber: big.NewInt(1), RevocationTime: now}},
	}, all.providers.Certificate, all.providers.Key))
	wildcard := profileList("Push Example Wildcard", noDebugger+entitlement("application-identifier", "ABCDE12345.*"), twoDevices)
	for name, data := range map[string][]byte{
		"Push.certSigningRequest":     MarshalRequestPEM(newRequest(t, walk)),
		"device.certSigningRequest":   MarshalRequestPEM(newRequest(t, ec())),
		"Push.p12":                    must((&PKCS12{Keys: []PKCS12Key{{Key: walk, FriendlyName: "Push Example"}}}).Marshal("herald", PKCS12Legacy)),
		"aps_developer_identity.cer":  identity.Certificate.Raw,
		"aps_developer_identity.p12":  must(identity.MarshalPKCS12("herald", PKCS12Modern)),
		"aps.pem":                     MarshalCertificatePEM(universal.Certificate),
		"ck.pem":                      must(universal.MarshalPEM()),
		"mismatch.pem":                append(MarshalCertificatePEM(universal.Certificate), p8...),
		"locked-ck.pem":               append(MarshalCertificatePEM(testCertificate(t, "second")), readTestdata(t, "keys/traditional-ec-aes256.pem")...),
		"two.p12":                     must(two.Marshal("herald", PKCS12Modern)),
		"pass.cer":                    push(PushProfile{Kind: PushPass, BundleID: "pass.com.example.card"}, ec()).Certificate.Raw,
		"mdm.cer":                     push(PushProfile{Kind: PushMDM, BundleID: apns.Topic(mdmExternalID + "8f14e45f-ceea-467f-ab5f-5c4a2b1d9e70")}, ec()).Certificate.Raw,
		"AuthKey_2X9R4HXF34.p8":       p8,
		"AuthKey_7QK2M4ZT6B.p8":       []byte(mangled),
		"RSA.p8":                      pem.EncodeToMemory(&pem.Block{Type: pemPKCS8, Bytes: must(x509.MarshalPKCS8PrivateKey(walk))}),
		"development.mobileprovision": signCMS(t, []byte(developmentProfile())),
		"wildcard.mobileprovision":    signCMS(t, []byte(wildcard)),
		"device.cer":                  device.Raw,
		"gateway.pem":                 MarshalCertificatePEM(gateway),
		"authorities.pem":             MarshalCertificatePEM(all.root.Certificate, all.providers.Certificate),
		"revoked.crl":                 revoked,
		"sign-in.cer":                 []byte("<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body></body></html>\n"),
		"cut.cer":                     identity.Certificate.Raw[:600],
	} {
		if err := os.WriteFile(filepath.Join("testdata", "files", name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
