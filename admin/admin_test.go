package admin_test

import (
	"crypto/x509"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/admin"
	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
	"github.com/heraldpush/herald/portal"
)

// life carries out every operation at t and returns what came of it, by
// method and path.
func life(t *testing.T, at admin.Target) map[string]any {
	t.Helper()
	got := make(map[string]any)
	note := func(row admin.Row, v any) { got[row.Method+" "+row.Path] = v }
	note(admin.GetAuthority.Row, must(t, at, admin.GetAuthority, admin.None{}))
	team := must(t, at, admin.CreateTeam, admin.TeamRequest{Name: "Example"})
	note(admin.CreateTeam.Row, team)
	note(admin.ListTeams.Row, must(t, at, admin.ListTeams, admin.Page{}))
	note(admin.RegisterApp.Row, must(t, at, admin.RegisterApp, admin.AppRequest{Team: team.ID, BundleID: demo, Name: "Demo"}))
	on := true
	note(admin.SetBroadcast.Row, must(t, at, admin.SetBroadcast, admin.BroadcastSwitch{BundleID: demo, On: &on}))
	cert := must(t, at, admin.IssueCertificate, admin.CertificateRequest{App: demo, Kind: credential.PushUniversal, CSR: csr(t)})
	note(admin.IssueCertificate.Row, cert)
	note(admin.ListApps.Row, must(t, at, admin.ListApps, admin.Page{}))
	note(admin.GetApp.Row, must(t, at, admin.GetApp, admin.AppID{BundleID: demo}))
	note(admin.GetCertificate.Row, must(t, at, admin.GetCertificate, admin.CertificateID{Serial: strings.ToUpper(cert.Serial)}))
	note(admin.RevokeCertificate.Row, must(t, at, admin.RevokeCertificate, admin.CertificateRevocation{Serial: cert.Serial, Reason: portal.ReasonSuperseded}))
	note(admin.ListCertificates.Row, must(t, at, admin.ListCertificates, admin.Page{}))
	note(admin.GetCRL.Row, must(t, at, admin.GetCRL, admin.CRLRequest{Purpose: credential.ForProviders}))
	key := must(t, at, admin.CreateKey, portal.KeySpec{
		Team: team.ID, Name: "ci", Scope: portal.ScopeTopic, Environment: apns.Sandbox, Topics: []apns.Topic{demo},
	})
	note(admin.CreateKey.Row, key)
	note(admin.RevokeKey.Row, must(t, at, admin.RevokeKey, admin.KeyID{ID: key.Key.ID}))
	note(admin.ListKeys.Row, must(t, at, admin.ListKeys, admin.Page{}))
	code := must(t, at, admin.CreateEnrolment, admin.EnrolmentRequest{Uses: 2, ValidSeconds: 3600})
	note(admin.CreateEnrolment.Row, code)
	note(admin.ListEnrolments.Row, must(t, at, admin.ListEnrolments, admin.Page{}))
	d := must(t, at, admin.ActivateDevice, admin.DeviceRequest{EnrolmentCode: code.Code, CSR: csr(t)})
	note(admin.ActivateDevice.Row, d)
	note(admin.RevokeDevice.Row, must(t, at, admin.RevokeDevice, admin.DeviceID{ID: d.Device.Device}))
	note(admin.ListDevices.Row, must(t, at, admin.ListDevices, admin.Page{}))
	note(admin.RevokeEnrolment.Row, must(t, at, admin.RevokeEnrolment, admin.EnrolmentID{ID: code.Enrolment.ID}))
	note(admin.ListAudit.Row, must(t, at, admin.ListAudit, admin.Page{}))
	return got
}

