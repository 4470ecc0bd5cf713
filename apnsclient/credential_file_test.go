package apnsclient

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
)

// identity issues a push certificate that is told from others by its end.
func identity(t *testing.T, root credential.Authority, lifetime time.Duration) credential.Identity {
	t.Helper()
	key, now := newKey(t), time.Now()
	c, err := root.IssuePush(credential.PushProfile{
		Kind: credential.PushUniversal, BundleID: topic, TeamID: "ABCDE12345", Organization: "Example",
	}, key.Public(), credential.Validity{NotBefore: now.Add(-time.Hour), NotAfter: now.Add(lifetime)})
	if err != nil {
		t.Fatal(err)
	}
	return credential.Identity{Certificate: c, Key: key}
}

// replace puts data at path at once, as those do who are careful.
func replace(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func must[T any](t *testing.T) func(v T, err error) T {
	t.Helper()
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func TestLoadCertificate(t *testing.T) {
	id := identity(t, newGateway(t).root, 24*time.Hour)
	plain := must[[]byte](t)(id.MarshalPEM())
	locked := append(credential.MarshalCertificatePEM(id.Certificate),
		must[[]byte](t)(credential.MarshalEncryptedPrivateKeyPEM(id.Key, "secret"))...)
	p12 := must[[]byte](t)(id.MarshalPKCS12("secret", credential.PKCS12Modern))
	for _, tt := range []struct {
		name     string
		data     []byte
		password string
		want     error // nil for none
	}{
		{"push.pem", plain, "", nil},
		{"push.pem with a password that is not needed", plain, "secret", nil},
		{"locked.pem", locked, "secret", nil},
		{"locked.pem, wrong", locked, "guess", credential.ErrPassword},
		{"push.p12", p12, "secret", nil},
		{"push.p12, wrong", p12, "guess", credential.ErrPassword},
		{"certificate alone", credential.MarshalCertificatePEM(id.Certificate), "", credential.ErrNoKey},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "push")
			replace(t, path, tt.data)
			c, err := LoadCertificate(path, tt.password)
			if tt.want != nil {
				if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "guess") {
					t.Errorf("got %v, want %v with the name of the file and no password", err, tt.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := c.Certificate(); !got.Leaf.Equal(id.Certificate) {
				t.Errorf("got %v, want the certificate", got.Leaf.Subject)
			}
			if got, want := c.Expires(), id.Certificate.NotAfter; !got.Equal(want) {
				t.Errorf("got expiry %v, want %v", got, want)
			}
		})
	}
}

func TestLoadRefusesWhatIsNoFile(t *testing.T) {
	dir := t.TempDir()
	large := filepath.Join(dir, "large")
	replace(t, large, make([]byte, maxCredentialBytes+1))
	for _, tt := range []struct{ path, want string }{
		{filepath.Join(dir, "missing"), "no such file"}, {dir, "not a file"}, {large, "over 1048576 bytes"},
	} {
		if _, err := LoadCertificate(tt.path, ""); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("got %v, want %q", err, tt.want)
		}
		if _, err := LoadKey(tt.path, "ABCDE12345", "2X9R4HXF34"); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("got %v, want %q", err, tt.want)
		}
	}
}

// told collects what OnChange is told.
type told []string

func (l *told) hear(err error) {
	if err == nil {
		*l = append(*l, "changed")
		return
	}
	*l = append(*l, err.Error())
}

