package portal_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
	"github.com/heraldpush/herald/portal"
	"github.com/heraldpush/herald/store/memory"
)

func TestNames(t *testing.T) {
	p := open(t)
	team := withDemo(t, p)
	n := 0
	enter := map[string]func(name string) (string, error){
		"team": func(name string) (string, error) {
			t, err := p.CreateTeam(t.Context(), name)
			return t.Name, err
		},
		"app": func(name string) (string, error) {
			n++
			a, err := p.RegisterApp(t.Context(), team.ID, apns.Topic(fmt.Sprintf("com.example.n%d", n)), name)
			return a.Name, err
		},
		"key": func(name string) (string, error) {
			k, _, err := p.CreateKey(t.Context(), portal.KeySpec{Team: team.ID, Scope: portal.ScopeTopic, Environment: apns.Sandbox, Topics: []apns.Topic{demo}, Name: name})
			return k.Name, err
		},
	}
	hundred := strings.Repeat("x", 100)
	for what, enter := range enter {
		for name, want := range map[string]string{
			"Example & Söhne, 東京 🚀": "Example & Söhne, 東京 🚀",
			"  Example\t\n":         "Example",
			" " + hundred:           hundred,
		} {
			if got, err := enter(name); got != want || err != nil {
				t.Errorf("%s %q: got %q, %v, want %q", what, name, got, err, want)
			}
		}
		for _, name := range []string{
			hundred + "x", strings.Repeat("x", 1<<20), "\xff\xfe", "a\x00b", "a\nb", "a\x1b[2Jb", "a\u0085b", "a\u2028b", "a\u202eb", "a\u2066b", "a\ufffeb",
		} {
			_, err := enter(name)
			wantCode(t, err, portal.CodeName)
		}
		got, err := enter(" \t")
		if what == "team" {
			wantCode(t, err, portal.CodeName) // it is the organization of certificates
		} else if got != "" || err != nil {
			t.Errorf("%s without a name: got %q, %v", what, got, err)
		}
	}
}

// TestIssued proves what every certificate has, and what the audit log says.
func TestIssued(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t)
		withDemo(t, p)
		time.Sleep(time.Hour)
		request := csr(t)
		first, err := p.IssueCertificate(t.Context(), demo, credential.PushUniversal, request)
		if err != nil {
			t.Fatal(err)
		}
		if want := time.Now().Add(-5 * time.Minute).Truncate(time.Second); !first.NotBefore.Equal(want) {
			t.Errorf("not before: got %v, want %v", first.NotBefore, want)
		}
		cert, err := x509.ParseCertificate(first.DER)
		if err != nil {
			t.Fatal(err)
		}
		if bits := cert.SerialNumber.BitLen(); bits > 128 || bits < 64 || portal.Serial(cert) != first.Serial {
			t.Errorf("serial number %x, %d bits, stored as %s", cert.SerialNumber, bits, first.Serial)
		}
		again, err := p.IssueCertificate(t.Context(), demo, credential.PushUniversal, request)
		if err != nil {
			t.Fatal(err)
		}
		if first.KeyReused || !again.KeyReused {
			t.Errorf("key reused: got %v, then %v, want false, then true", first.KeyReused, again.KeyReused)
		}
		stored, err := p.Certificate(again.Serial)
		if diff := cmp.Diff(again, stored); err != nil || diff != "" {
			t.Errorf("stored, %v (-issued +stored):\n%s", err, diff)
		}
		log, err := p.Audit(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		last := log[len(log)-1]
		if want := fmt.Sprintf("request %x, the key was used before", sha256.Sum256(request)); last.Subject != again.Serial || !strings.HasSuffix(last.Detail, want) {
			t.Errorf("audit log: got %s: %s, want %s: … %s", last.Subject, last.Detail, again.Serial, want)
		}
		device, code, err := p.CreateEnrolmentCode(t.Context(), 3, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		codes, err := p.Enrolments(t.Context())
		if diff := cmp.Diff([]portal.Enrolment{device}, codes); err != nil || diff != "" || code == "" || strings.Contains(fmt.Sprint(codes), code) {
			t.Errorf("enrolment codes, %v (-made +listed):\n%s", err, diff)
		}
	})
}

func TestIssuers(t *testing.T) {
	p := open(t)
	_, code, err := p.CreateEnrolmentCode(t.Context(), 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	d, err := p.ActivateDevice(t.Context(), code, csr(t))
	if err != nil {
		t.Fatal(err)
	}
	server, err := p.ServerCertificate([]string{"localhost"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	withDemo(t, p)
	for name, tt := range map[string]struct {
		leaf   []byte
		issuer *x509.Certificate
	}{
		"provider": {issue(t, p, credential.PushUniversal).Raw, p.ProviderIssuer()},
		"device":   {d.DER, p.DeviceIssuer()},
		"server":   {server.Certificate[0], p.ServerIssuer()},
	} {
		leaf, err := x509.ParseCertificate(tt.leaf)
		if err != nil {
			t.Fatal(err)
		}
		if err := leaf.CheckSignatureFrom(tt.issuer); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := tt.issuer.CheckSignatureFrom(p.Root()); err != nil {
			t.Errorf("issuer of %s: %v", name, err)
		}
	}
}

// TestTooMany proves that a team is not issued certificates without end.
func TestTooMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t)
		withDemo(t, p)
		other, err := p.CreateTeam(t.Context(), "Other")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.RegisterApp(t.Context(), other.ID, "org.example.other", ""); err != nil {
			t.Fatal(err)
		}
		for range 100 {
			cert := issue(t, p, credential.PushUniversal)
			if _, err := p.RevokeCertificate(t.Context(), portal.Serial(cert), ""); err != nil {
				t.Fatal(err)
			}
		}
		_, err = p.IssueCertificate(t.Context(), demo, credential.PushUniversal, csr(t))
		wantCode(t, err, portal.CodeTooMany)
		if _, err := p.IssueCertificate(t.Context(), "org.example.other", credential.PushUniversal, csr(t)); err != nil {
			t.Errorf("another team: %v", err)
		}
		time.Sleep(time.Hour)
		issue(t, p, credential.PushUniversal)
	})
}

