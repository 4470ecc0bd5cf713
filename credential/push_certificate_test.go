package credential

import (
	"bytes"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/apns"
)

const (
	arc              = "1.2.840.113635.100.6.3."
	deviceManagement = "com.apple.mgmt.External.eabeae54-14a8-11e5-b60b-1697f925ec7b"
)

// subjectLine is one attribute of a subject as it is encoded.
type subjectLine struct {
	OID   string
	Tag   int
	Value string
}

// walkSubject reads RawSubject without the code under test.
func walkSubject(t *testing.T, der []byte) []subjectLine {
	t.Helper()
	var sets []asn1.RawValue
	if _, err := asn1.Unmarshal(der, &sets); err != nil {
		t.Fatal(err)
	}
	var lines []subjectLine
	for _, set := range sets {
		if set.Tag != asn1.TagSet {
			t.Fatalf("got tag %d in a name, want a SET", set.Tag)
		}
		var a struct {
			OID   asn1.ObjectIdentifier
			Value asn1.RawValue
		}
		rest, err := asn1.Unmarshal(set.Bytes, &a)
		if err != nil || len(rest) > 0 {
			t.Fatalf("a set of more than one attribute: %v", err)
		}
		lines = append(lines, subjectLine{a.OID.String(), a.Value.Tag, string(a.Value.Bytes)})
	}
	return lines
}

