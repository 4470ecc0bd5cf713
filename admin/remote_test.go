package admin_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/admin"
	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
	"github.com/heraldpush/herald/portal"
	"github.com/heraldpush/herald/store/memory"
)

// The portal's refusals are the same Problem, local and remote.
func TestProblems(t *testing.T) {
	p := newPortal(t)
	here, there := admin.Local(p), remote(t, serve(t, p), apiKey)
	team := withDemo(t, here)
	ask := csr(t)
	for range 2 {
		must(t, here, admin.IssueCertificate, admin.CertificateRequest{App: demo, Kind: credential.PushSandbox, CSR: ask})
		must(t, here, admin.CreateKey, portal.KeySpec{Team: team.ID})
	}
	wild := must(t, here, admin.RegisterApp, admin.AppRequest{Team: team.ID, BundleID: "com.example.*"}).BundleID
	for _, test := range []struct {
		name   string
		call   func(context.Context, admin.Target) error
		status int
		code   portal.Code
	}{
		{"no team", calling(admin.RegisterApp, admin.AppRequest{Team: "NOSUCHTEAM", BundleID: "com.example.b"}), 404, portal.CodeTeam},
		{"no team name", calling(admin.CreateTeam, admin.TeamRequest{}), 400, portal.CodeName},
		{"no app", calling(admin.GetApp, admin.AppID{BundleID: "com.example.none"}), 404, portal.CodeApp},
		{"no app name", calling(admin.GetApp, admin.AppID{}), 400, admin.CodeArgument},
		{"no app to broadcast", calling(admin.SetBroadcast, admin.BroadcastSwitch{BundleID: "com.example.none", On: new(bool)}), 404, portal.CodeApp},
		{"wildcard to broadcast", calling(admin.SetBroadcast, admin.BroadcastSwitch{BundleID: wild, On: new(bool)}), 409, portal.CodeWildcard},
		{"dots", calling(admin.GetApp, admin.AppID{BundleID: ".."}), 404, portal.CodeApp},
		{"slash", calling(admin.GetApp, admin.AppID{BundleID: "a/../b?c#d %41"}), 404, portal.CodeApp},
		{"no bundle ID", calling(admin.RegisterApp, admin.AppRequest{Team: team.ID, BundleID: "not one"}), 400, portal.CodeBundleID},
		{"taken", calling(admin.RegisterApp, admin.AppRequest{Team: team.ID, BundleID: demo}), 409, portal.CodeTaken},
		{"wildcard", calling(admin.IssueCertificate, admin.CertificateRequest{App: wild, Kind: credential.PushSandbox, CSR: ask}), 409, portal.CodeWildcard},
		{"no request", calling(admin.IssueCertificate, admin.CertificateRequest{App: demo, Kind: credential.PushSandbox, CSR: "x"}), 400, portal.CodeRequest},
		{"third", calling(admin.IssueCertificate, admin.CertificateRequest{App: demo, Kind: credential.PushSandbox, CSR: ask}), 409, portal.CodeTwoActive},
		{"no certificate", calling(admin.GetCertificate, admin.CertificateID{Serial: "7f"}), 404, portal.CodeCertificate},
		{"no reason", calling(admin.RevokeCertificate, admin.CertificateRevocation{Serial: "7f", Reason: "boredom"}), 400, portal.CodeReason},
		{"no key", calling(admin.RevokeKey, admin.KeyID{ID: "NOSUCHKEY0"}), 404, portal.CodeKey},
		{"third key", calling(admin.CreateKey, portal.KeySpec{Team: team.ID}), 409, portal.CodeKeyQuota},
		{"scope", calling(admin.CreateKey, portal.KeySpec{Team: team.ID, Scope: "world"}), 400, portal.CodeKeyScope},
		{"related", calling(admin.CreateKey, portal.KeySpec{
			Team: team.ID, Scope: portal.ScopeTopic, Environment: apns.Sandbox, Topics: []apns.Topic{demo}, Related: "NOSUCHKEY0",
		}), 404, portal.CodeKey},
		{"no device", calling(admin.RevokeDevice, admin.DeviceID{ID: "none"}), 404, portal.CodeDevice},
		{"no code", calling(admin.ActivateDevice, admin.DeviceRequest{EnrolmentCode: "guess", CSR: ask}), 403, portal.CodeEnrolment},
		{"no such code", calling(admin.RevokeEnrolment, admin.EnrolmentID{ID: "0123456789ab"}), 404, portal.CodeEnrolment},
		{"a code for nobody", calling(admin.CreateEnrolment, admin.EnrolmentRequest{}), 400, portal.CodeEnrolment},
		{"a code for the past", calling(admin.CreateEnrolment, admin.EnrolmentRequest{Uses: 1, ValidSeconds: -1}), 400, portal.CodeEnrolment},
		{"a code for ever", calling(admin.CreateEnrolment, admin.EnrolmentRequest{Uses: 1, ValidSeconds: 1 << 62}), 400, admin.CodeArgument},
		{"no list", calling(admin.GetCRL, admin.CRLRequest{Purpose: "servers"}), 404, portal.CodeCertificate},
		{"backup for nobody", func(ctx context.Context, at admin.Target) error { return admin.Backup(ctx, at, nil, io.Discard) }, 400, admin.CodeRecipient},
	} {
		t.Run(test.name, func(t *testing.T) {
			var both [2]*admin.Problem
			for i, at := range []admin.Target{here, there} {
				err := test.call(t.Context(), at)
				p, ok := errors.AsType[*admin.Problem](err)
				if !ok {
					t.Fatalf("got %v, want a problem", err)
				}
				if p.Status != test.status || p.Code != test.code || p.Detail == "" || !strings.HasPrefix(p.Error(), string(test.code)+": ") {
					t.Errorf("got %d %v, want %d %s", p.Status, p, test.status, test.code)
				}
				both[i] = p
			}
			if diff := cmp.Diff(both[0], both[1]); diff != "" {
				t.Errorf("local and remote differ (-local +remote):\n%s", diff)
			}
		})
	}
}

