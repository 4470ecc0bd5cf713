package portal_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
	"github.com/heraldpush/herald/portal"
	"github.com/heraldpush/herald/store/memory"
)

const demo apns.Topic = "com.example.demo"

// open returns a new portal.
func open(t *testing.T) *portal.Portal {
	t.Helper()
	return reopen(t, memory.NewPortal())
}

// reopen returns the portal over a store.
func reopen(t *testing.T, s portal.Store) *portal.Portal {
	t.Helper()
	p, err := portal.Open(t.Context(), portal.Config{Store: s})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// withDemo enters a team with the demo app.
func withDemo(t *testing.T, p *portal.Portal) portal.Team {
	t.Helper()
	team, err := p.CreateTeam(t.Context(), "Example")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.RegisterApp(t.Context(), team.ID, demo, "Demo"); err != nil {
		t.Fatal(err)
	}
	return team
}

// csr returns a certificate signing request of a new key.
func csr(t *testing.T) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := credential.NewRequest(key, credential.RequestSubject{CommonName: "Push Example"})
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func issue(t *testing.T, p *portal.Portal, kind credential.PushKind) *x509.Certificate {
	t.Helper()
	c, err := p.IssueCertificate(t.Context(), demo, kind, csr(t))
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(c.DER)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func wantRejection(t *testing.T, err error, want apns.Reason) {
	t.Helper()
	if !errors.Is(err, apns.Reject(want, "")) {
		t.Errorf("got %v, want %v", err, want)
	}
}

func wantRefusal(t *testing.T, err error) {
	t.Helper()
	if _, ok := errors.AsType[*portal.Refusal](err); !ok {
		t.Errorf("got %v, want a refusal", err)
	}
}

func TestRegisterApp(t *testing.T) {
	p := open(t)
	team := withDemo(t, p)
	for _, tt := range []struct {
		name   string
		team   apns.TeamID
		bundle apns.Topic
	}{
		{"wildcard in the middle", team.ID, "com.*.example"},
		{"wildcard without a dot", team.ID, "com.example*"},
		{"empty", team.ID, ""},
		{"malformed", team.ID, "com..example"},
		{"taken", team.ID, demo},
		{"suffix of a push type", team.ID, demo + ".voip"},
		{"unknown team", "ZZZZZZZZZZ", "com.example.other"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := p.RegisterApp(t.Context(), tt.team, tt.bundle, "")
			wantRefusal(t, err)
		})
	}
}

func TestAdmitCertificate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t)
		team := withDemo(t, p)
		universal := issue(t, p, credential.PushUniversal)
		if _, err := universal.Verify(x509.VerifyOptions{Roots: p.ProviderRoots(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
			t.Errorf("universal certificate: %v", err)
		}
		for _, env := range apns.Environments {
			s, err := p.AdmitCertificate(universal, env)
			if err != nil {
				t.Fatal(err)
			}
			if s.Team != team.ID {
				t.Errorf("team: got %s, want %s", s.Team, team.ID)
			}
			if got, err := s.Topic(demo + ".voip"); got != demo+".voip" || err != nil {
				t.Errorf("topic: got %s, %v", got, err)
			}
			_, err = s.Topic("com.example.other")
			wantRejection(t, err, apns.TopicDisallowed)
			_, err = s.Topic("")
			wantRejection(t, err, apns.MissingTopic) // it has several
			_, err = s.Topic("no topic")
			wantRejection(t, err, apns.BadTopic)
		}
		_, err := p.AdmitCertificate(issue(t, p, credential.PushSandbox), apns.Production)
		wantRejection(t, err, apns.BadCertificateEnvironment)
		_, err = p.AdmitCertificate(p.Root(), apns.Sandbox)
		wantRejection(t, err, apns.BadCertificate)
		time.Sleep(396 * 24 * time.Hour)
		_, err = p.AdmitCertificate(universal, apns.Sandbox)
		wantRejection(t, err, apns.BadCertificate)
	})
}

func TestTwoActiveCertificates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t)
		withDemo(t, p)
		issue(t, p, credential.PushUniversal)
		issue(t, p, credential.PushUniversal)
		_, err := p.IssueCertificate(t.Context(), demo, credential.PushUniversal, csr(t))
		wantRefusal(t, err)
		issue(t, p, credential.PushSandbox) // another row of the portal
		time.Sleep(396 * 24 * time.Hour)
		issue(t, p, credential.PushUniversal) // the first two have expired
	})
}

func TestAdmitProviderToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t)
		team := withDemo(t, p)
		key, p8, err := p.CreateKey(t.Context(), portal.KeySpec{Team: team.ID})
		if err != nil {
			t.Fatal(err)
		}
		private, err := credential.ParseP8(p8)
		if err != nil {
			t.Fatal(err)
		}
		foreign, err := credential.NewProviderKey()
		if err != nil {
			t.Fatal(err)
		}
		mint := func(k *ecdsa.PrivateKey, id apns.KeyID, team apns.TeamID, at time.Time) string {
			token, err := credential.MintProviderToken(k, id, team, at)
			if err != nil {
				t.Fatal(err)
			}
			return token
		}
		now := time.Now()
		good := mint(private, key.ID, team.ID, now)
		for range 2 { // verified, then remembered
			s, err := p.AdmitProviderToken(good, apns.Sandbox)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := s.Topic(demo + ".push-type.widgets"); got != demo+".push-type.widgets" || err != nil {
				t.Errorf("topic: got %s, %v", got, err)
			}
			_, err = s.Topic("")
			wantRejection(t, err, apns.MissingTopic)
			_, err = s.Topic("com.example.other")
			wantRejection(t, err, apns.TopicDisallowed)
		}
		for name, tt := range map[string]struct {
			token string
			want  apns.Reason
		}{
			"signed by another key": {mint(foreign, key.ID, team.ID, now), apns.InvalidProviderToken},
			"unknown key":           {mint(private, "ZZZZZZZZZZ", team.ID, now), apns.InvalidProviderToken},
			"another team":          {mint(private, key.ID, "ZZZZZZZZZZ", now), apns.InvalidProviderToken},
			"too old":               {mint(private, key.ID, team.ID, now.Add(-time.Hour-time.Second)), apns.ExpiredProviderToken},
			"too new":               {mint(private, key.ID, team.ID, now.Add(time.Hour+time.Second)), apns.InvalidProviderToken},
			"no token":              {"x", apns.InvalidProviderToken},
		} {
			_, err := p.AdmitProviderToken(tt.token, apns.Sandbox)
			if !errors.Is(err, apns.Reject(tt.want, "")) {
				t.Errorf("%s: got %v, want %v", name, err, tt.want)
			}
		}
		time.Sleep(time.Hour + time.Second)
		_, err = p.AdmitProviderToken(good, apns.Sandbox) // remembered, and yet too old
		wantRejection(t, err, apns.ExpiredProviderToken)
	})
}

func TestActivateDevice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t)
		_, code, err := p.CreateEnrolmentCode(t.Context(), 1, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.ActivateDevice(t.Context(), "guess", csr(t)); !errors.Is(err, portal.ErrEnrolmentCode) {
			t.Errorf("guessed code: got %v", err)
		}
		_, err = p.ActivateDevice(t.Context(), code, []byte("no request"))
		wantRefusal(t, err) // and the code is not used up
		d, err := p.ActivateDevice(t.Context(), code, csr(t))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.ActivateDevice(t.Context(), code, csr(t)); !errors.Is(err, portal.ErrEnrolmentCode) {
			t.Errorf("code used twice: got %v", err)
		}
		cert, err := x509.ParseCertificate(d.DER)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := p.AdmitDevice(cert); got != d.Device || err != nil {
			t.Errorf("AdmitDevice: got %s, %v, want %s", got, err, d.Device)
		}
		// Neither kind of certificate passes for the other.
		withDemo(t, p)
		if id, err := p.AdmitDevice(issue(t, p, credential.PushUniversal)); err == nil {
			t.Errorf("a push certificate passed for that of device %s", id)
		}
		if _, err := cert.Verify(x509.VerifyOptions{Roots: p.ProviderRoots(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err == nil {
			t.Error("a device certificate passed for a provider's")
		}
		time.Sleep(91 * 24 * time.Hour)
		if _, err := p.AdmitDevice(cert); err == nil {
			t.Error("an expired device certificate was admitted")
		}
		_, code, err = p.CreateEnrolmentCode(t.Context(), -1, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour + time.Second)
		if _, err := p.ActivateDevice(t.Context(), code, csr(t)); !errors.Is(err, portal.ErrEnrolmentCode) {
			t.Errorf("expired code: got %v", err)
		}
	})
}

func TestServerCertificate(t *testing.T) {
	p := open(t)
	cert, err := p.ServerCertificate([]string{"api.push.apple.com", "localhost"}, []netip.Addr{netip.MustParseAddr("127.0.0.1")})
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	via, err := x509.ParseCertificate(cert.Certificate[1])
	if err != nil {
		t.Fatal(err)
	}
	roots, intermediates := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(p.Root())
	intermediates.AddCert(via)
	for _, name := range []string{"api.push.apple.com", "localhost", "127.0.0.1"} {
		if _, err := leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: roots, Intermediates: intermediates}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := p.ServerCertificate([]string{"bank.example"}, nil); err == nil {
		t.Error("a certificate was issued for a name that is not permitted")
	}
}

// TestReopen proves that credentials issued before a restart are good after it.
func TestReopen(t *testing.T) {
	store := memory.NewPortal()
	before := reopen(t, store)
	team := withDemo(t, before)
	key, p8, err := before.CreateKey(t.Context(), portal.KeySpec{Team: team.ID})
	if err != nil {
		t.Fatal(err)
	}
	private, err := credential.ParseP8(p8)
	if err != nil {
		t.Fatal(err)
	}
	token, err := credential.MintProviderToken(private, key.ID, team.ID, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	cert := issue(t, before, credential.PushUniversal)

	after := reopen(t, store)
	if !after.Root().Equal(before.Root()) {
		t.Error("the root changed")
	}
	s, err := after.AdmitProviderToken(token, apns.Production)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Topic(demo); err != nil {
		t.Error(err)
	}
	if _, err := cert.Verify(x509.VerifyOptions{Roots: after.ProviderRoots(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		t.Error(err)
	}
	// Another server name needs another servers' authority, and nothing else.
	renamed, err := portal.Open(t.Context(), portal.Config{Store: store, ServerNames: []string{"push.example.org"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := renamed.ServerCertificate([]string{"push.example.org"}, nil); err != nil || !renamed.Root().Equal(before.Root()) {
		t.Errorf("after a new server name: %v; the root must be the same", err)
	}
}
