package admin_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"log/slog"
	"net/http/httptest"
	"testing"

	"github.com/heraldpush/herald/admin"
	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
	"github.com/heraldpush/herald/portal"
	"github.com/heraldpush/herald/store/memory"
)

const (
	apiKey            = "correct-horse-battery"
	demo   apns.Topic = "com.example.demo"
)

func newPortal(t *testing.T) *portal.Portal {
	t.Helper()
	s := memory.NewPortal()
	p, err := portal.Open(t.Context(), portal.Config{Store: s})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// serve returns the URL of an API of p.
func serve(t *testing.T, p *portal.Portal) string {
	t.Helper()
	s := httptest.NewServer(admin.New(admin.Config{Portal: p, Faults: newSimulator(), Key: apiKey, Logger: slog.New(slog.DiscardHandler)}))
	t.Cleanup(s.Close)
	return s.URL
}

func remote(t *testing.T, url, key string) admin.Target {
	t.Helper()
	r, err := admin.Remote(admin.RemoteConfig{URL: url, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// csr returns a certificate signing request of a new key, PEM.
func csr(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := credential.NewRequest(key, credential.RequestSubject{CommonName: "Push Example"})
	if err != nil {
		t.Fatal(err)
	}
	return string(credential.MarshalRequestPEM(der))
}

// must carries out an operation that has to succeed.
func must[In, Out any](t *testing.T, at admin.Target, o *admin.Operation[In, Out], in In) Out {
	t.Helper()
	out, err := o.Call(t.Context(), at, in)
	if err != nil {
		t.Fatalf("%s %s: %v", o.Method, o.Path, err)
	}
	return out
}

// withDemo enters a team with the demo app.
func withDemo(t *testing.T, at admin.Target) portal.Team {
	t.Helper()
	team := must(t, at, admin.CreateTeam, admin.TeamRequest{Name: "Example"})
	must(t, at, admin.RegisterApp, admin.AppRequest{Team: team.ID, BundleID: demo, Name: "Demo"})
	return team
}
