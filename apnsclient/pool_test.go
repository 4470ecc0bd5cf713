package apnsclient

import (
	"errors"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
)

// pool returns a pool of senders to g.
func (g *gateway) pool(t *testing.T, size int) *Pool {
	t.Helper()
	p := NewPool(PoolConfig{Sender: g.config(), Size: size, IdleTimeout: time.Minute})
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
	return p
}

func TestPoolKnowsCredentials(t *testing.T) {
	g := newGateway(t)
	p := g.pool(t, 0)
	key := newKey(t)
	tokens := func(team apns.TeamID, id apns.KeyID) *ProviderTokens {
		return must[*ProviderTokens](t)(NewProviderTokens(team, id, key))
	}
	certificate := g.certificate(t, g.root, credential.PushUniversal)
	copied := *certificate
	dir := t.TempDir()
	replace(t, filepath.Join(dir, "push.pem"), must[[]byte](t)(identity(t, g.root, time.Hour).MarshalPEM()))
	replace(t, filepath.Join(dir, "AuthKey_2X9R4HXF34.p8"), must[[]byte](t)(credential.MarshalP8(key)))
	file := must[*CertificateFile](t)(LoadCertificate(filepath.Join(dir, "push.pem"), ""))
	loaded := must[*ProviderTokens](t)(LoadKey(filepath.Join(dir, "AuthKey_2X9R4HXF34.p8"), "ABCDE12345", ""))

	senders := make(map[*Sender]bool)
	for _, tt := range []struct {
		name string
		c    Credential
		want int // senders so far
	}{
		{"key", Credential{Environment: apns.Production, ProviderTokens: tokens("ABCDE12345", "2X9R4HXF34")}, 1},
		{"the same key", Credential{Environment: apns.Production, ProviderTokens: tokens("ABCDE12345", "2X9R4HXF34")}, 1},
		{"the same in the sandbox", Credential{Environment: apns.Sandbox, ProviderTokens: tokens("ABCDE12345", "2X9R4HXF34")}, 2},
		{"another team", Credential{Environment: apns.Production, ProviderTokens: tokens("FGHIJ12345", "2X9R4HXF34")}, 3},
		{"another key", Credential{Environment: apns.Production, ProviderTokens: tokens("ABCDE12345", "ABC1234567")}, 4},
		{"another key of that name", Credential{Environment: apns.Production, ProviderTokens: newTokens(t)}, 5},
		{"certificate", Credential{Environment: apns.Production, Certificate: certificate}, 6},
		{"the same certificate", Credential{Environment: apns.Production, Certificate: &copied}, 6},
		{"another", Credential{Environment: apns.Production, Certificate: g.certificate(t, g.root, credential.PushUniversal)}, 7},
		{"certificate in a file", Credential{Environment: apns.Production, CertificateFile: file}, 8},
		{"the same file", Credential{Environment: apns.Production, CertificateFile: file}, 8},
		{"key in a file", Credential{Environment: apns.Production, ProviderTokens: loaded}, 9},
		{"the same key file", Credential{Environment: apns.Production, ProviderTokens: loaded}, 9},
	} {
		s, release, err := p.Get(tt.c)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		defer release()
		senders[s] = true
		if len(senders) != tt.want || p.Len() != tt.want {
			t.Errorf("%s: got %d senders, %d in the pool, want %d", tt.name, len(senders), p.Len(), tt.want)
		}
	}
	if _, _, err := p.Get(Credential{Environment: apns.Production}); err == nil {
		t.Error("got a sender without a credential")
	}
	if p.Len() != 9 {
		t.Errorf("got %d senders, want that a failure leaves none", p.Len())
	}
}

// The sender whose last use is longest ago goes, and none that is in use.
func TestPoolIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		p := g.pool(t, 2)
		var all []Credential
		for range 4 {
			all = append(all, Credential{Environment: apns.Production, ProviderTokens: newTokens(t)})
		}
		get := func(n int) (*Sender, func()) {
			t.Helper()
			s, release, err := p.Get(all[n])
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			return s, release
		}
		first, release := get(0)
		release()
		release() // a second time does nothing
		second, release := get(1)
		release()
		if again, release := get(0); again != first {
			t.Error("got another sender for the first credential")
		} else {
			release()
		}
		_, release = get(2)
		release()
		if again, release := get(0); again != first {
			t.Error("the sender that was used last is gone")
		} else {
			release()
		}
		if p.Len() != 2 {
			t.Errorf("got %d senders, want 2", p.Len())
		}
		synctest.Wait()
		if _, err := second.Push(t.Context(), deviceToken, hello); !errors.Is(err, ErrClosed) {
			t.Errorf("the one that went: got %v, want ErrClosed", err)
		}
		var releases []func()
		for n := range all {
			_, release := get(n)
			releases = append(releases, release)
		}
		if p.Len() != 4 {
			t.Errorf("got %d senders while four are in use, want 4", p.Len())
		}
		for _, release := range releases {
			release()
		}
		if p.Len() != 2 {
			t.Errorf("got %d senders after that, want 2", p.Len())
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if p.Len() != 0 {
			t.Errorf("got %d senders after a minute of rest, want 0", p.Len())
		}
	})
}

// Rest is counted for each sender from its last use.
func TestPoolRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newGateway(t).pool(t, 10)
		for n := range 3 {
			_, release, err := p.Get(Credential{Environment: apns.Production, ProviderTokens: newTokens(t)})
			if err != nil {
				t.Fatal(err)
			}
			if n == 1 {
				defer release() // in use all the time
			} else {
				release()
			}
			time.Sleep(20 * time.Second)
		}
		for _, want := range []int{2, 2, 1} { // after 60, 80 and 100 seconds
			synctest.Wait()
			if p.Len() != want {
				t.Errorf("got %d senders, want %d", p.Len(), want)
			}
			time.Sleep(20 * time.Second)
		}
	})
}

// No push is lost when its sender is closed.
func TestPoolLosesNoPush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t).serve(t, func(w http.ResponseWriter, r *http.Request) {
			<-time.After(2 * time.Second)
			accept(w, r)
		})
		p := g.pool(t, 1)
		var pushes sync.WaitGroup
		for range 4 {
			c := Credential{Environment: apns.Production, ProviderTokens: newTokens(t)}
			pushes.Go(func() {
				s, release, err := p.Get(c)
				if err != nil {
					t.Error(err)
					return
				}
				defer release()
				if _, err := s.Push(t.Context(), deviceToken, hello); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		if err := p.Close(); err != nil { // with all of them under way
			t.Error(err)
		}
		pushes.Wait()
		if _, _, err := p.Get(Credential{Environment: apns.Production, ProviderTokens: newTokens(t)}); !errors.Is(err, ErrClosed) {
			t.Errorf("after closing: got %v, want ErrClosed", err)
		}
	})
}