// random is what differs from one life to the next: times, IDs, keys.
var random = []struct {
	what *regexp.Regexp
	name string
}{
	{regexp.MustCompile(`"\d{4}-\d\d-\d\dT[0-9:.]+Z"`), `"TIME"`},
	{regexp.MustCompile(`-----BEGIN [^"]*`), "PEM"},
	{regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`), "UUID"},
	{regexp.MustCompile(`[0-9a-f]{12,64}`), "HEX"},
	{regexp.MustCompile(`"MI[A-Za-z0-9+/=]{40,}"`), `"DER"`},
	{regexp.MustCompile(`\b[A-Z2-7]{26}\b`), "CODE"},
	{regexp.MustCompile(`\b[A-Z0-9]{10}\b`), "ID"},
	{regexp.MustCompile(`"MF[A-Za-z0-9+/=]{40,}"`), `"PUBLIC"`},
	{regexp.MustCompile(`"(herald|admin key)"`), `"ACTOR"`},
}

func masked(t *testing.T, v any) string {
	t.Helper()
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	for _, r := range random {
		text = r.what.ReplaceAllString(text, r.name)
	}
	return text
}

func TestLocalAndRemoteAgree(t *testing.T) {
	far := newPortal(t)
	here, there := life(t, admin.Local(newPortal(t))), life(t, remote(t, serve(t, far), apiKey))
	for _, row := range admin.Table() {
		name := row.Method + " " + row.Path
		if row.Path == "/v1/portal/backup" {
			continue // TestBackup
		}
		if row.Path == admin.GetFaults.Path {
			continue // TestFaults
		}
		if row.Path == admin.GetTrace.Path {
			continue // TestTrace
		}
		t.Run(name, func(t *testing.T) {
			a, ok := here[name]
			if !ok {
				t.Fatal("it was not carried out")
			}
			if diff := cmp.Diff(masked(t, a), masked(t, there[name])); diff != "" {
				t.Errorf("local and remote differ (-local +remote):\n%s", diff)
			}
		})
	}
	log, err := far.Audit(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range log[1:] { // the first is the authority's making
		if e.Actor != "admin key" {
			t.Errorf("entry %d is of %q, want %q", e.Sequence, e.Actor, "admin key")
		}
	}
}

// What is read of one portal is the same to the byte.
func TestReadsAgree(t *testing.T) {
	p := newPortal(t)
	here, there := admin.Local(p), remote(t, serve(t, p), apiKey)
	life(t, here)
	cert := must(t, here, admin.ListCertificates, admin.Page{}).Items[0]
	for name, read := range map[string]func(admin.Target) any{
		"teams":        func(at admin.Target) any { return must(t, at, admin.ListTeams, admin.Page{}) },
		"apps":         func(at admin.Target) any { return must(t, at, admin.ListApps, admin.Page{}) },
		"app":          func(at admin.Target) any { return must(t, at, admin.GetApp, admin.AppID{BundleID: demo}) },
		"certificates": func(at admin.Target) any { return must(t, at, admin.ListCertificates, admin.Page{}) },
		"certificate": func(at admin.Target) any {
			return must(t, at, admin.GetCertificate, admin.CertificateID{Serial: cert.Serial})
		},
		"keys":       func(at admin.Target) any { return must(t, at, admin.ListKeys, admin.Page{}) },
		"devices":    func(at admin.Target) any { return must(t, at, admin.ListDevices, admin.Page{}) },
		"enrolments": func(at admin.Target) any { return must(t, at, admin.ListEnrolments, admin.Page{}) },
		"audit":      func(at admin.Target) any { return must(t, at, admin.ListAudit, admin.Page{After: "2"}) },
	} {
		if diff := cmp.Diff(read(here), read(there)); diff != "" {
			t.Errorf("%s: local and remote differ (-local +remote):\n%s", name, diff)
		}
	}
}

// secret is what no list may hold.
var secret = regexp.MustCompile(`PRIVATE KEY|"p8"|"code"`)

func TestNoSecretInAnyRead(t *testing.T) {
	p := newPortal(t)
	url := serve(t, p)
	at := admin.Local(p)
	team := withDemo(t, at)
	key := must(t, at, admin.CreateKey, portal.KeySpec{Team: team.ID, Name: "ci"})
	code := must(t, at, admin.CreateEnrolment, admin.EnrolmentRequest{Uses: 1})
	secrets := append(strings.Split(strings.TrimSpace(key.P8), "\n"), code.Code)
	read := 0
	for _, row := range admin.Table() {
		path := strings.NewReplacer("{bundle_id}", string(demo), "{purpose}", "devices").Replace(row.Path)
		if row.Method != http.MethodGet || strings.Contains(path, "{") {
			continue
		}
		read++
		res := do(t, http.MethodGet, url+path, "", nil)
		if res.status != http.StatusOK || res.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: status %d, Cache-Control %q", path, res.status, res.header.Get("Cache-Control"))
		}
		if secret.MatchString(res.body) {
			t.Errorf("%s shows a secret: %s", path, secret.FindString(res.body))
		}
		for _, s := range secrets {
			if strings.Contains(res.body, s) {
				t.Errorf("%s shows %q", path, s)
			}
		}
	}
	if read < 9 {
		t.Errorf("only %d operations were read", read)
	}
}

// TestAuthority proves that the authority is shown whole.
func TestAuthority(t *testing.T) {
	p := newPortal(t)
	a := must(t, admin.Local(p), admin.GetAuthority, admin.None{})
	if got, want := a.Root.PEM, string(p.RootPEM()); got != want {
		t.Errorf("root: got %s, want %s", got, want)
	}
	got := make(map[credential.Purpose]string)
	for _, i := range a.Intermediates {
		got[i.Purpose] = i.PEM
	}
	want := make(map[credential.Purpose]string)
	for purpose, cert := range map[credential.Purpose]*x509.Certificate{
		credential.ForProviders: p.ProviderIssuer(), credential.ForDevices: p.DeviceIssuer(), credential.ForServers: p.ServerIssuer(),
	} {
		want[purpose] = string(credential.MarshalCertificatePEM(cert))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("intermediates (-want +got):\n%s", diff)
	}
}
