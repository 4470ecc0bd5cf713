package credential

import (
	"crypto/elliptic"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/apns"
)

// pushFacts is what Inspect says of what a push certificate allows.
type pushFacts struct {
	Object       ObjectKind
	Kind         PushKind
	Environments []apns.Environment
	Topics       []apns.Topic
	Team         apns.TeamID
}

func inspectPush(t *testing.T, cert *x509.Certificate) pushFacts {
	t.Helper()
	r, err := Inspect("aps.cer", cert.Raw, InspectOptions{})
	if err != nil || len(r.Objects) != 1 {
		t.Fatalf("got %d objects, %v", len(r.Objects), err)
	}
	o := r.Objects[0]
	return pushFacts{o.Kind, o.PushKind, o.Environments, o.Topics, o.TeamID}
}

var (
	sandboxOnly    = []apns.Environment{apns.Sandbox}
	productionOnly = []apns.Environment{apns.Production}
	bothServices   = []apns.Environment{apns.Sandbox, apns.Production}
)

// Each kind that the authority issues is recognised (docs/protocol/certificates.md#kinds).
func TestInspectIssuedKinds(t *testing.T) {
	const mdm = apns.Topic(mdmExternalID + "8f14e45f-ceea-467f-ab5f-5c4a2b1d9e70")
	app := []apns.Topic{"com.example.push", "com.example.push.voip", "com.example.push.complication"}
	all := newAuthorities(t, IntermediateProfile{PermittedDNS: []string{"localhost"}})
	key := newECKey(t, elliptic.P256())
	issued := map[PushKind]bool{}
	for _, tt := range []struct {
		kind PushKind
		id   apns.Topic
		cn   string
		want pushFacts
	}{
		{PushSandbox, app[0], "Apple Sandbox Push Services: com.example.push", pushFacts{Environments: sandboxOnly, Topics: app, Team: "ABCDE12345"}},
		{PushUniversal, app[0], "Apple Push Services: com.example.push", pushFacts{Environments: bothServices, Topics: app, Team: "ABCDE12345"}},
		{PushVoIP, app[0], "VoIP Services: com.example.push", pushFacts{Environments: bothServices, Topics: app[:2], Team: "ABCDE12345"}},
		{PushComplication, app[0], "WatchKit Services: com.example.push", pushFacts{Environments: bothServices, Topics: app, Team: "ABCDE12345"}},
		{PushPass, "pass.com.example.card", "Pass Type ID: pass.com.example.card", pushFacts{Environments: productionOnly, Topics: []apns.Topic{"pass.com.example.card"}, Team: "ABCDE12345"}},
		{PushWebsite, "web.com.example", "Website Push ID: web.com.example", pushFacts{Environments: productionOnly, Topics: []apns.Topic{"web.com.example"}, Team: "ABCDE12345"}},
		{PushMDM, mdm, "APSP:8f14e45f-ceea-467f-ab5f-5c4a2b1d9e70", pushFacts{Environments: productionOnly, Topics: []apns.Topic{mdm}}},
	} {
		t.Run(string(tt.kind), func(t *testing.T) {
			issued[tt.kind] = true
			cert, err := all.providers.IssuePush(PushProfile{Kind: tt.kind, BundleID: tt.id, TeamID: "ABCDE12345", Organization: "Example"}, key.Public(), oneYear)
			if err != nil {
				t.Fatal(err)
			}
			if cert.Subject.CommonName != tt.cn {
				t.Errorf("got the common name %q, want %q", cert.Subject.CommonName, tt.cn)
			}
			tt.want.Object, tt.want.Kind = KindPushCertificate, tt.kind
			if diff := cmp.Diff(tt.want, inspectPush(t, cert)); diff != "" {
				t.Errorf("inspected (-want +got):\n%s", diff)
			}
		})
	}
	for kind := range pushKinds {
		if !issued[kind] {
			t.Errorf("the kind %s is not tested", kind)
		}
	}
}

