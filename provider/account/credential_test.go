package account_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
	"github.com/heraldpush/herald/provider/account"
	"github.com/heraldpush/herald/store/memory"
)

var both = []apns.Environment{apns.Sandbox, apns.Production}

// TestUpload reads each form of a credential, and opens what was sealed after the
// book was opened again.
func TestUpload(t *testing.T) {
	until := time.Now().AddDate(1, 0, 0).UTC().Truncate(time.Second)
	universal := certificate(t, credential.PushUniversal, bundleID, until)
	p12, err := universal.MarshalPKCS12("secret", credential.PKCS12Modern)
	if err != nil {
		t.Fatal(err)
	}
	voip := certificate(t, credential.PushVoIP, bundleID, until)
	for _, tt := range []struct {
		name   string
		upload account.Upload
		want   account.Credential // without ID, times and fingerprint
	}{
		{"p12", account.Upload{File: p12, Password: "secret"}, account.Credential{
			Kind: account.PushCertificate, Name: "Apple Push Services: com.example.shop", TeamID: team, Environments: both,
			NotAfter: until, NotBefore: start,
		}},
		{"pem", account.Upload{File: pemOf(t, voip), Environments: []string{"production"}}, account.Credential{
			Kind: account.PushCertificate, Name: "VoIP Services: com.example.shop", TeamID: team, Environments: both[1:],
			Topics: []apns.Topic{bundleID, bundleID + ".voip"}, NotAfter: until, NotBefore: start,
		}},
		{"p8", keyUpload(t), account.Credential{
			Kind: account.ProviderKey, Name: "key 2X9R4HXF34", TeamID: team, KeyID: "2X9R4HXF34", Environments: both,
		}},
		{"p8 for a topic", account.Upload{
			File: p8(t), TeamID: team, KeyID: "AAAAAAAAAA", Environments: []string{"development"}, Topics: []apns.Topic{bundleID + ".voip"},
		}, account.Credential{
			Kind: account.ProviderKey, Name: "key AAAAAAAAAA", TeamID: team, KeyID: "AAAAAAAAAA", Environments: both[:1], Topics: []apns.Topic{bundleID + ".voip"},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newShelf(t, account.Config{Sealer: newSealer(t)})
			c := s.upload(t, tt.upload)
			if len(c.ID) != 25 || len(c.Fingerprint) != 64 || c.CreatedAt.IsZero() {
				t.Errorf("got %+v", c)
			}
			tt.want.ID, tt.want.App, tt.want.Fingerprint, tt.want.CreatedAt = c.ID, shop, c.Fingerprint, c.CreatedAt
			if tt.name == "p12" {
				tt.want.Topics = c.Topics // what the kind lists is package credential's
				if !slices.Contains(c.Topics, bundleID) {
					t.Errorf("topics: got %v, want %s among them", c.Topics, bundleID)
				}
			}
			if d := cmp.Diff(tt.want, c); d != "" {
				t.Errorf("credential (-want +got):\n%s", d)
			}
			s.reopen(t)
			if d := cmp.Diff([]account.Credential{c}, s.Credentials(shop)); d != "" {
				t.Errorf("opened again (-want +got):\n%s", d)
			}
			m, err := s.Material(t.Context(), shop, c.ID)
			if err != nil {
				t.Fatal(err)
			}
			checkMaterial(t, m, c)
			if _, err := s.Material(t.Context(), "other", c.ID); !errors.Is(err, account.ErrNotFound) {
				t.Errorf("in another app: got %v, want ErrNotFound", err)
			}
		})
	}
}

func checkMaterial(t *testing.T, m account.Material, c account.Credential) {
	t.Helper()
	if d := cmp.Diff(c, m.Credential()); d != "" {
		t.Errorf("material is of (-want +got):\n%s", d)
	}
	pair, isCertificate := m.Certificate()
	key, isKey := m.Key()
	if isCertificate == isKey || isKey != (c.Kind == account.ProviderKey) {
		t.Fatalf("got certificate %v and key %v of a %s", isCertificate, isKey, c.Kind)
	}
	public := pair.Leaf
	var got string
	var err error
	if isKey {
		got, err = credential.Fingerprint(key.Public())
	} else {
		got, err = credential.Fingerprint(public.PublicKey)
	}
	if err != nil || got != c.Fingerprint {
		t.Errorf("got the key %s, %v, want %s", got, err, c.Fingerprint)
	}
}