func TestWeakRSA(t *testing.T) {
	p := open(t)
	withDemo(t, p)
	if testing.Short() {
		t.Skip("makes keys")
	}
	t.Setenv("GODEBUG", "rsa1024min=0")
	key, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.IssueCertificate(t.Context(), demo, credential.PushSandbox, der)
	wantCode(t, err, portal.CodeRequest)
}

func TestRevocations(t *testing.T) {
	p := open(t)
	team := withDemo(t, p)
	cert := issue(t, p, credential.PushUniversal)
	key := newSigner(t, p, portal.KeySpec{Team: team.ID})
	_, code, err := p.CreateEnrolmentCode(t.Context(), 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	d, err := p.ActivateDevice(t.Context(), code, csr(t))
	if err != nil {
		t.Fatal(err)
	}
	revoked, more := p.Revocations(0)
	if len(revoked) > 0 {
		t.Fatalf("got %v, want none", revoked)
	}
	if err := p.CheckCertificate(cert); err != nil {
		t.Fatal(err)
	}
	want := []portal.Revocation{{Certificate: portal.Serial(cert)}, {Key: key.key.ID}, {Device: d.Device}}
	for i, revoke := range []func() error{
		func() error { _, err := p.RevokeCertificate(t.Context(), portal.Serial(cert), ""); return err },
		func() error { _, err := p.RevokeKey(t.Context(), key.key.ID); return err },
		func() error { _, err := p.RevokeDevice(t.Context(), d.Device); return err },
	} {
		if err := revoke(); err != nil {
			t.Fatal(err)
		}
		select {
		case <-more:
		default:
			t.Error("nobody was told")
		}
		if revoked, more = p.Revocations(i); !cmp.Equal(revoked, want[i:i+1]) {
			t.Errorf("after %d: got %v, want %v", i, revoked, want[i])
		}
	}
	if revoked, _ := p.Revocations(0); !cmp.Equal(revoked, want) {
		t.Errorf("all: got %v, want %v", revoked, want)
	}
	wantRejection(t, p.CheckCertificate(cert), apns.BadCertificate)
}

// lateStore tells of each update that it was made, and then takes its time.
type lateStore struct {
	portal.Store
	late func()
}

func (s *lateStore) Update(ctx context.Context, f func(portal.Tx) error) error {
	err := s.Store.Update(ctx, f)
	s.late()
	return err
}

// TestRevokeRelated revokes a key while another is made its relative: what the
// portal decides by is what was stored last.
func TestRevokeRelated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		records := memory.NewPortal()
		late := &lateStore{Store: records, late: func() {}}
		p, err := portal.Open(t.Context(), portal.Config{Store: late})
		if err != nil {
			t.Fatal(err)
		}
		team := withDemo(t, p)
		spec := portal.KeySpec{Team: team.ID, Scope: portal.ScopeTopic, Environment: apns.Sandbox, Topics: []apns.Topic{demo}}
		key := newSigner(t, p, spec)
		spec.Related = key.key.ID
		var first sync.Once
		late.late = func() { first.Do(func() { time.Sleep(time.Minute) }) }
		var creating sync.WaitGroup
		creating.Go(func() {
			if _, _, err := p.CreateKey(t.Context(), spec); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait() // it is stored, and not known yet
		impatient, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := p.RevokeKey(impatient, key.key.ID); err == nil {
			t.Error("a revocation did not wait for its turn")
		}
		if _, err := p.RevokeKey(t.Context(), key.key.ID); err != nil {
			t.Fatal(err)
		}
		creating.Wait()
		_, err = key.admit(t, p, apns.Sandbox)
		wantRejection(t, err, apns.Forbidden)
	})
}

// TestRSA proves that a portal can sign as Apple does, down to the root, and
// goes on doing so.
func TestRSA(t *testing.T) {
	store := memory.NewPortal()
	for _, asked := range []bool{true, false} { // it counts when the authority is made
		p, err := portal.Open(t.Context(), portal.Config{Store: store, RSA: asked})
		if err != nil {
			t.Fatal(err)
		}
		if asked {
			withDemo(t, p)
		}
		issued, err := p.IssueCertificate(t.Context(), demo, credential.PushUniversal, csr(t))
		if err != nil {
			t.Fatal(err)
		}
		cert, err := x509.ParseCertificate(issued.DER)
		if err != nil {
			t.Fatal(err)
		}
		for what, c := range map[string]*x509.Certificate{"certificate": cert, "issuer": p.ProviderIssuer(), "root": p.Root()} {
			if c.SignatureAlgorithm != x509.SHA256WithRSA {
				t.Errorf("%s: signed with %v, want %v", what, c.SignatureAlgorithm, x509.SHA256WithRSA)
			}
		}
		if _, err := cert.Verify(x509.VerifyOptions{Roots: p.ProviderRoots(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
			t.Error(err)
		}
	}
}
