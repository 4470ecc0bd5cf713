package account_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/provider/account"
	"github.com/heraldpush/herald/store/memory"
)

func (s *shelf) newKey(t *testing.T, spec account.KeySpec) (account.Key, account.APIKey) {
	t.Helper()
	k, whole, err := s.CreateKey(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	return k, whole
}

func TestKeys(t *testing.T) {
	s := newShelf(t, account.Config{})
	k, whole := s.newKey(t, account.KeySpec{Name: "ci", Scopes: []account.Scope{account.ScopeSend, account.ScopeRead, account.ScopeSend}})
	text := whole.Reveal()
	if !strings.HasPrefix(text, string(k.ID)+"_") || !strings.HasPrefix(text, "sk_") || whole.ID() != k.ID || len(k.Scopes) != 2 {
		t.Errorf("got key %+v and text %q", k, text)
	}
	public, publicWhole := s.newKey(t, account.KeySpec{Kind: account.Publishable, Apps: []account.AppID{shop}})
	if !strings.HasPrefix(publicWhole.Reveal(), "pk_") {
		t.Errorf("got %q, want pk_…", publicWhole.Reveal())
	}
	for _, again := range []bool{false, true} {
		if again {
			s.reopen(t)
		}
		got, err := s.Authenticate(t.Context(), text)
		if got.LastUsedAt = (time.Time{}); err != nil || cmp.Diff(k, got) != "" {
			t.Errorf("got %+v, %v, want %+v", got, err, k)
		}
		if got := s.Keys("", 10); len(got) != 2 || got[0].ID != public.ID {
			t.Errorf("keys: got %+v", got)
		}
		if got := s.Keys(public.ID, 10); len(got) != 1 || got[0].ID != k.ID {
			t.Errorf("keys after the first: got %+v", got)
		}
	}
	last := byte('a')
	if text[len(text)-1] == last {
		last = 'b'
	}
	for name, wrong := range map[string]string{
		"nothing": "", "the ID": string(k.ID), "another end": text[:len(text)-1] + string(last), "longer": text + "a",
		"upper case": strings.ToUpper(text), "another kind": "pk_" + text[3:], "another ID": string(public.ID) + text[len(k.ID):],
		"unknown": "sk_aaaaaaaaaaaaaaaa_aaaaaaaaaaaaaaaaaaaaaaaaaa",
	} {
		if got, err := s.Authenticate(t.Context(), wrong); !errors.Is(err, account.ErrKey) || got.ID != "" {
			t.Errorf("%s: got %+v, %v, want ErrKey", name, got, err)
		}
	}
	if err := s.DeleteKey(t.Context(), k.ID); faults(err) != " conflict" {
		t.Errorf("deleting a good key: got %v, want a conflict", err)
	}
	revoked, err := s.RevokeKey(t.Context(), k.ID)
	if err != nil || revoked.RevokedAt.IsZero() {
		t.Errorf("got %+v, %v", revoked, err)
	}
	if again, err := s.RevokeKey(t.Context(), k.ID); err != nil || again.RevokedAt != revoked.RevokedAt {
		t.Errorf("revoked again: got %+v, %v", again, err)
	}
	for range 2 {
		if _, err := s.Authenticate(t.Context(), text); !errors.Is(err, account.ErrKey) {
			t.Errorf("revoked: got %v, want ErrKey", err)
		}
		s.reopen(t)
	}
	if err := s.DeleteKey(t.Context(), k.ID); err != nil {
		t.Error(err)
	}
	for _, err := range []error{s.DeleteKey(t.Context(), k.ID), second(s.RevokeKey(t.Context(), k.ID)), second(s.KeyOf(k.ID))} {
		if !errors.Is(err, account.ErrNotFound) {
			t.Errorf("got %v, want ErrNotFound", err)
		}
	}
	want := []string{"herald app.create", "herald key.create", "herald key.create", "herald key.revoke", "herald key.delete"}
	if got := s.actions(t); !slices.Equal(got, want) {
		t.Errorf("audit: got %q, want %q", got, want)
	}
}

func second[T any](_ T, err error) error { return err }

func TestKeyRefused(t *testing.T) {
	s := newShelf(t, account.Config{})
	send := []account.Scope{account.ScopeSend}
	for _, tt := range []struct {
		name string
		spec account.KeySpec
		want string
	}{
		{"no scopes", account.KeySpec{}, "/scopes required"},
		{"an unknown kind", account.KeySpec{Kind: "golden"}, "/kind unknown"},
		{"unknown scopes", account.KeySpec{Scopes: []account.Scope{"send", "root", "register"}}, "/scopes/1 unknown, /scopes/2 unknown"},
		{"too many scopes", account.KeySpec{Scopes: slices.Repeat(send, 5)}, "/scopes too_many"},
		{"an unknown app", account.KeySpec{Scopes: send, Apps: []account.AppID{shop, "shop2"}}, "/apps/1 unknown"},
		{"too many apps", account.KeySpec{Scopes: send, Apps: slices.Repeat([]account.AppID{shop}, 101)}, "/apps too_many"},
		{"publishable, for all", account.KeySpec{Kind: account.Publishable}, "/apps required"},
		{"publishable, with a scope", account.KeySpec{Kind: account.Publishable, Scopes: send, Apps: []account.AppID{shop}}, "/scopes conflict"},
		{"a name", account.KeySpec{Scopes: send, Name: "\n"}, "/name malformed"},
		{"over", account.KeySpec{Scopes: send, ExpiresAt: start}, "/expires_at malformed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, whole, err := s.CreateKey(t.Context(), tt.spec); faults(err) != tt.want || whole.ID() != "" {
				t.Errorf("got %v, %q, want %q", whole, faults(err), tt.want)
			}
		})
	}
}