func TestIssuePush(t *testing.T) {
	const (
		uid, cn, ou, o, c = "0.9.2342.19200300.100.1.1", "2.5.4.3", "2.5.4.11", "2.5.4.10", "2.5.4.6"
		utf8Tag, printTag = asn1.TagUTF8String, asn1.TagPrintableString
	)
	app := []apns.Topic{"com.example.push", "com.example.push.voip", "com.example.push.complication"}
	appKinds := []string{"topic", "voip", "complication"}
	profile := PushProfile{BundleID: "com.example.push", TeamID: "ABCDE12345", Organization: "Beispiel & Söhne", Country: "DE"}
	tests := []struct {
		kind    PushKind
		id      apns.Topic
		subject []subjectLine
		marks   []string // in order; with the value unless it is NULL
		purpose string   // besides clientAuth
		want    PushCertificate
	}{
		{
			kind: PushSandbox, id: "com.example.push",
			subject: []subjectLine{
				{uid, utf8Tag, "com.example.push"},
				{cn, utf8Tag, "Apple Sandbox Push Services: com.example.push"},
				{ou, utf8Tag, "ABCDE12345"},
				{c, printTag, "DE"},
			},
			marks: []string{arc + "6=" + topicsG4, arc + "1"},
			want: PushCertificate{
				Sandbox: true, Topics: app, TopicKinds: appKinds,
				UserID: "com.example.push", TeamID: "ABCDE12345",
			},
		},
		{
			kind: PushUniversal, id: "com.example.push",
			subject: []subjectLine{
				{uid, utf8Tag, "com.example.push"},
				{cn, utf8Tag, "Apple Push Services: com.example.push"},
				{ou, utf8Tag, "ABCDE12345"},
				{o, utf8Tag, "Beispiel & Söhne"},
				{c, printTag, "DE"},
			},
			marks: []string{arc + "6=" + topicsG4, arc + "1", arc + "2"},
			want: PushCertificate{
				Sandbox: true, Production: true, Topics: app, TopicKinds: appKinds,
				UserID: "com.example.push", TeamID: "ABCDE12345",
			},
		},
		{
			kind: PushVoIP, id: "com.example.FakeApp",
			subject: []subjectLine{
				{uid, utf8Tag, "com.example.FakeApp.voip"},
				{cn, utf8Tag, "VoIP Services: com.example.FakeApp"},
				{ou, utf8Tag, "ABCDE12345"},
				{o, utf8Tag, "Beispiel & Söhne"},
				{c, printTag, "DE"},
			},
			marks: []string{
				arc + "1", arc + "2",
				arc + "3=0C13636F6D2E6578616D706C652E46616B65417070",
				arc + "4=0C2D636F6D2E6578616D706C652E46616B654170702C20636F6D2E6578616D706C652E46616B654170702E766F6970",
				arc + "5",
			},
			want: PushCertificate{
				Sandbox: true, Production: true,
				Topics:     []apns.Topic{"com.example.FakeApp", "com.example.FakeApp.voip"},
				TopicKinds: []string{"", ""},
				UserID:     "com.example.FakeApp.voip", TeamID: "ABCDE12345",
			},
		},
		{
			kind: PushComplication, id: "com.example.push",
			subject: []subjectLine{
				{uid, utf8Tag, "com.example.push.complication"},
				{cn, utf8Tag, "WatchKit Services: com.example.push"},
				{ou, utf8Tag, "ABCDE12345"},
				{o, utf8Tag, "Beispiel & Söhne"},
				{c, printTag, "DE"},
			},
			marks: []string{arc + "1", arc + "2", arc + "5", arc + "6=" + topicsG4},
			want: PushCertificate{
				Sandbox: true, Production: true, Topics: app, TopicKinds: appKinds,
				UserID: "com.example.push.complication", TeamID: "ABCDE12345",
			},
		},
		{
			kind: PushPass, id: "pass.a.b",
			subject: []subjectLine{
				{uid, utf8Tag, "pass.a.b"},
				{cn, utf8Tag, "Pass Type ID: pass.a.b"},
				{ou, utf8Tag, "ABCDE12345"},
				{o, utf8Tag, "Beispiel & Söhne"},
				{c, printTag, "DE"},
			},
			marks:   []string{arc + "2", "1.2.840.113635.100.6.1.16=0C08706173732E612E62"},
			purpose: "1.2.840.113635.100.4.14",
			want: PushCertificate{
				Production: true, Topics: []apns.Topic{"pass.a.b"}, TopicKinds: []string{""},
				DefaultTopic: "pass.a.b", UserID: "pass.a.b", TeamID: "ABCDE12345",
			},
		},
		{
			kind: PushWebsite, id: "web.a.b",
			subject: []subjectLine{
				{uid, utf8Tag, "web.a.b"},
				{cn, utf8Tag, "Website Push ID: web.a.b"},
				{ou, utf8Tag, "ABCDE12345"},
				{o, utf8Tag, "Beispiel & Söhne"},
				{c, printTag, "DE"},
			},
			marks:   []string{arc + "2", "1.2.840.113635.100.6.1.17=0C077765622E612E62"},
			purpose: "1.2.840.113635.100.4.15",
			want: PushCertificate{
				Production: true, Topics: []apns.Topic{"web.a.b"}, TopicKinds: []string{""},
				DefaultTopic: "web.a.b", UserID: "web.a.b", TeamID: "ABCDE12345",
			},
		},
		{
			kind: PushMDM, id: deviceManagement,
			subject: []subjectLine{
				{uid, utf8Tag, deviceManagement},
				{cn, utf8Tag, "APSP:eabeae54-14a8-11e5-b60b-1697f925ec7b"},
				{c, printTag, "DE"},
			},
			marks: []string{arc + "2"},
			want: PushCertificate{
				Production: true, Topics: []apns.Topic{deviceManagement}, TopicKinds: []string{""},
				DefaultTopic: deviceManagement, UserID: deviceManagement,
			},
		},
	}
	all := newAuthorities(t, IntermediateProfile{PermittedDNS: []string{"example.com"}})
	issuer := all.providers
	issuer.IssuerURL = "http://portal.example.com/providers.cer"
	issuer.OCSPURL = "http://portal.example.com/ocsp"
	issuer.CRLURL = "http://portal.example.com/providers.crl"
	for _, tt := range tests {
		t.Run(string(tt.kind), func(t *testing.T) {
			p := profile
			p.Kind, p.BundleID = tt.kind, tt.id
			v := Validity{oneYear.NotBefore, oneYear.NotBefore.Add(tt.kind.Lifetime())}
			cert, err := issuer.IssuePush(p, rsaKey().Public(), v)
			if err != nil {
				t.Fatal(err)
			}
			if err := all.verify(cert, issuer, x509.ExtKeyUsageClientAuth); err != nil {
				t.Errorf("chain: %v", err)
			}
			if err := all.verify(cert, issuer, x509.ExtKeyUsageServerAuth); err == nil {
				t.Error("chain: good for a server")
			}
			if diff := cmp.Diff(tt.subject, walkSubject(t, cert.RawSubject)); diff != "" {
				t.Errorf("subject (-want +got):\n%s", diff)
			}
			checkPushExtensions(t, cert, tt.purpose, tt.marks)
			if bits := cert.SerialNumber.BitLen(); bits > 128 || bits < 64 || cert.SerialNumber.Sign() <= 0 {
				t.Errorf("serial number of %d bits, want 128 random ones", bits)
			}
			if !cert.NotBefore.Equal(v.NotBefore) || !cert.NotAfter.Equal(v.NotAfter) {
				t.Errorf("valid %v to %v, want %v to %v", cert.NotBefore, cert.NotAfter, v.NotBefore, v.NotAfter)
			}

			got, err := ParsePushCertificate(cert)
			if err != nil {
				t.Fatal(err)
			}
			tt.want.Kind = tt.kind
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("parsed (-want +got):\n%s", diff)
			}
			for _, e := range apns.Environments {
				want := e == apns.Sandbox && tt.want.Sandbox || e == apns.Production && tt.want.Production
				if got.Allows(e) != want {
					t.Errorf("allows %v: got %v, want %v", e, !want, want)
				}
			}
			if !got.AllowsTopic(tt.want.Topics[0]) || got.AllowsTopic("com.example.other") {
				t.Error("allows the wrong topics")
			}
		})
	}
}

