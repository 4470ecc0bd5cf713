package portal_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
	"github.com/heraldpush/herald/portal"
	"github.com/heraldpush/herald/store/memory"
)

// wantCode checks that err is a refusal with this code.
func wantCode(t *testing.T, err error, want portal.Code) {
	t.Helper()
	if r, ok := errors.AsType[*portal.Refusal](err); !ok || r.Code != want {
		t.Errorf("got %v, want a refusal %s", err, want)
	}
}

func TestWildcard(t *testing.T) {
	p := open(t)
	team := withDemo(t, p)
	if _, err := p.RegisterApp(t.Context(), team.ID, "com.example.*", "all"); err != nil {
		t.Fatal(err)
	}
	_, err := p.IssueCertificate(t.Context(), "com.example.*", credential.PushUniversal, csr(t))
	wantCode(t, err, portal.CodeWildcard)
	_, err = p.IssueCertificate(t.Context(), "org.example.*", credential.PushUniversal, csr(t))
	wantCode(t, err, portal.CodeWildcard)
	_, _, err = p.CreateKey(t.Context(), portal.KeySpec{Team: team.ID, Scope: portal.ScopeTopic, Environment: apns.Sandbox, Topics: []apns.Topic{"com.example.*"}})
	wantCode(t, err, portal.CodeWildcard)
	a, err := p.App(t.Context(), "com.example.*")
	if err != nil || a.Push != portal.PushNone {
		t.Errorf("push of a wildcard: got %s, %v, want %s", a.Push, err, portal.PushNone)
	}
}

func TestPushStatus(t *testing.T) {
	p := open(t)
	withDemo(t, p)
	status := func(want portal.Push, n int) {
		t.Helper()
		a, err := p.App(t.Context(), demo)
		if err != nil || a.Push != want || len(a.Active) != n {
			t.Errorf("got %s with %d active, %v, want %s with %d", a.Push, len(a.Active), err, want, n)
		}
	}
	status(portal.PushConfigurable, 0)
	c, err := p.IssueCertificate(t.Context(), demo, credential.PushSandbox, csr(t))
	if err != nil {
		t.Fatal(err)
	}
	status(portal.PushEnabled, 1)
	if _, err := p.RevokeCertificate(t.Context(), c.Serial, portal.ReasonSuperseded); err != nil {
		t.Fatal(err)
	}
	status(portal.PushConfigurable, 0)
	_, err = p.App(t.Context(), "com.example.nothing")
	wantCode(t, err, portal.CodeApp)
}

func TestRevokeCertificate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t)
		withDemo(t, p)
		cert := issue(t, p, credential.PushUniversal)
		issue(t, p, credential.PushUniversal)
		revoked := p.Revoked()
		serial := fmt.Sprintf("%X", cert.SerialNumber) // as people write it
		_, err := p.RevokeCertificate(t.Context(), serial, "boredom")
		wantCode(t, err, portal.CodeReason)
		_, err = p.RevokeCertificate(t.Context(), "1234", "")
		wantCode(t, err, portal.CodeCertificate)
		c, err := p.RevokeCertificate(t.Context(), serial, portal.ReasonKeyCompromise)
		if err != nil {
			t.Fatal(err)
		}
		select {
		case <-revoked:
		default:
			t.Error("the doors were not told")
		}
		_, err = p.AdmitCertificate(cert, apns.Sandbox)
		wantRejection(t, err, apns.BadCertificate)
		issue(t, p, credential.PushUniversal) // one of the two is no longer active

		time.Sleep(time.Hour)
		again, err := p.RevokeCertificate(t.Context(), serial, portal.ReasonSuperseded)
		if err != nil || !again.Revoked.Equal(c.Revoked) || again.Reason != portal.ReasonKeyCompromise {
			t.Errorf("revoked twice: got %v %s, %v, want what it was", again.Revoked, again.Reason, err)
		}
		der, err := p.CRL(t.Context(), credential.ForProviders)
		if err != nil {
			t.Fatal(err)
		}
		list, err := x509.ParseRevocationList(der)
		if err != nil {
			t.Fatal(err)
		}
		if err := list.CheckSignatureFrom(p.ProviderIssuer()); err != nil {
			t.Error(err)
		}
		if len(list.RevokedCertificateEntries) != 1 || list.RevokedCertificateEntries[0].SerialNumber.Cmp(cert.SerialNumber) != 0 || list.RevokedCertificateEntries[0].ReasonCode != 1 {
			t.Errorf("revocation list: got %+v, want the one certificate", list.RevokedCertificateEntries)
		}
		if got := list.NextUpdate.Sub(list.ThisUpdate); got != 24*time.Hour {
			t.Errorf("revocation list is good for %v, want a day", got)
		}
	})
}