// TestKeyAllows tells which key is for what: in the app shop, in another app, and
// for what is of no app.
func TestKeyAllows(t *testing.T) {
	secret := func(apps []account.AppID, scopes ...account.Scope) account.KeySpec {
		return account.KeySpec{Kind: account.SecretKey, Scopes: scopes, Apps: apps}
	}
	one := []account.AppID{shop}
	for _, tt := range []struct {
		name string
		spec account.KeySpec
		want map[account.Scope]string
	}{
		{"publishable", account.KeySpec{Kind: account.Publishable, Apps: one}, map[account.Scope]string{"register": "shop"}},
		{"publishable, damaged", account.KeySpec{Kind: account.Publishable, Scopes: []account.Scope{"admin"}}, map[account.Scope]string{"register": "shop other"}},
		{"send", secret(nil, "send"), map[account.Scope]string{"send": "shop other -"}},
		{"send in one app", secret(one, "send"), map[account.Scope]string{"send": "shop"}},
		{"devices", secret(nil, "devices"), map[account.Scope]string{"devices": "shop other -", "register": "shop other -"}},
		{"read and send", secret(one, "read", "send"), map[account.Scope]string{"read": "shop", "send": "shop"}},
		{"admin of one app", secret(one, "admin"), map[account.Scope]string{"register": "shop", "send": "shop", "devices": "shop", "read": "shop", "admin": "shop"}},
		{"nothing", secret(nil), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k := account.Key{KeySpec: tt.spec}
			for _, scope := range []account.Scope{"register", "send", "devices", "read", "admin", ""} {
				var got []string
				for _, app := range []account.AppID{shop, "other", ""} {
					if k.Allows(scope, app) {
						name := string(app)
						if name == "" {
							name = "-"
						}
						got = append(got, name)
					}
				}
				if got := strings.Join(got, " "); got != tt.want[scope] {
					t.Errorf("%q: got %q, want %q", scope, got, tt.want[scope])
				}
			}
		})
	}
}

// countingStore counts updates.
type countingStore struct {
	account.Store
	mu      sync.Mutex
	updates int
	fail    error // what an update returns instead of happening
}

func (s *countingStore) Update(ctx context.Context, f func(account.Tx) error) error {
	s.mu.Lock()
	s.updates++
	fail := s.fail
	s.mu.Unlock()
	if fail != nil {
		return fail
	}
	return s.Store.Update(ctx, f)
}

// TestLastUsed proves that a use costs one write an hour, however many come at
// once, and that one that fails keeps nobody out.
func TestLastUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &countingStore{Store: memory.NewAccount()}
		var log strings.Builder
		s := newShelf(t, account.Config{Store: store, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		k, whole := s.newKey(t, account.KeySpec{Scopes: []account.Scope{"send"}, ExpiresAt: time.Now().Add(5 * time.Hour)})
		use := func(want int) {
			t.Helper()
			before := store.updates
			var wg sync.WaitGroup
			for range 20 {
				wg.Go(func() {
					if _, err := s.Authenticate(t.Context(), whole.Reveal()); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if got := store.updates - before; got != want {
				t.Errorf("got %d writes, want %d", got, want)
			}
		}
		first := time.Now().UTC()
		use(1)
		time.Sleep(59 * time.Minute)
		use(0)
		s.reopen(t)
		if got, err := s.KeyOf(k.ID); err != nil || !got.LastUsedAt.Equal(first) {
			t.Errorf("last used: got %v, %v, want %v", got.LastUsedAt, err, first)
		}
		use(0)
		time.Sleep(time.Minute)
		store.fail = errors.New("no space left")
		use(1)
		if got := log.String(); strings.Count(got, "no space left") != 1 || strings.Contains(got, whole.Reveal()) {
			t.Errorf("log: got %q", got)
		}
		store.fail = nil
		time.Sleep(4*time.Hour - time.Nanosecond)
		use(1)
		time.Sleep(time.Nanosecond)
		if _, err := s.Authenticate(t.Context(), whole.Reveal()); !errors.Is(err, account.ErrKey) {
			t.Errorf("over: got %v, want ErrKey", err)
		}
	})
}

// TestAPIKeyHidden proves that no way of printing shows a key.
func TestAPIKeyHidden(t *testing.T) {
	s := newShelf(t, account.Config{})
	_, whole := s.newKey(t, account.KeySpec{Scopes: []account.Scope{"send"}})
	secret := whole.Reveal()[len(whole.ID())+1:]
	hidden(t, secret, whole, &whole, struct{ k account.APIKey }{whole}, struct{ K account.APIKey }{whole})
	if zero := (account.APIKey{}); zero.ID() != "" || zero.Reveal() != "" || zero.String() == "" {
		t.Errorf("the zero key is %q", zero)
	}
}

// hidden fails if a way of printing one of all shows the secret.
func hidden(t *testing.T, secret string, all ...any) {
	t.Helper()
	for _, v := range all {
		var log strings.Builder
		slog.New(slog.NewTextHandler(&log, nil)).Info("see", slog.Any("it", v))
		slog.New(slog.NewJSONHandler(&log, nil)).Info("see", slog.Any("it", v))
		var text strings.Builder
		text.WriteString(log.String())
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			text.WriteString(fmt.Sprintf(verb, v) + "\n")
		}
		if b, err := json.Marshal(v); err == nil {
			text.WriteString(string(b))
		}
		if strings.Contains(text.String(), secret) || strings.Contains(text.String(), fmt.Sprintf("%x", secret)) {
			t.Errorf("%T shows its secret: %s", v, text.String())
		}
	}
}