// checkPushExtensions checks all extensions of cert, in their order, and which
// of them are critical.
func checkPushExtensions(t *testing.T, cert *x509.Certificate, purpose string, marks []string) {
	t.Helper()
	const critical = "!"
	want := []string{
		critical + "2.5.29.19=3000",
		"2.5.29.35",
		"1.3.6.1.5.5.7.1.1",
		"2.5.29.37",
		"2.5.29.31",
		"2.5.29.14",
		critical + "2.5.29.15=03020780",
	}
	for _, m := range marks {
		if !strings.Contains(m, "=") {
			m += "=0500"
		}
		want = append(want, m)
	}
	var got []string
	for i, e := range cert.Extensions {
		s := e.Id.String()
		if e.Critical {
			s = critical + s
		}
		if i < len(want) && strings.Contains(want[i], "=") {
			s += "=" + strings.ToUpper(hex.EncodeToString(e.Value))
		}
		got = append(got, s)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("extensions (-want +got):\n%s", diff)
	}
	var purposes []string
	if purpose != "" {
		purposes = []string{purpose}
	}
	var unknown []string
	for _, u := range cert.UnknownExtKeyUsage {
		unknown = append(unknown, u.String())
	}
	if diff := cmp.Diff(purposes, unknown); diff != "" {
		t.Errorf("key purposes (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, cert.ExtKeyUsage); diff != "" {
		t.Errorf("key purposes (-want +got):\n%s", diff)
	}
	if cert.IssuingCertificateURL[0] != "http://portal.example.com/providers.cer" ||
		cert.OCSPServer[0] != "http://portal.example.com/ocsp" ||
		cert.CRLDistributionPoints[0] != "http://portal.example.com/providers.crl" {
		t.Errorf("addresses: got %v, %v, %v", cert.IssuingCertificateURL, cert.OCSPServer, cert.CRLDistributionPoints)
	}
	if len(cert.SubjectKeyId) != 20 || len(cert.AuthorityKeyId) != 20 {
		t.Errorf("key identifiers of %d and %d bytes, want 20", len(cert.SubjectKeyId), len(cert.AuthorityKeyId))
	}
}

func TestIssuePushWithoutAddresses(t *testing.T) {
	all := newAuthorities(t, IntermediateProfile{PermittedDNS: []string{"example.com"}})
	cert, err := all.providers.IssuePush(PushProfile{
		Kind: PushUniversal, BundleID: "com.example.push", TeamID: "ABCDE12345", Organization: "Example",
	}, newECKey(t, elliptic.P256()).Public(), oneYear)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range cert.Extensions {
		if e.Id.Equal(oidAuthorityInfo) || e.Id.Equal(oidCRLDistribution) {
			t.Errorf("got extension %v", e.Id)
		}
	}
	if got := cert.Subject.Country; len(got) != 1 || got[0] != "US" {
		t.Errorf("country %v, want US", got)
	}
	if !bytes.Equal(cert.AuthorityKeyId, all.providers.Certificate.SubjectKeyId) {
		t.Error("the authority key identifier is not the issuer's")
	}
}

func TestIssuePushRefused(t *testing.T) {
	good := PushProfile{Kind: PushUniversal, BundleID: "com.example.push", TeamID: "ABCDE12345", Organization: "Example"}
	all := newAuthorities(t, IntermediateProfile{PermittedDNS: []string{"example.com"}})
	key := newECKey(t, elliptic.P256())
	tests := []struct {
		name   string
		change func(p *PushProfile, v *Validity)
		want   string
	}{
		{"no kind", func(p *PushProfile, _ *Validity) { p.Kind = "" }, "can not be issued"},
		{"production only", func(p *PushProfile, _ *Validity) { p.Kind = PushProduction }, "can not be issued"},
		{"wildcard", func(p *PushProfile, _ *Validity) { p.BundleID = "com.example.*" }, "explicit App ID"},
		{"no bundle ID", func(p *PushProfile, _ *Validity) { p.BundleID = "" }, "not a bundle ID"},
		{"topic", func(p *PushProfile, _ *Validity) { p.BundleID = "com.example.push.voip" }, "without a suffix"},
		{"long", func(p *PushProfile, _ *Validity) { p.BundleID = apns.Topic(strings.Repeat("a", 250)) }, "no room"},
		{"pass", func(p *PushProfile, _ *Validity) { p.Kind = PushPass }, "does not start with pass."},
		{"website", func(p *PushProfile, _ *Validity) { p.Kind = PushWebsite }, "does not start with web."},
		{"mdm", func(p *PushProfile, _ *Validity) { p.Kind, p.BundleID = PushMDM, "com.apple.mgmt.External.x" }, "UUID"},
		{"team", func(p *PushProfile, _ *Validity) { p.TeamID = "abc" }, "team ID"},
		{"organization", func(p *PushProfile, _ *Validity) { p.Organization = "" }, "organization: empty"},
		{"control character", func(p *PushProfile, _ *Validity) { p.Organization = "a\nb" }, "U+000A"},
		{"country", func(p *PushProfile, _ *Validity) { p.Country = "us" }, "country"},
		{"outlives", func(_ *PushProfile, v *Validity) { v.NotAfter = tenYears.NotAfter.Add(time.Second) }, "longer than its authority"},
		{"backwards", func(_ *PushProfile, v *Validity) { v.NotAfter = v.NotBefore }, "validity"},
		{"no time", func(_ *PushProfile, v *Validity) { *v = Validity{} }, "validity"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, v := good, oneYear
			tt.change(&p, &v)
			_, err := all.providers.IssuePush(p, key.Public(), v)
			wantError(t, err, tt.want)
		})
	}
	t.Run("weak key", func(t *testing.T) {
		if _, err := all.providers.IssuePush(good, weakRSAKey().Public(), oneYear); !errors.Is(err, ErrWeakKey) {
			t.Errorf("got error %v, want ErrWeakKey", err)
		}
	})
	t.Run("from the authority for servers", func(t *testing.T) {
		_, err := all.servers.IssuePush(good, key.Public(), oneYear)
		wantError(t, err, "may not issue")
	})
	t.Run("from no authority", func(t *testing.T) {
		_, err := Authority{}.IssuePush(good, key.Public(), oneYear)
		wantError(t, err, "no certificate")
	})
	t.Run("with the key of another", func(t *testing.T) {
		_, err := Authority{Certificate: all.providers.Certificate, Key: key}.IssuePush(good, key.Public(), oneYear)
		wantError(t, err, "doesn't match")
	})
}

