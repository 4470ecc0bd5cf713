package credential

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/apns"
)

// profileList returns the property list of a provisioning profile, with the
// members and in the order of Apple's. The entitlements are given; more is what
// a kind of profile has besides.
func profileList(name, entitlements, more string) string {
	return `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
	<key>AppIDName</key>
	<string>Push Example</string>
	<key>ApplicationIdentifierPrefix</key>
	<array>
	<string>ABCDE12345</string>
	</array>
	<key>CreationDate</key>
	<date>2027-02-01T08:30:00Z</date>
	<key>Platform</key>
	<array>
		<string>iOS</string>
	</array>
	<key>IsXcodeManaged</key>
	<false/>
	<key>DeveloperCertificates</key>
	<array>
		<data>MAA=</data>
		<data>MAAw</data>
	</array>
	<key>DER-Encoded-Profile</key>
	<data>MAA=</data>
	<key>Entitlements</key>
	<dict>
` + entitlements + `	</dict>
	<key>ExpirationDate</key>
	<date>2028-02-01T08:30:00Z</date>
	<key>Name</key>
	<string>` + name + `</string>
` + more + `	<key>TeamIdentifier</key>
	<array>
		<string>ABCDE12345</string>
	</array>
	<key>TeamName</key>
	<string>Example &amp; Sons</string>
	<key>TimeToLive</key>
	<integer>365</integer>
	<key>UUID</key>
	<string>9f0e2bd8-54a6-4f0e-8a6d-2f0c6d1a7b3c</string>
	<key>Version</key>
	<integer>1</integer>
</dict>
</plist>`
}

// entitlement is a member of the entitlements, a string.
func entitlement(key, value string) string {
	return "\t\t<key>" + key + "</key>\n\t\t<string>" + value + "</string>\n"
}

const (
	twoDevices = "\t<key>ProvisionedDevices</key>\n\t<array>\n\t\t<string>00008030-001A2B3C4D5E6F70</string>\n\t\t<string>00008030-001A2B3C4D5E6F71</string>\n\t</array>\n"
	allDevices = "\t<key>ProvisionsAllDevices</key>\n\t<true/>\n"
	noDebugger = "\t\t<key>get-task-allow</key>\n\t\t<false/>\n\t\t<key>keychain-access-groups</key>\n\t\t<array>\n\t\t\t<string>ABCDE12345.*</string>\n\t\t</array>\n"
)

// developmentProfile is the profile of an app under development.
func developmentProfile() string {
	return profileList("Push Example Development",
		noDebugger+entitlement("application-identifier", "ABCDE12345.com.example.push")+entitlement("aps-environment", "development"), twoDevices)
}

// signCMS returns content as a signed message (RFC 5652 section 5) with the
// certificate of its signer, in the form in which Apple signs profiles. Without
// content, it is a signature of its own.
func signCMS(tb testing.TB, content []byte) []byte {
	tb.Helper()
	key := newECKey(tb, elliptic.P256())
	root := must(NewRoot("Example Profile Signing", key, tenYears))
	type attribute struct {
		Type  asn1.ObjectIdentifier
		Value []any `asn1:"set"`
	}
	digest := sha256.Sum256(content)
	attributes := must(asn1.MarshalWithParams([]attribute{
		{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}, []any{oidData}},
		{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 5}, []any{now}},
		{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4}, []any{digest[:]}},
	}, "set"))
	signed := sha256.Sum256(attributes)
	signature := must(ecdsa.SignASN1(rand.Reader, key, signed[:]))
	var attributesOf asn1.RawValue
	if _, err := asn1.Unmarshal(attributes, &attributesOf); err != nil {
		tb.Fatal(err)
	}
	type signer struct {
		Version int
		ID      struct {
			Issuer asn1.RawValue
			Serial *big.Int
		}
		Digest     pkix.AlgorithmIdentifier
		Attributes asn1.RawValue
		Algorithm  pkix.AlgorithmIdentifier
		Signature  []byte
	}
	sha := pkix.AlgorithmIdentifier{Algorithm: oidSHA256, Parameters: asn1Null}
	by := signer{
		Version: 1, Digest: sha, Signature: signature,
		Attributes: asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: attributesOf.Bytes},
		Algorithm:  pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}},
	}
	by.ID.Issuer, by.ID.Serial = asn1.RawValue{FullBytes: root.RawIssuer}, root.SerialNumber
	inner := contentInfo{Type: oidData}
	if content != nil {
		inner = must(newData(content))
	}
	message := struct {
		Version      int
		Digests      []pkix.AlgorithmIdentifier `asn1:"set"`
		Content      contentInfo
		Certificates asn1.RawValue
		Signers      []signer `asn1:"set"`
	}{
		Version: 1, Digests: []pkix.AlgorithmIdentifier{sha}, Content: inner,
		Certificates: asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: root.Raw},
		Signers:      []signer{by},
	}
	return must(asn1.Marshal(contentInfo{oidSignedData, must(explicit(message))}))
}