func TestUploadRefused(t *testing.T) {
	until := time.Now().AddDate(1, 0, 0)
	good := certificate(t, credential.PushUniversal, bundleID, until)
	p12, err := good.MarshalPKCS12("secret", credential.PKCS12Modern)
	if err != nil {
		t.Fatal(err)
	}
	s := newShelf(t, account.Config{})
	there := s.upload(t, account.Upload{File: pemOf(t, good)})
	key := p8(t)
	for _, tt := range []struct {
		name   string
		upload account.Upload
		want   string
	}{
		{"nothing", account.Upload{}, "/file required"},
		{"large", account.Upload{File: make([]byte, 64<<10+1)}, "/file too_long"},
		{"no credential", account.Upload{File: []byte("my life's work")}, "/file malformed"},
		{"a certificate without its key", account.Upload{File: credential.MarshalCertificatePEM(good.Certificate)}, "/file malformed"},
		{"no password", account.Upload{File: p12}, "/password required"},
		{"a wrong password", account.Upload{File: p12, Password: "geheim"}, "/password malformed"},
		{"a long password", account.Upload{File: p12, Password: strings.Repeat("a", 2000)}, "/password too_long"},
		{"there already", account.Upload{File: p12, Password: "secret"}, "/file conflict"},
		{"another app's", account.Upload{File: pemOf(t, certificate(t, credential.PushUniversal, "com.example.other", until))}, "/file conflict"},
		{"expired", account.Upload{File: pemOf(t, certificate(t, credential.PushUniversal, bundleID, time.Now().Add(-time.Hour)))}, "/file malformed"},
		{"another environment", account.Upload{File: pemOf(t, certificate(t, credential.PushSandbox, bundleID, until)), Environments: []string{"production"}}, "/environments/0 conflict"},
		{"environments", account.Upload{File: key, KeyID: "AAAAAAAAAA", TeamID: team, Environments: []string{"sandbox", "development"}}, "/environments/1 duplicate"},
		{"an environment", account.Upload{File: key, KeyID: "AAAAAAAAAA", TeamID: team, Environments: []string{"moon"}}, "/environments/0 unknown"},
		{"environments without end", account.Upload{File: key, Environments: []string{"", "", ""}}, "/environments too_many"},
		{"a key of nobody", account.Upload{File: key}, "/key_id required, /team_id required"},
		{"a key of nobody real", account.Upload{File: key, KeyID: "AuthKey", TeamID: "abcde12345"}, "/key_id malformed, /team_id malformed"},
		{"a key for another app", account.Upload{File: key, KeyID: "AAAAAAAAAA", TeamID: team, Topics: []apns.Topic{bundleID, "com.example.other"}}, "/topics/1 conflict"},
		{"a certificate with topics", account.Upload{File: pemOf(t, certificate(t, credential.PushSandbox, bundleID, until)), Topics: []apns.Topic{bundleID}}, "/topics conflict"},
		{"in place of nothing", account.Upload{File: key, KeyID: "AAAAAAAAAA", TeamID: team, Replaces: "cred_never"}, "/replaces unknown"},
		{"in place of more", account.Upload{File: key, KeyID: "AAAAAAAAAA", TeamID: team, Replaces: there.ID, Environments: []string{"sandbox"}}, "/replaces conflict"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := s.Upload(t.Context(), shop, tt.upload)
			if faults(err) != tt.want {
				t.Errorf("got %q (%v), want %q", faults(err), err, tt.want)
			}
			if err != nil && tt.upload.Password != "" && strings.Contains(err.Error(), tt.upload.Password) {
				t.Errorf("it repeats the password: %v", err)
			}
		})
	}
	if _, err := s.Upload(t.Context(), "other", account.Upload{}); !errors.Is(err, account.ErrNotFound) {
		t.Errorf("to an app that is none: got %v, want ErrNotFound", err)
	}
	for len(s.Credentials(shop)) < account.MaxCredentials {
		s.upload(t, keyUpload(t))
	}
	if _, err := s.Upload(t.Context(), shop, keyUpload(t)); faults(err) != " too_many" {
		t.Errorf("one too many: got %q", faults(err))
	}
}