func TestAnotherTeamsKey(t *testing.T) {
	p := open(t)
	withDemo(t, p)
	other, err := p.CreateTeam(t.Context(), "Other")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.RegisterApp(t.Context(), other.ID, "org.example.other", ""); err != nil {
		t.Fatal(err)
	}
	request := csr(t)
	if _, err := p.IssueCertificate(t.Context(), demo, credential.PushSandbox, request); err != nil {
		t.Fatal(err)
	}
	_, err = p.IssueCertificate(t.Context(), "org.example.other", credential.PushSandbox, request)
	wantCode(t, err, portal.CodeKeyReused)
	if _, err := p.IssueCertificate(t.Context(), demo, credential.PushUniversal, request); err != nil {
		t.Errorf("the same team's key again: %v", err)
	}
}

// signer mints provider tokens of a key.
type signer struct {
	key     portal.Key
	private *ecdsa.PrivateKey
}

func newSigner(t *testing.T, p *portal.Portal, spec portal.KeySpec) signer {
	t.Helper()
	k, p8, err := p.CreateKey(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	private, err := credential.ParseP8(p8)
	if err != nil {
		t.Fatal(err)
	}
	return signer{k, private}
}

func (s signer) admit(t *testing.T, p *portal.Portal, env apns.Environment) (*portal.Sender, error) {
	t.Helper()
	token, err := credential.MintProviderToken(s.private, s.key.ID, s.key.Team, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return p.AdmitProviderToken(token, env)
}

func (s signer) sender(t *testing.T, p *portal.Portal) *portal.Sender {
	t.Helper()
	sender, err := s.admit(t, p, apns.Sandbox)
	if err != nil {
		t.Fatal(err)
	}
	return sender
}

func TestKeyScopes(t *testing.T) {
	p := open(t)
	team := withDemo(t, p)
	if _, err := p.RegisterApp(t.Context(), team.ID, "com.example.second", ""); err != nil {
		t.Fatal(err)
	}
	topicKey := func(related apns.KeyID, topics ...apns.Topic) portal.KeySpec {
		return portal.KeySpec{Team: team.ID, Scope: portal.ScopeTopic, Environment: apns.Sandbox, Topics: topics, Related: related}
	}
	first := newSigner(t, p, topicKey("", demo))
	related := newSigner(t, p, topicKey(first.key.ID, "com.example.second"))
	unrelated := newSigner(t, p, topicKey("", demo))
	wide := newSigner(t, p, portal.KeySpec{Team: team.ID, Environment: apns.Sandbox})
	both := newSigner(t, p, portal.KeySpec{Team: team.ID})

	if _, err := first.sender(t, p).Topic(demo + ".voip"); err != nil {
		t.Error(err)
	}
	_, err := first.sender(t, p).Topic("com.example.second")
	wantRejection(t, err, apns.TopicDisallowed)
	if _, err := both.admit(t, p, apns.Production); err != nil {
		t.Error(err)
	}
	_, err = wide.admit(t, p, apns.Production)
	wantRejection(t, err, apns.BadEnvironmentKeyInToken)

	for _, tt := range []struct {
		name        string
		first, then signer
		want        apns.Reason
	}{
		{"the same", first, first, ""},
		{"related", first, related, ""},
		{"related, the other way", related, first, ""},
		{"unrelated", first, unrelated, apns.UnrelatedKeyIDInToken},
		{"team key after topic key", first, wide, apns.UnrelatedKeyIDInToken},
		{"topic key after team key", wide, first, apns.UnrelatedKeyIDInToken},
		{"two team keys", wide, both, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.then.sender(t, p).MayShare(tt.first.sender(t, p))
			if tt.want == "" && err != nil || tt.want != "" && !errors.Is(err, apns.Reject(tt.want, "")) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}

	for _, tt := range []struct {
		name string
		spec portal.KeySpec
		want portal.Code
	}{
		{"third team key", portal.KeySpec{Team: team.ID, Environment: apns.Sandbox}, portal.CodeKeyQuota},
		{"no environment", portal.KeySpec{Team: team.ID, Scope: portal.ScopeTopic, Topics: []apns.Topic{demo}}, portal.CodeKeyScope},
		{"no topics", topicKey(""), portal.CodeKeyScope},
		{"team key with topics", portal.KeySpec{Team: team.ID, Topics: []apns.Topic{demo}}, portal.CodeKeyScope},
		{"unknown scope", portal.KeySpec{Team: team.ID, Scope: "galaxy"}, portal.CodeKeyScope},
		{"unknown app", topicKey("", "com.example.nothing"), portal.CodeApp},
		{"unknown team", portal.KeySpec{Team: "ZZZZZZZZZZ"}, portal.CodeTeam},
		{"related to one that has one", topicKey(first.key.ID, demo), portal.CodeRelatedKey},
		{"related to a team key", topicKey(wide.key.ID, demo), portal.CodeRelatedKey},
		{"related to nothing", topicKey("ZZZZZZZZZZ", demo), portal.CodeKey},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := p.CreateKey(t.Context(), tt.spec)
			wantCode(t, err, tt.want)
		})
	}
}

func TestRevokeKey(t *testing.T) {
	p := open(t)
	team := withDemo(t, p)
	s := newSigner(t, p, portal.KeySpec{Team: team.ID})
	token, err := credential.MintProviderToken(s.private, s.key.ID, team.ID, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.AdmitProviderToken(token, apns.Sandbox); err != nil {
		t.Fatal(err)
	}
	if _, err := p.RevokeKey(t.Context(), s.key.ID); err != nil {
		t.Fatal(err)
	}
	_, err = p.AdmitProviderToken(token, apns.Sandbox) // which was verified before
	wantRejection(t, err, apns.Forbidden)
	_, err = p.RevokeKey(t.Context(), "ZZZZZZZZZZ")
	wantCode(t, err, portal.CodeKey)
	newSigner(t, p, portal.KeySpec{Team: team.ID})
	newSigner(t, p, portal.KeySpec{Team: team.ID}) // the revoked one does not count
}

func TestRevokeDevice(t *testing.T) {
	p := open(t)
	_, code, err := p.CreateEnrolmentCode(t.Context(), 2, 0)
	if err != nil {
		t.Fatal(err)
	}
	d, err := p.ActivateDevice(t.Context(), code, csr(t))
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(d.DER)
	if err != nil {
		t.Fatal(err)
	}
	codes, err := p.Enrolments(t.Context())
	if err != nil || len(codes) != 1 || codes[0].Uses != 1 {
		t.Fatalf("enrolment codes: got %+v, %v, want one with one use", codes, err)
	}
	if _, err := p.RevokeDevice(t.Context(), d.Device); err != nil {
		t.Fatal(err)
	}
	if _, err := p.AdmitDevice(cert); err == nil {
		t.Error("a revoked device was admitted")
	}
	if err := p.RevokeEnrolmentCode(t.Context(), codes[0].ID); err != nil {
		t.Fatal(err)
	}
	if _, err := p.ActivateDevice(t.Context(), code, csr(t)); !errors.Is(err, portal.ErrEnrolmentCode) {
		t.Errorf("a revoked code: got %v", err)
	}
	if codes, err := p.Enrolments(t.Context()); err != nil || len(codes) != 0 {
		t.Errorf("enrolment codes: got %+v, %v, want none", codes, err)
	}
	_, err = p.RevokeDevice(t.Context(), "nobody")
	wantCode(t, err, portal.CodeDevice)
	wantCode(t, p.RevokeEnrolmentCode(t.Context(), "000000000000"), portal.CodeEnrolment)
}

func TestAudit(t *testing.T) {
	p := open(t)
	ctx := portal.WithActor(t.Context(), "api key ci")
	team, err := p.CreateTeam(ctx, "Example")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.RegisterApp(ctx, team.ID, "no bundle", ""); err == nil {
		t.Fatal("a bad bundle ID was taken")
	}
	if _, err := p.RegisterApp(ctx, team.ID, demo, ""); err != nil {
		t.Fatal(err)
	}
	log, err := p.Audit(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for i, e := range log {
		if e.Sequence != uint64(i+1) || e.Time.IsZero() {
			t.Errorf("entry %d: %+v", i, e)
		}
		got = append(got, e.Actor+" "+e.Action)
	}
	want := []string{"herald authority.create", "api key ci team.create", "api key ci app.register"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if log, err := p.Audit(t.Context(), 2); err != nil || len(log) != 1 {
		t.Errorf("after 2: got %d entries, %v, want 1", len(log), err)
	}
}

// sealer seals by turning bits, which is enough to see where it was called.
type sealer struct{ sealed int }

func (s *sealer) Seal(context string, secret []byte) ([]byte, error) {
	s.sealed++
	return append([]byte(context+"|"), flip(secret)...), nil
}

func (s *sealer) Open(context string, sealed []byte) ([]byte, error) {
	b, ok := bytes.CutPrefix(sealed, []byte(context+"|"))
	if !ok {
		return nil, errors.New("sealed for something else")
	}
	return flip(b), nil
}

func flip(b []byte) []byte {
	out := make([]byte, len(b))
	for i := range b {
		out[i] = ^b[i]
	}
	return out
}

func TestBackup(t *testing.T) {
	s := memory.NewPortal()
	seal := &sealer{}
	p, err := portal.Open(t.Context(), portal.Config{Store: s, Sealer: seal})
	if err != nil {
		t.Fatal(err)
	}
	if seal.sealed != 4 {
		t.Errorf("%d keys were sealed, want those of the root and three intermediates", seal.sealed)
	}
	team := withDemo(t, p)
	key := newSigner(t, p, portal.KeySpec{Team: team.ID})
	cert := issue(t, p, credential.PushUniversal)
	var file bytes.Buffer
	if err := p.Backup(t.Context(), &file); err != nil {
		t.Fatal(err)
	}

	back := memory.NewPortal()
	other := &sealer{} // another machine's
	for _, broken := range []string{"", "hello", file.String()[:file.Len()-20], strings.Replace(file.String(), `"format":1`, `"format":7`, 1)} {
		wantCode(t, portal.Restore(t.Context(), back, other, strings.NewReader(broken)), portal.CodeBackup)
	}
	if err := portal.Restore(t.Context(), back, other, bytes.NewReader(file.Bytes())); err != nil {
		t.Fatal(err)
	}
	wantCode(t, portal.Restore(t.Context(), back, other, bytes.NewReader(file.Bytes())), portal.CodeNotEmpty)
	again, err := portal.Open(t.Context(), portal.Config{Store: back, Sealer: other})
	if err != nil {
		t.Fatal(err)
	}
	if !again.Root().Equal(p.Root()) {
		t.Error("the root is another one")
	}
	if _, err := again.AdmitCertificate(cert, apns.Production); err != nil {
		t.Error(err)
	}
	if _, err := key.admit(t, again, apns.Production); err != nil {
		t.Error(err)
	}
	issue(t, again, credential.PushUniversal) // with the restored key of the authority
}

// TestForeignCertificate admits nothing that the portal has no record of, even
// if its authority signed it.
func TestForeignCertificate(t *testing.T) {
	p := open(t)
	withDemo(t, p)
	var file bytes.Buffer
	if err := p.Backup(t.Context(), &file); err != nil {
		t.Fatal(err)
	}
	cert := issue(t, p, credential.PushUniversal) // after the backup
	s := memory.NewPortal()
	if err := portal.Restore(t.Context(), s, nopSealer{}, &file); err != nil {
		t.Fatal(err)
	}
	old, err := portal.Open(t.Context(), portal.Config{Store: s})
	if err != nil {
		t.Fatal(err)
	}
	_, err = old.AdmitCertificate(cert, apns.Sandbox)
	wantRejection(t, err, apns.BadCertificate)
}

type nopSealer struct{}

func (nopSealer) Seal(_ string, b []byte) ([]byte, error) { return b, nil }
func (nopSealer) Open(_ string, b []byte) ([]byte, error) { return b, nil }

func TestWeakRequest(t *testing.T) {
	p := open(t)
	withDemo(t, p)
	key, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.IssueCertificate(t.Context(), demo, credential.PushSandbox, der)
	wantCode(t, err, portal.CodeRequest)
	if !errors.Is(err, credential.ErrWeakKey) {
		t.Errorf("got %v, want it to say that the key is weak", err)
	}
}