func TestParseProvisioningProfile(t *testing.T) {
	base := ProvisioningProfile{
		Name: "Push Example Development", UUID: "9f0e2bd8-54a6-4f0e-8a6d-2f0c6d1a7b3c",
		TeamID: "ABCDE12345", TeamName: "Example & Sons",
		AppID: "ABCDE12345.com.example.push", BundleID: "com.example.push", PushEnvironment: apns.Sandbox,
		Created: time.Date(2027, 2, 1, 8, 30, 0, 0, time.UTC), Expires: time.Date(2028, 2, 1, 8, 30, 0, 0, time.UTC),
		Devices: 2, Certificates: 2,
	}
	with := func(change func(*ProvisioningProfile)) ProvisioningProfile {
		p := base
		change(&p)
		return p
	}
	appID := entitlement("application-identifier", "ABCDE12345.com.example.push")
	for _, tt := range []struct {
		name, list string
		want       ProvisioningProfile
		wildcard   bool
	}{
		{"development", developmentProfile(), base, false},
		{"App Store", profileList("Store", appID+entitlement("aps-environment", "production"), ""), with(func(p *ProvisioningProfile) {
			p.Name, p.PushEnvironment, p.Devices = "Store", apns.Production, 0
		}), false},
		{"in-house", profileList("House", appID+entitlement("aps-environment", "production"), allDevices), with(func(p *ProvisioningProfile) {
			p.Name, p.PushEnvironment, p.Devices, p.AllDevices = "House", apns.Production, 0, true
		}), false},
		{"Mac", profileList("Mac", entitlement("com.apple.application-identifier", "ABCDE12345.com.example.push")+
			entitlement("com.apple.developer.aps-environment", "development"), twoDevices), with(func(p *ProvisioningProfile) {
			p.Name = "Mac"
		}), false},
		{"no push", profileList("Plain", appID, twoDevices), with(func(p *ProvisioningProfile) {
			p.Name, p.PushEnvironment = "Plain", 0
		}), false},
		{"unknown environment", profileList("Odd", appID+entitlement("aps-environment", "staging"), twoDevices), with(func(p *ProvisioningProfile) {
			p.Name, p.PushEnvironment = "Odd", 0
		}), false},
		{"wildcard", profileList("All", entitlement("application-identifier", "ABCDE12345.*"), twoDevices), with(func(p *ProvisioningProfile) {
			p.Name, p.PushEnvironment, p.AppID, p.BundleID = "All", 0, "ABCDE12345.*", "*"
		}), true},
		{"other types", strings.NewReplacer(
			"<date>2028-02-01T08:30:00Z</date>", "<date>soon</date>",
			"<string>9f0e2bd8-54a6-4f0e-8a6d-2f0c6d1a7b3c</string>", "<integer>1</integer>",
			"<string>Example &amp; Sons</string>", "<array><true/></array>",
		).Replace(developmentProfile()), with(func(p *ProvisioningProfile) {
			p.Expires, p.UUID, p.TeamName = time.Time{}, "", ""
		}), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			der := signCMS(t, []byte(tt.list))
			for form, data := range map[string][]byte{
				"DER":                 der,
				"BER":                 toBER(t, der, true),
				"base64":              []byte(base64.StdEncoding.EncodeToString(der)),
				"PEM":                 pem.EncodeToMemory(&pem.Block{Type: "PKCS7", Bytes: der}),
				"PEM, another label":  pem.EncodeToMemory(&pem.Block{Type: "CMS", Bytes: der}),
				"property list":       []byte(tt.list),
				"property list, CRLF": []byte(strings.ReplaceAll(tt.list, "\n", "\r\n")),
			} {
				got, err := ParseProvisioningProfile(data)
				if err != nil {
					t.Errorf("%s: %v", form, err)
					continue
				}
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("%s (-want +got):\n%s", form, diff)
				}
				if got.Wildcard() != tt.wildcard {
					t.Errorf("%s: wildcard %v, want %v", form, got.Wildcard(), tt.wildcard)
				}
			}
		})
	}
}