// A new file is taken within seconds; a broken one keeps the old certificate, and
// is told of once.
func TestCertificateIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		root := newGateway(t).root
		path := filepath.Join(t.TempDir(), "push.pem")
		first, second := identity(t, root, 24*time.Hour), identity(t, root, 48*time.Hour)
		replace(t, path, must[[]byte](t)(first.MarshalPEM()))
		c := must[*CertificateFile](t)(LoadCertificate(path, ""))
		var heard told
		c.OnChange(heard.hear)
		holds := func(want credential.Identity, tells ...string) {
			t.Helper()
			heard = nil
			for range 3 {
				time.Sleep(lookAgainAfter)
				if got := c.Certificate(); !got.Leaf.Equal(want.Certificate) {
					t.Errorf("got the certificate until %v, want that until %v", got.Leaf.NotAfter, want.Certificate.NotAfter)
				}
			}
			if len(heard) != len(tells) {
				t.Fatalf("was told %q, want %q", heard, tells)
			}
			for i, want := range tells {
				if !strings.Contains(heard[i], want) {
					t.Errorf("was told %q, want %q", heard[i], want)
				}
			}
		}
		holds(first)
		replace(t, path, must[[]byte](t)(second.MarshalPEM()))
		holds(second, "changed")
		replace(t, path, []byte("-----BEGIN CERTIFICATE-----\n"))
		holds(second, "push.pem: ")
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		holds(second, "no such file")
		replace(t, path, must[[]byte](t)(first.MarshalPEM()))
		holds(first, "changed")
		c.OnChange(nil)
		replace(t, path, must[[]byte](t)(second.MarshalPEM()))
		holds(second)
	})
}

// A look at the file costs something, so it is not taken with each call.
func TestCertificateIsLookedAtSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		root := newGateway(t).root
		path := filepath.Join(t.TempDir(), "push.pem")
		replace(t, path, must[[]byte](t)(identity(t, root, time.Hour).MarshalPEM()))
		c := must[*CertificateFile](t)(LoadCertificate(path, ""))
		before := c.Certificate()
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		c.OnChange(func(err error) { t.Errorf("looked at once more: %v", err) })
		time.Sleep(lookAgainAfter - 1)
		if got := c.Certificate(); got != before {
			t.Error("got another certificate")
		}
		c.OnChange(nil)
	})
}

func TestLoadKey(t *testing.T) {
	p8 := must[[]byte](t)(credential.MarshalP8(newKey(t)))
	dir := t.TempDir()
	named, unnamed, link := filepath.Join(dir, "AuthKey_2X9R4HXF34.p8"), filepath.Join(dir, "push.p8"), filepath.Join(dir, "link.p8")
	replace(t, named, p8)
	replace(t, unnamed, p8)
	if err := os.Symlink(named, link); err != nil {
		t.Skipf("no symbolic links here: %v", err)
	}
	for _, tt := range []struct {
		name, path string
		team       apns.TeamID
		id         apns.KeyID
		want       string // the key ID, or a part of the error
	}{
		{"key ID by the name", named, "ABCDE12345", "", "2X9R4HXF34"},
		{"key ID by what is linked", link, "ABCDE12345", "", "2X9R4HXF34"},
		{"key ID given", unnamed, "ABCDE12345", "ABC1234567", "ABC1234567"},
		{"no key ID", unnamed, "ABCDE12345", "", "no key ID"},
		{"no team", named, "", "", "no team ID"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := LoadKey(tt.path, tt.team, tt.id)
			if err != nil {
				if !strings.Contains(err.Error(), tt.want) {
					t.Errorf("got %v, want %q", err, tt.want)
				}
				return
			}
			token := must[credential.ProviderToken](t)(credential.ParseProviderToken(mustGet(t, p)))
			if string(p.KeyID()) != tt.want || string(token.KeyID) != tt.want || token.TeamID != tt.team || p.TeamID() != tt.team {
				t.Errorf("got %v, %v, want key %s of team %s", p, token, tt.want, tt.team)
			}
		})
	}
}

// Another key is taken when a token is due, and at once when the gateway refuses
// the one that there is.
func TestKeyIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "AuthKey_2X9R4HXF34.p8")
		write := func() (verify func(token string)) {
			key := newKey(t)
			replace(t, path, must[[]byte](t)(credential.MarshalP8(key)))
			return func(token string) {
				t.Helper()
				if err := must[credential.ProviderToken](t)(credential.ParseProviderToken(token)).Verify(&key.PublicKey); err != nil {
					t.Error(err)
				}
			}
		}
		first := write()
		p := must[*ProviderTokens](t)(LoadKey(path, "ABCDE12345", ""))
		var heard told
		p.OnChange(heard.hear)
		first(mustGet(t, p))
		second := write()
		time.Sleep(49 * time.Minute)
		first(mustGet(t, p))
		time.Sleep(time.Minute)
		second(mustGet(t, p))

		third := write()
		time.Sleep(lookAgainAfter)
		for _, reason := range []apns.Reason{apns.BadDeviceToken, apns.Forbidden} {
			mustRefuse(t, p, mustGet(t, p), reason, "", reason == apns.Forbidden)
		}
		third(mustGet(t, p))
		replace(t, path, []byte("nothing"))
		time.Sleep(50 * time.Minute)
		third(mustGet(t, p))
		if len(heard) != 3 || heard[0] != "changed" || heard[1] != "changed" || !strings.Contains(heard[2], path) {
			t.Errorf("was told %q, want two changes and a problem", heard)
		}
	})
}