// handmade makes a certificate with any subject and extensions.
func handmade(tb testing.TB, subject name, extensions ...pkix.Extension) *x509.Certificate {
	tb.Helper()
	raw, err := subject.marshal()
	if err != nil {
		tb.Fatal(err)
	}
	key := newECKey(tb, elliptic.P256())
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), RawSubject: raw, ExtraExtensions: extensions,
		NotBefore: oneYear.NotBefore, NotAfter: oneYear.NotAfter,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		tb.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	return cert
}

func TestParsePushCertificateOlderForms(t *testing.T) {
	null := []byte{5, 0}
	uid := func(tag int, s string) name { return name{{oidUserID, tag, s}} }
	fake := []apns.Topic{"com.example.FakeApp", "com.example.FakeApp.voip", "com.example.FakeApp.complication"}
	tests := []struct {
		name string
		cert *x509.Certificate
		want PushCertificate
	}{
		{
			"sandbox of 2016",
			handmade(t, append(uid(asn1.TagUTF8String, "com.example.FakeApp"),
				attribute{oidCommonName, asn1.TagUTF8String, "Apple Development IOS Push Services: com.example.FakeApp"},
				attribute{oidUnit, asn1.TagUTF8String, "ABCDE12345"}),
				pkix.Extension{Id: oidSandbox, Value: null}),
			PushCertificate{
				Kind: PushSandbox, Sandbox: true, Topics: fake[:1], TopicKinds: []string{""},
				DefaultTopic: fake[0], UserID: "com.example.FakeApp", TeamID: "ABCDE12345",
			},
		},
		{
			"universal of G1",
			handmade(t, uid(asn1.TagPrintableString, "com.example.FakeApp"),
				pkix.Extension{Id: oidSandbox, Value: null},
				pkix.Extension{Id: oidProduction, Value: null},
				pkix.Extension{Id: oidTopics, Value: unhex(t, topicsG1)}),
			PushCertificate{
				Kind: PushUniversal, Sandbox: true, Production: true, Topics: fake,
				TopicKinds: []string{"app", "voip", "complication"}, UserID: "com.example.FakeApp",
			},
		},
		{
			"production of old",
			handmade(t, uid(asn1.TagIA5String, "com.example.FakeApp"), pkix.Extension{Id: oidProduction, Value: null}),
			PushCertificate{
				Kind: PushProduction, Production: true, Topics: fake[:1], TopicKinds: []string{""},
				DefaultTopic: fake[0], UserID: "com.example.FakeApp",
			},
		},
		{
			"one topic twice",
			handmade(t, uid(asn1.TagUTF8String, "a.b"),
				pkix.Extension{Id: oidProduction, Value: null},
				pkix.Extension{Id: oidTopics, Value: unhex(t, "300A 0C03 612E62 0C03 612E62")}),
			PushCertificate{
				Kind: PushProduction, Production: true, Topics: []apns.Topic{"a.b"}, TopicKinds: []string{""},
				DefaultTopic: "a.b", UserID: "a.b",
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParsePushCertificate(tt.cert)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("parsed (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParsePushCertificateRefused(t *testing.T) {
	sandbox := pkix.Extension{Id: oidSandbox, Value: []byte{5, 0}}
	app := attribute{oidUserID, asn1.TagUTF8String, "com.example.push"}
	tests := []struct {
		name string
		cert *x509.Certificate
		want string
	}{
		{"code signing", handmade(t, name{app}), "not a push certificate"},
		{"no user ID", handmade(t, name{{oidCommonName, asn1.TagUTF8String, "Apple Push Services: com.example.push"}}, sandbox), "is not a topic"},
		{"two user IDs", handmade(t, name{app, app}, sandbox), "more than once"},
		{"two teams", handmade(t, name{app, {oidUnit, asn1.TagUTF8String, "A"}, {oidUnit, asn1.TagUTF8String, "B"}}, sandbox), "more than once"},
		{"wildcard", handmade(t, name{{oidUserID, asn1.TagUTF8String, "com.example.*"}}, sandbox), "is not a topic"},
		{"broken topics", handmade(t, name{app}, sandbox, pkix.Extension{Id: oidTopics, Value: []byte{0x30, 0x05, 0x0c}}), "topics"},
		{"empty topics", handmade(t, name{app}, sandbox, pkix.Extension{Id: oidTopics}), "topics"},
		{"broken VoIP topics", handmade(t, name{app}, sandbox, pkix.Extension{Id: oidVoIPTopics, Value: []byte{5, 0}}), "topics"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParsePushCertificate(tt.cert)
			wantError(t, err, tt.want)
			if isNot := errors.Is(err, ErrNotPush); isNot != (tt.name == "code signing") {
				t.Errorf("error is ErrNotPush: %v", isNot)
			}
		})
	}
}

func FuzzParsePushCertificate(f *testing.F) {
	for _, name := range []string{"pass", "mdm", "device"} {
		f.Add(readTestdata(f, "files/"+name+".cer"))
	}
	block, _ := pem.Decode(readTestdata(f, "files/aps.pem"))
	f.Add(block.Bytes)
	f.Add(handmade(f, name{{oidUserID, asn1.TagPrintableString, "com.example.push"}}, pkix.Extension{Id: oidSandbox, Value: []byte{5, 0}},
		pkix.Extension{Id: oidVoIPTopics, Value: must(asn1.Marshal(utf8String("com.example.push, com.example.push.voip")))}).Raw)
	f.Fuzz(func(t *testing.T, der []byte) {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return
		}
		_, _ = ParseDeviceCertificate(cert)
		c, err := ParsePushCertificate(cert)
		if err != nil {
			return
		}
		if allowed := environmentsOf(c); len(allowed) == 0 || (c.DefaultTopic != "") != (len(c.Topics) == 1) {
			t.Fatalf("got %+v", c)
		}
		if len(c.Topics) == 0 || len(c.Topics) != len(c.TopicKinds) || !c.Sandbox && !c.Production {
			t.Fatalf("got %+v", c)
		}
		for _, topic := range c.Topics {
			if !topic.Valid() {
				t.Fatalf("got topic %q", topic)
			}
		}
	})
}

func TestLifetimes(t *testing.T) {
	for kind, want := range map[PushKind]time.Duration{
		PushSandbox:    395*24*time.Hour - time.Second,
		PushUniversal:  395*24*time.Hour - time.Second,
		PushMDM:        365*24*time.Hour - time.Second,
		PushProduction: 0,
	} {
		if got := kind.Lifetime(); got != want {
			t.Errorf("%s: got %v, want %v", kind, got, want)
		}
	}
}