func calling[In, Out any](o *admin.Operation[In, Out], in In) func(context.Context, admin.Target) error {
	return func(ctx context.Context, at admin.Target) error {
		_, err := o.Call(ctx, at, in)
		return err
	}
}

// A third certificate's refusal names both expiries.
func TestTwoActiveNamesBoth(t *testing.T) {
	at := remote(t, serve(t, newPortal(t)), apiKey)
	withDemo(t, at)
	in := admin.CertificateRequest{App: demo, Kind: credential.PushUniversal, CSR: csr(t)}
	one, two := must(t, at, admin.IssueCertificate, in), must(t, at, admin.IssueCertificate, in)
	_, err := admin.IssueCertificate.Call(t.Context(), at, in)
	for _, c := range []portal.Certificate{one, two} {
		if err == nil || !strings.Contains(err.Error(), c.Serial+" (expires "+c.NotAfter.Format("2006-01-02")+")") {
			t.Errorf("got %v, want it to name %s with its expiry", err, c.Serial)
		}
	}
}

func TestPages(t *testing.T) {
	s := memory.NewPortal()
	const n = 2300
	err := s.Update(t.Context(), func(tx portal.Tx) error { // at once: one by one takes long
		for i := range n {
			err := errors.Join(
				tx.Put("team", fmt.Sprintf("TEAM%06d", i), fmt.Appendf(nil, `{"id":"TEAM%06d","name":"Team %d"}`, i, i)),
				tx.Put("audit", fmt.Sprintf("%020d", i+1), fmt.Appendf(nil, `{"sequence":%d}`, i+1)),
				tx.Put("counter", "audit", fmt.Appendf(nil, `{"Last":%d}`, n)),
			)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	p, err := portal.Open(t.Context(), portal.Config{Store: s})
	if err != nil {
		t.Fatal(err)
	}
	for name, at := range map[string]admin.Target{"local": admin.Local(p), "remote": remote(t, serve(t, p), apiKey)} {
		first := must(t, at, admin.ListTeams, admin.Page{})
		if len(first.Items) != 1000 || first.Next != string(first.Items[999].ID) {
			t.Errorf("%s: got a page of %d, next %q", name, len(first.Items), first.Next)
		}
		all, err := admin.All(t.Context(), at, admin.ListTeams, "")
		seen := make(map[apns.TeamID]bool)
		for _, team := range all {
			seen[team.ID] = true
		}
		if err != nil || len(all) != n || len(seen) != n {
			t.Errorf("%s: got %d teams, %d different, %v, want %d", name, len(all), len(seen), err, n)
		}
		log, err := admin.All(t.Context(), at, admin.ListAudit, "100")
		if err != nil || len(log) != n+1-100 || log[0].Sequence != 101 || log[len(log)-1].Sequence != n+1 {
			t.Errorf("%s: got %d entries, %v", name, len(log), err)
		}
	}
}

func TestBackup(t *testing.T) {
	p := newPortal(t)
	withDemo(t, admin.Local(p))
	for name, at := range map[string]admin.Target{"local": admin.Local(p), "remote": remote(t, serve(t, p), apiKey)} {
		t.Run(name, func(t *testing.T) {
			id, err := age.GenerateX25519Identity()
			if err != nil {
				t.Fatal(err)
			}
			var file bytes.Buffer
			if err := admin.Backup(t.Context(), at, []string{id.Recipient().String()}, &file); err != nil {
				t.Fatal(err)
			}
			for _, word := range []string{"portal backup", "com.example.demo"} {
				if bytes.Contains(file.Bytes(), []byte(word)) {
					t.Errorf("the backup shows %q", word)
				}
			}
			open, err := age.Decrypt(&file, id)
			if err != nil {
				t.Fatal(err)
			}
			s := memory.NewPortal()
			if err := portal.Restore(t.Context(), s, plain{}, open); err != nil {
				t.Fatal(err)
			}
			again, err := portal.Open(t.Context(), portal.Config{Store: s})
			if err != nil {
				t.Fatal(err)
			}
			if !again.Root().Equal(p.Root()) {
				t.Error("the restored portal has another root")
			}
		})
	}
}

// Two kinds of age recipients that cannot share a file are refused before
// anything is written.
func TestBackupToMixedRecipients(t *testing.T) {
	old, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	quantum, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	err = admin.Backup(t.Context(), admin.Local(newPortal(t)), []string{old.Recipient().String(), quantum.Recipient().String()}, &file)
	if p, ok := errors.AsType[*admin.Problem](err); !ok || p.Code != admin.CodeRecipient || file.Len() > 0 {
		t.Errorf("got %v and %d bytes", err, file.Len())
	}
}

type plain struct{}

func (plain) Seal(_ string, secret []byte) ([]byte, error) { return secret, nil }
func (plain) Open(_ string, sealed []byte) ([]byte, error) { return sealed, nil }

func TestRemoteErrors(t *testing.T) {
	teams := func(t *testing.T, url, key string) error {
		t.Helper()
		_, err := admin.ListTeams.Call(t.Context(), remote(t, url, key), admin.Page{})
		return err
	}
	other := func(h http.HandlerFunc) string {
		s := httptest.NewServer(h)
		t.Cleanup(s.Close)
		return s.URL
	}
	t.Run("wrong key", func(t *testing.T) {
		err := teams(t, serve(t, newPortal(t)), "not-the-key-but-long")
		if p, ok := errors.AsType[*admin.Problem](err); !ok || p.Code != admin.CodeAPIKey {
			t.Errorf("got %v", err)
		}
	})
	t.Run("nothing there", func(t *testing.T) {
		s := httptest.NewServer(nil)
		s.Close()
		if _, ok := errors.AsType[*admin.UnreachableError](teams(t, s.URL, apiKey)); !ok {
			t.Errorf("got another error than %T", &admin.UnreachableError{})
		}
	})
	t.Run("another service", func(t *testing.T) {
		err := teams(t, other(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }), apiKey)
		if v, ok := errors.AsType[*admin.VersionError](err); !ok || v.Version != "" || !strings.Contains(v.Error(), "not a herald") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("another version", func(t *testing.T) {
		err := teams(t, other(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Herald-Api", "2") }), apiKey)
		if v, ok := errors.AsType[*admin.VersionError](err); !ok || v.Version != "2" {
			t.Errorf("got %v", err)
		}
	})
	t.Run("redirect", func(t *testing.T) {
		reached := false
		elsewhere := other(func(http.ResponseWriter, *http.Request) { reached = true })
		err := teams(t, other(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Herald-Api", "1")
			http.Redirect(w, r, elsewhere, http.StatusTemporaryRedirect)
		}), apiKey)
		if err == nil || reached {
			t.Errorf("got %v, followed: %v", err, reached)
		}
	})
	t.Run("endless answer", func(t *testing.T) {
		err := teams(t, other(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Herald-Api", "1")
			for chunk := bytes.Repeat([]byte(" "), 1<<20); ; {
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
		}), apiKey)
		if err == nil || !strings.Contains(err.Error(), "more than") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("half a backup", func(t *testing.T) {
		url := other(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Herald-Api", "1")
			w.Header().Set("Content-Type", "application/octet-stream")
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "half")
		})
		if err := admin.Backup(t.Context(), remote(t, url, apiKey), []string{"age1"}, io.Discard); err == nil {
			t.Error("it was taken for a whole one")
		}
	})
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := admin.ListTeams.Call(ctx, remote(t, serve(t, newPortal(t)), apiKey), admin.Page{})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
}

func TestRemoteConfig(t *testing.T) {
	for url, good := range map[string]bool{
		"http://127.0.0.1:8030":        true,
		"http://[::1]:8030/":           true,
		"http://herald.localhost:8030": true,
		"https://push.example.com":     true,
		"http://push.example.com":      false,
		"http://192.0.2.1:8030":        false,
		"127.0.0.1:8030":               false,
		"ftp://localhost":              false,
		"http://u:p@localhost":         false,
		"":                             false,
	} {
		if _, err := admin.Remote(admin.RemoteConfig{URL: url, Key: apiKey}); (err == nil) != good {
			t.Errorf("%q: got %v, want good: %v", url, err, good)
		}
	}
	if _, err := admin.Remote(admin.RemoteConfig{URL: "http://192.0.2.1:8030", Key: apiKey, ThisMachine: true}); err != nil {
		t.Error(err)
	}
	for _, key := range []string{"", "two words", "line\n"} {
		if _, err := admin.Remote(admin.RemoteConfig{URL: "http://localhost", Key: key}); err == nil || key != "" && strings.Contains(err.Error(), key) {
			t.Errorf("key %q: got %v", key, err)
		}
	}
}