// TestSealed proves that nothing of a private key or API key is in the store, and
// that another master key does not open it.
func TestSealed(t *testing.T) {
	store := memory.NewAccount()
	s := newShelf(t, account.Config{Store: store, Sealer: newSealer(t)})
	u := keyUpload(t)
	c := s.upload(t, u)
	_, whole := s.newKey(t, account.KeySpec{Scopes: []account.Scope{"admin"}})
	secret := whole.Reveal()[len(whole.ID())+1:]
	body := bytes.Split(u.File, []byte("\n"))[1] // of the PEM
	err := store.View(t.Context(), func(tx account.Tx) error {
		for _, kind := range []account.Kind{"app", "credential", "secret", "key", "audit", "counter"} {
			err := tx.Each(kind, "", func(id string, record []byte) error {
				var sealed struct{ Sealed []byte }
				if err := json.Unmarshal(record, &sealed); err != nil {
					return err
				}
				for _, text := range [][]byte{record, sealed.Sealed} {
					if bytes.Contains(text, body) || bytes.Contains(text, []byte("PRIVATE KEY")) || bytes.Contains(text, []byte(secret)) {
						t.Errorf("%s %s has a secret in it", kind, id)
					}
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	m, err := s.Material(t.Context(), shop, c.ID)
	if err != nil {
		t.Fatal(err)
	}
	key, _ := m.Key()
	hidden(t, key.D.String(), m, &m, struct{ m account.Material }{m}, struct{ M account.Material }{m}) //nolint:staticcheck // what printing it would show
	u.Password = "correct horse"
	var log strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		log.WriteString(fmt.Sprintf(verb, u) + fmt.Sprintf(verb, &u))
	}
	if strings.Contains(log.String(), u.Password) || strings.Contains(log.String(), string(body)) {
		t.Errorf("an upload shows itself: %s", log.String())
	}
	s.cfg.Sealer = newSealer(t)
	s.reopen(t)
	if m, err := s.Material(t.Context(), shop, c.ID); err == nil {
		t.Errorf("with another master key: got %v", m)
	}
}

// TestCheck asks a gateway, in both environments.
func TestCheck(t *testing.T) {
	lost := errors.New("connection refused")
	for _, tt := range []struct {
		name string
		at   gateway
		want []string // findings
	}{
		{"good", gateway{apns.Sandbox: rejected(apns.BadDeviceToken), apns.Production: nil}, []string{"sandbox taken", "production taken"}},
		{
			"of one environment",
			gateway{apns.Sandbox: rejected(apns.BadEnvironmentKeyInToken), apns.Production: rejected(apns.BadDeviceToken)},
			[]string{"sandbox refused BadEnvironmentKeyInToken", "production taken"},
		},
		{
			"no answer",
			gateway{apns.Sandbox: lost, apns.Production: rejected(apns.Shutdown)},
			[]string{"sandbox unclear connection refused", "production unclear push: 503 Shutdown"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newShelf(t, account.Config{Checker: tt.at, Sealer: newSealer(t)})
			c := s.upload(t, keyUpload(t))
			findings, err := s.Check(t.Context(), shop, c.ID)
			if err != nil {
				t.Fatal(err)
			}
			s.reopen(t)
			c, err = s.Credential(shop, c.ID)
			if err != nil {
				t.Fatal(err)
			}
			for n, f := range findings {
				got := f.Environment.String() + " " + f.Verdict.String()
				standing := c.Standing(f.Environment)
				if standing.Proven() != (f.Verdict == account.Taken) || standing.Reason != f.Reason {
					t.Errorf("found %+v, and it is %+v", f, standing)
				}
				if f.Reason != "" {
					got += " " + string(f.Reason)
				}
				if f.Err != nil {
					got += " " + f.Err.Error()
				}
				if n >= len(tt.want) || !strings.HasPrefix(got, tt.want[n]) {
					t.Errorf("got %q, want %q", got, tt.want)
				}
			}
			if len(findings) != len(tt.want) {
				t.Errorf("got %d findings, want %d", len(findings), len(tt.want))
			}
		})
	}
	s := newShelf(t, account.Config{})
	if _, err := s.Check(t.Context(), shop, "cred_x"); !errors.Is(err, account.ErrNoChecker) {
		t.Errorf("with nobody to ask: got %v", err)
	}
}

// silent is a Checker that never answers.
type silent struct{}

func (silent) Check(ctx context.Context, _ account.Probe) error { <-ctx.Done(); return ctx.Err() }

// TestCheckEnds proves that a gateway that is silent is not waited for without end,
// and says nothing of the credential.
func TestCheckEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(t, account.Config{Checker: silent{}})
		c := s.upload(t, keyUpload(t))
		before := time.Now()
		findings, err := s.Check(t.Context(), shop, c.ID)
		if err != nil || len(findings) != 2 || findings[0].Verdict != account.Unclear || time.Since(before) > time.Minute {
			t.Errorf("got %+v, %v, after %v", findings, err, time.Since(before))
		}
		if got, err := s.Credential(shop, c.ID); err != nil || len(got.Standings) != 0 {
			t.Errorf("got %+v, %v", got, err)
		}
	})
}

// TestRotation replaces a credential: the old one is there, and the first choice,
// until the new one is proven in both environments.
func TestRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(t, account.Config{Sealer: newSealer(t)})
		old := s.upload(t, keyUpload(t))
		prove := func(id account.CredentialID, e apns.Environment, err error) {
			t.Helper()
			a := account.Answer{Environment: e, Topic: bundleID, At: time.Now(), Err: err}
			if err := s.Answered(t.Context(), id, a); err != nil {
				t.Fatal(err)
			}
		}
		first := func(e apns.Environment, want ...account.CredentialID) {
			t.Helper()
			for range 2 {
				var got []account.CredentialID
				for _, c := range account.Choose(s.Credentials(shop), e, bundleID, time.Now()) {
					got = append(got, c.ID)
				}
				if !slices.Equal(got, want) {
					t.Errorf("%s: got %v, want %v", e, got, want)
				}
				s.reopen(t)
			}
		}
		prove(old.ID, apns.Sandbox, nil)
		prove(old.ID, apns.Production, nil)
		time.Sleep(time.Hour)
		u := keyUpload(t)
		u.Replaces = old.ID
		fresh := s.upload(t, u)
		first(apns.Production, old.ID, fresh.ID)
		prove(fresh.ID, apns.Production, rejected(apns.InvalidProviderToken)) // not known everywhere yet
		first(apns.Production, old.ID, fresh.ID)
		time.Sleep(2 * time.Minute)
		prove(fresh.ID, apns.Production, nil)
		first(apns.Production, fresh.ID, old.ID)
		first(apns.Sandbox, old.ID, fresh.ID)
		if err := s.DeleteCredential(t.Context(), shop, old.ID, false); faults(err) != " conflict" {
			t.Errorf("deleting what is needed: got %v, want a conflict", err)
		}
		prove(fresh.ID, apns.Sandbox, rejected(apns.BadDeviceToken))
		first(apns.Sandbox, fresh.ID)
		first(apns.Production, fresh.ID)
		if got, err := s.Credential(shop, fresh.ID); err != nil || got.Replaces != "" {
			t.Errorf("got %+v, %v, want one that replaces nothing any more", got, err)
		}
		if _, err := s.Material(t.Context(), shop, old.ID); !errors.Is(err, account.ErrNotFound) {
			t.Errorf("the old one: got %v, want ErrNotFound", err)
		}
		prove(old.ID, apns.Sandbox, nil) // of a push that was under way
		if err := s.DeleteCredential(t.Context(), shop, fresh.ID, true); err != nil {
			t.Error(err)
		}
		first(apns.Production)
		if err := s.DeleteCredential(t.Context(), shop, fresh.ID, true); !errors.Is(err, account.ErrNotFound) {
			t.Errorf("deleted again: got %v, want ErrNotFound", err)
		}
		want := []string{
			"app.create", "credential.upload", "credential.proven", "credential.proven", "credential.upload", "credential.refused",
			"credential.proven", "credential.proven", "credential.replaced", "credential.delete",
		}
		for n := range want {
			want[n] = "herald " + want[n]
		}
		if got := s.actions(t); !slices.Equal(got, want) {
			t.Errorf("audit: got %q, want %q", got, want)
		}
	})
}