// What Apple issued in former years is recognised too, and by its extensions:
// the common names that stand on it, even those of other kinds, say nothing.
func TestInspectHistoricKinds(t *testing.T) {
	const fake = apns.Topic("com.example.FakeApp")
	null := func(oid asn1.ObjectIdentifier) pkix.Extension { return pkix.Extension{Id: oid, Value: []byte{5, 0}} }
	str := func(oid asn1.ObjectIdentifier, s apns.Topic) pkix.Extension {
		return pkix.Extension{Id: oid, Value: must(asn1.Marshal(utf8String(string(s))))}
	}
	g1 := pkix.Extension{Id: oidTopics, Value: unhex(t, topicsG1)}
	three := []apns.Topic{fake, fake + ".voip", fake + ".complication"}
	g4 := pkix.Extension{Id: oidTopics, Value: must(asn1.Marshal(topicsValue([]pushTopic{
		{fake, "topic"}, {fake + ".voip", "voip"}, {fake + ".complication", "complication"}, {fake + ".voip-ptt", ".voip-ptt"},
	})))}
	const mail = apns.Topic("com.apple.mail.XServer.8f14e45f-ceea-467f-ab5f-5c4a2b1d9e70")
	for _, tt := range []struct {
		name         string
		cn           string
		uid          apns.Topic
		extensions   []pkix.Extension
		kind         PushKind
		environments []apns.Environment
		topics       []apns.Topic
	}{
		{"sandbox, 2016", "Apple Development IOS Push Services: com.example.FakeApp", fake, []pkix.Extension{null(oidSandbox)}, PushSandbox, sandboxOnly, three[:1]},
		{"sandbox, 2024", "Apple Sandbox Push Services: com.example.FakeApp", fake, []pkix.Extension{g4, null(oidSandbox)}, PushSandbox, sandboxOnly, append(three[:3:3], fake+".voip-ptt")},
		{"sandbox, Mac", "Apple Development Mac Push Services: com.example.FakeApp", fake, []pkix.Extension{null(oidSandbox)}, PushSandbox, sandboxOnly, three[:1]},
		{"universal, 2016", "Apple Push Services: com.example.FakeApp", fake, []pkix.Extension{null(oidSandbox), null(oidProduction), g1}, PushUniversal, bothServices, three},
		{"universal, 2022", "Apple Push Services: com.example.FakeApp", fake, []pkix.Extension{g4, null(oidSandbox), null(oidProduction)}, PushUniversal, bothServices, append(three[:3:3], fake+".voip-ptt")},
		{"production only", "Apple Production IOS Push Services: com.example.FakeApp", fake, []pkix.Extension{null(oidProduction)}, PushProduction, productionOnly, three[:1]},
		{"production, Mac", "Apple Production Mac Push Services: com.example.FakeApp", fake, []pkix.Extension{null(oidProduction)}, PushProduction, productionOnly, three[:1]},
		{"VoIP", "VoIP Services: com.example.FakeApp", three[1], []pkix.Extension{
			null(oidSandbox), null(oidProduction), str(oidBundleID, fake), str(oidVoIPTopics, fake+", "+fake+".voip"), null(oidService),
		}, PushVoIP, bothServices, three[:2]},
		{"complication", "WatchKit Services: com.example.FakeApp", three[2], []pkix.Extension{
			null(oidSandbox), null(oidProduction), null(oidService), g1,
		}, PushComplication, bothServices, three},
		{"pass", "Pass Type ID: pass.com.example.card", "pass.com.example.card", []pkix.Extension{null(oidProduction), str(oidPassID, "pass.com.example.card")}, PushPass, productionOnly, []apns.Topic{"pass.com.example.card"}},
		{"website", "Website Push ID: web.com.example", "web.com.example", []pkix.Extension{null(oidProduction), str(oidWebsiteID, "web.com.example")}, PushWebsite, productionOnly, []apns.Topic{"web.com.example"}},
		{"MDM", "APSP:8f14e45f-ceea-467f-ab5f-5c4a2b1d9e70", "com.apple.mgmt.External.8f14e45f-ceea-467f-ab5f-5c4a2b1d9e70", []pkix.Extension{null(oidProduction)}, PushMDM, productionOnly, []apns.Topic{"com.apple.mgmt.External.8f14e45f-ceea-467f-ab5f-5c4a2b1d9e70"}},
		{"macOS Server", "APSP:8f14e45f-ceea-467f-ab5f-5c4a2b1d9e70", mail, []pkix.Extension{null(oidProduction)}, PushProduction, productionOnly, []apns.Topic{mail}},
	} {
		for _, cn := range []string{
			tt.cn, "", "Apple Development IOS Push Services: com.example.other", "Apple Production IOS Push Services: com.example.other",
			"VoIP Services: com.example.other", "Apple Development: Jane Doe (ABCDE12345)", "2F1C8A34-6E0B-4D57-9A1E-5B7C3D9F0E21",
		} {
			t.Run(tt.name+"/"+cn, func(t *testing.T) {
				subject := name{{oidUserID, asn1.TagUTF8String, string(tt.uid)}}
				if cn != "" {
					subject = append(subject, attribute{oidCommonName, asn1.TagUTF8String, cn})
				}
				cert := handmade(t, append(subject, attribute{oidUnit, asn1.TagUTF8String, "ABCDE12345"}), tt.extensions...)
				want := pushFacts{KindPushCertificate, tt.kind, tt.environments, tt.topics, "ABCDE12345"}
				if diff := cmp.Diff(want, inspectPush(t, cert)); diff != "" {
					t.Errorf("inspected (-want +got):\n%s", diff)
				}
			})
		}
	}
}

// The common name of a push certificate makes none of what has no push
// extension.
func TestInspectPushByNameAlone(t *testing.T) {
	for _, cn := range []string{"Apple Push Services: com.example.push", "Apple Development IOS Push Services: com.example.push", "VoIP Services: com.example.push"} {
		cert := handmade(t, name{{oidUserID, asn1.TagUTF8String, "com.example.push"}, {oidCommonName, asn1.TagUTF8String, cn}})
		if got := inspectPush(t, cert); got.Object != KindCertificate || got.Kind != "" || got.Environments != nil {
			t.Errorf("%s: got %+v, want a certificate that has nothing to do with push", cn, got)
		}
	}
}