func TestParseProvisioningProfileRefused(t *testing.T) {
	plist := func(body string) []byte { return []byte("<plist version=\"1.0\">" + body + "</plist>") }
	good := developmentProfile()
	der := signCMS(t, []byte(good))
	deep := func(n int) string {
		return "<dict><key>Entitlements</key>" + strings.Repeat("<array>", n) + strings.Repeat("</array>", n) + "</dict>"
	}
	bomb := `<!DOCTYPE plist [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>`
	for _, tt := range []struct {
		name string
		data []byte
		want string
	}{
		{"nothing", nil, "not a property list"},
		{"words", []byte("hello"), "not a property list"},
		{"binary property list", []byte("bplist00\xd1\x01\x02"), "not a property list"},
		{"certificate", testCertificate(t, "push").Raw, "not a signed message"},
		{"PKCS#12", readTestdata(t, "pkcs12/identity-plain-no-mac.p12"), "not a signed message"},
		{"cut", der[:len(der)-1], "a signed message that is damaged"},
		{"a byte after the end", append(bytes.Clone(der), 0), "a signed message that is damaged"},
		{"signature of its own", signCMS(t, nil), "without its content"},
		{"signed words", signCMS(t, []byte("hello")), "not a property list"},
		{"signed binary property list", signCMS(t, []byte("bplist00\xd1\x01\x02")), "not a property list"},
		{"signed twice", signCMS(t, der), "not a property list"},
		{"too large", bytes.Repeat([]byte(" "), maxFileBytes+1), "at most 1048576 are read"},
		{"no entitlements", plist("<dict><key>Name</key><string>a</string></dict>"), "without entitlements"},
		{"entitlements of another type", plist("<dict><key>Entitlements</key><string>a</string></dict>"), "without entitlements"},
		{"array", plist("<array/>"), "not a property list"},
		{"no root", plist(""), "not a property list"},
		{"another root", []byte("<html><dict></dict></html>"), "not a property list"},
		{"value for a key", plist("<dict><string>a</string></dict>"), "not a property list"},
		{"key without a value", plist("<dict><key>a</key></dict>"), "not a property list"},
		{"key without an end", plist("<dict><key>a<string>b</string></dict>"), "not a property list"},
		{"element in a string", plist("<dict><key>a</key><string>b<b/></string></dict>"), "not a property list"},
		{"cut list", []byte(good[:len(good)/2]), "not a property list"},
		{"another encoding", []byte(strings.Replace(good, "UTF-8", "EBCDIC", 1)), "not a property list"},
		{"entity", []byte(bomb + "<plist><dict><key>a</key><string>&b;</string></dict></plist>"), "not a property list"},
		{"deep", plist(deep(maxPlistDepth + 1)), "larger or deeper"},
		{"deep without an end", []byte("<plist><dict><key>a</key>" + strings.Repeat("<array>", 100_000)), "larger or deeper"},
		{"wide", plist("<dict><key>a</key><array>" + strings.Repeat("<true/>", maxPlistValues) + "</array></dict>"), "larger or deeper"},
		{"deep elsewhere", []byte(strings.Repeat("<a>", 100_000)), "not a property list"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParseProvisioningProfile(tt.data)
			wantError(t, err, tt.want)
		})
	}
	for i := range der {
		if _, err := ParseProvisioningProfile(der[:i]); err == nil {
			t.Fatalf("%d of %d bytes: accepted", i, len(der))
		}
	}
	// What lies within the bounds is read.
	if _, err := parsePropertyList(plist(deep(maxPlistDepth))); err != nil {
		t.Errorf("depth %d: %v", maxPlistDepth, err)
	}
}

// A profile with all the devices that a team may have is no larger than what
// is read.
func TestParseProvisioningProfileOfManyDevices(t *testing.T) {
	var devices strings.Builder
	devices.WriteString("\t<key>ProvisionedDevices</key>\n\t<array>\n")
	for i := range 5000 {
		fmt.Fprintf(&devices, "\t\t<string>00008030-%016X</string>\n", i)
	}
	devices.WriteString("\t</array>\n")
	p, err := ParseProvisioningProfile(signCMS(t, []byte(profileList("Many", entitlement("application-identifier", "ABCDE12345.com.example.push"), devices.String()))))
	if err != nil || p.Devices != 5000 {
		t.Errorf("got %d devices, %v, want 5000", p.Devices, err)
	}
}

// What a stranger wrote into a profile does not reach a terminal as it is.
func TestProfileTextIsPrintable(t *testing.T) {
	hostile := "a\u202eb&#x9b;c" + strings.Repeat("x", 5000)
	list := strings.NewReplacer("ABCDE12345", hostile, "Example &amp; Sons", hostile, "9f0e2bd8", hostile).Replace(
		profileList(hostile, entitlement("application-identifier", hostile+".*"), ""))
	r, err := Inspect("a.mobileprovision", []byte(list), InspectOptions{})
	p, ok := err.(Problem) //nolint:errorlint // it is not wrapped
	if err != nil && !ok || len(r.Objects) != 1 {
		t.Fatalf("got %v, %v", r.Objects, p)
	}
	if text := r.Text(); strings.ContainsAny(text, "\u202e\u009b") || len(text) > 3000 {
		t.Errorf("%d bytes of text: %.200q", len(text), text)
	}
}

func FuzzParseProvisioningProfile(f *testing.F) {
	f.Add([]byte(developmentProfile()))
	f.Add(signCMS(f, []byte(developmentProfile())))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := ParseProvisioningProfile(data)
		if err != nil {
			return
		}
		if p.Devices+p.Certificates > maxPlistValues || p.BundleID != "" && !strings.HasSuffix(p.AppID, p.BundleID) {
			t.Errorf("got %+v", p)
		}
	})
}