// TestToldExpiries proves that a notice is given again until it is noted, also by a
// book that was opened again.
func TestToldExpiries(t *testing.T) {
	s := newShelf(t, account.Config{})
	until := time.Now().AddDate(0, 0, 10)
	c := s.upload(t, account.Upload{File: pemOf(t, certificate(t, credential.PushUniversal, bundleID, until))})
	s.upload(t, keyUpload(t))
	at := time.Now()
	for range 2 {
		if due := s.Expiries(at); len(due) != 1 || due[0].Credential != c.ID || due[0].Days != 14 || !due[0].Needed {
			t.Errorf("got %+v, want the notice of 14 days", due)
		}
		s.reopen(t)
	}
	told := append(s.Expiries(at), account.Expiry{App: shop, Credential: "cred_gone", Days: 7}, account.Expiry{App: shop, Credential: c.ID, Days: 30})
	if err := s.ToldExpiries(t.Context(), told); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if due := s.Expiries(at); due != nil {
			t.Errorf("got %+v, want none", due)
		}
		if near := s.Expiring(at); len(near) != 1 {
			t.Errorf("got %+v, want one that is near its end", near)
		}
		if due := s.Expiries(until); len(due) != 1 || due[0].Days != 0 {
			t.Errorf("at its end: got %+v", due)
		}
		s.reopen(t)
	}
}