func TestCredentialFilesPrintNoSecret(t *testing.T) {
	path := filepath.Join(t.TempDir(), "push.p12")
	id := identity(t, newGateway(t).root, time.Hour)
	replace(t, path, must[[]byte](t)(id.MarshalPKCS12("secret", credential.PKCS12Modern)))
	c := must[*CertificateFile](t)(LoadCertificate(path, "secret"))
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("loaded", slog.Any("certificate", c))
	for _, s := range []string{fmt.Sprintf("%v %+v %#v %s", c, c, c, c), log.String()} {
		if strings.Contains(s, "secret") || strings.Contains(s, "0x") || !strings.Contains(s, "push.p12") {
			t.Errorf("got %q, want the file and nothing else", s)
		}
	}
	if _, err := LoadCertificate(path+"x", "secret"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want ErrNotExist", err)
	}
}

// A sender presents the certificate that is in the file when it connects.
func TestSenderPresentsTheNewCertificate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var presented []time.Time
		g := newGateway(t).serve(t, func(w http.ResponseWriter, r *http.Request) {
			presented = append(presented, r.TLS.PeerCertificates[0].NotAfter)
			w.Header().Set("Connection", "close")
			accept(w, r)
		})
		path := filepath.Join(t.TempDir(), "push.pem")
		first, second := identity(t, g.root, time.Hour), identity(t, g.root, 100*time.Hour)
		other := must[credential.Identity](t)(otherEnvironment(t, g.root))
		replace(t, path, must[[]byte](t)(first.MarshalPEM()))
		cfg := g.config()
		cfg.CertificateFile = must[*CertificateFile](t)(LoadCertificate(path, ""))
		s := newSender(t, cfg)
		push := func(want credential.Identity) {
			t.Helper()
			if _, err := s.Push(t.Context(), deviceToken, hello); err != nil {
				t.Fatal(err)
			}
			if got := presented[len(presented)-1]; !got.Equal(want.Certificate.NotAfter) {
				t.Errorf("got the certificate until %v, want that until %v", got, want.Certificate.NotAfter)
			}
			if got := s.CertificateExpires(); !got.Equal(want.Certificate.NotAfter) {
				t.Errorf("got expiry %v, want %v", got, want.Certificate.NotAfter)
			}
			time.Sleep(lookAgainAfter)
		}
		push(first)
		replace(t, path, must[[]byte](t)(other.MarshalPEM())) // of no use here
		push(first)
		time.Sleep(2 * time.Hour)
		_, err := s.Push(t.Context(), deviceToken, hello)
		if _, ok := errors.AsType[*CheckError](err); !ok || !strings.Contains(err.Error(), "expired") {
			t.Errorf("got %v, want that the certificate has expired", err)
		}
		time.Sleep(lookAgainAfter)
		replace(t, path, must[[]byte](t)(second.MarshalPEM()))
		push(second)
	})
}

// otherEnvironment issues a push certificate that is for the sandbox alone.
func otherEnvironment(t *testing.T, root credential.Authority) (credential.Identity, error) {
	t.Helper()
	key, now := newKey(t), time.Now()
	c, err := root.IssuePush(credential.PushProfile{
		Kind: credential.PushSandbox, BundleID: topic, TeamID: "ABCDE12345", Organization: "Example",
	}, key.Public(), credential.Validity{NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour)})
	return credential.Identity{Certificate: c, Key: key}, err
}

func TestSenderWithoutCertificateNeverExpires(t *testing.T) {
	if got := newSender(t, newGateway(t).withKey(t)).CertificateExpires(); !got.IsZero() {
		t.Errorf("got %v, want the zero time", got)
	}
}
