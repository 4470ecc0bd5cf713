package registry_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/internal/envelope"
	"github.com/heraldpush/herald/registry"
	"github.com/heraldpush/herald/store/memory"
)

const demo apns.Topic = "com.example.demo"

func open(t *testing.T) *registry.Registry {
	t.Helper()
	s := memory.NewRegistry()
	r, err := registry.Open(t.Context(), registry.Config{Store: s})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// token returns the device token of the demo app on device 1.
func token(t *testing.T, r *registry.Registry, env apns.Environment) apns.DeviceToken {
	t.Helper()
	d, err := r.EnterDevice(t.Context(), "8E7A4E9C-9D9B-4E63-8F6C-3E0F4E4B9A11")
	if err != nil {
		t.Fatal(err)
	}
	tok, err := r.DeviceToken(t.Context(), apns.Address{Device: d, Environment: env, Topic: demo.Hash()})
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func TestResolve(t *testing.T) {
	r := open(t)
	sandbox, production := token(t, r, apns.Sandbox), token(t, r, apns.Production)
	if again := token(t, r, apns.Sandbox); again != sandbox {
		t.Errorf("the same app got two tokens: %s, %s", sandbox.Hex(), again.Hex())
	}
	want := apns.Address{Device: 1, Environment: apns.Sandbox, Topic: demo.Hash()}
	if got, err := r.Resolve(t.Context(), sandbox, demo, apns.Sandbox); got != want || err != nil {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	forged := []byte(sandbox)
	forged[31] ^= 1
	for _, tt := range []struct {
		name  string
		token apns.DeviceToken
		topic apns.Topic
		want  apns.Reason
	}{
		{"production token", production, demo, apns.BadDeviceToken},
		{"forged", apns.DeviceToken(forged), demo, apns.BadDeviceToken},
		{"truncated", sandbox[:31], demo, apns.BadDeviceToken},
		{"longer", sandbox + "x", demo, apns.BadDeviceToken},
		{"base token", apns.DeviceToken(r.BaseToken(1, apns.Sandbox)), demo, apns.BadDeviceToken},
		{"another topic", sandbox, "com.example.other", apns.DeviceTokenNotForTopic},
		{"another push type", sandbox, demo + ".voip", apns.DeviceTokenNotForTopic},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := r.Resolve(t.Context(), tt.token, tt.topic, apns.Sandbox)
			if !errors.Is(err, apns.Reject(tt.want, "")) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

// TestRemovedAndBack is the life of an app on a device: removed, its token is
// Unregistered since then; installed again, it has another token, and the old
// one stays Unregistered since the same time.
func TestRemovedAndBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t)
		before := token(t, r, apns.Sandbox)
		gone := time.Now()
		at := apns.Address{Device: 1, Environment: apns.Sandbox, Topic: demo.Hash()}
		if err := r.Remove(t.Context(), at, gone); err != nil {
			t.Fatal(err)
		}
		unregistered := func(tok apns.DeviceToken) {
			t.Helper()
			_, err := r.Resolve(t.Context(), tok, demo, apns.Sandbox)
			var rej *apns.Rejection
			if !errors.As(err, &rej) || rej.Reason != apns.Unregistered || !rej.Since.Equal(gone) {
				t.Errorf("got %v, want Unregistered since %v", err, gone)
			}
		}
		unregistered(before)
		time.Sleep(time.Hour)
		if err := r.Remove(t.Context(), at, time.Now()); err != nil {
			t.Fatal(err)
		}
		unregistered(before) // the first time counts

		after := token(t, r, apns.Sandbox)
		if after == before {
			t.Error("the app came back with its old token")
		}
		if _, err := r.Resolve(t.Context(), after, demo, apns.Sandbox); err != nil {
			t.Errorf("new token: %v", err)
		}
		unregistered(before)
	})
}

// TestSealed proves that the store has the token keys under the seal alone, that
// they open again with it, and with no other.
func TestSealed(t *testing.T) {
	newSealer := func() *envelope.Sealer {
		key, err := envelope.NewKey()
		if err != nil {
			t.Fatal(err)
		}
		s, err := envelope.New(key)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := memory.NewRegistry()
	ours := newSealer()
	r, err := registry.Open(t.Context(), registry.Config{Store: s, Sealer: ours})
	if err != nil {
		t.Fatal(err)
	}
	before := token(t, r, apns.Sandbox)

	stored, err := s.TokenKeys(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, env := range apns.Environments {
		if _, err := envelope.KeyOf(stored[env]); err != nil {
			t.Errorf("token key of %v is not sealed: %v", env, err)
		}
	}
	again, err := registry.Open(t.Context(), registry.Config{Store: s, Sealer: ours})
	if err != nil {
		t.Fatal(err)
	}
	if after := token(t, again, apns.Sandbox); after != before {
		t.Errorf("opened again: got token %s, want %s", after.Hex(), before.Hex())
	}
	_, err = registry.Open(t.Context(), registry.Config{Store: s, Sealer: newSealer()})
	if _, ok := errors.AsType[*envelope.WrongKeyError](err); !ok {
		t.Errorf("with another master key: got %v, want a WrongKeyError", err)
	}
	if _, err := registry.Open(t.Context(), registry.Config{Store: s}); err == nil {
		t.Error("without a seal: got no error")
	}
	stored[apns.Sandbox], stored[apns.Production] = stored[apns.Production], stored[apns.Sandbox]
	if _, err := registry.Open(t.Context(), registry.Config{Store: s, Sealer: ours}); !errors.Is(err, envelope.ErrDamaged) {
		t.Errorf("the keys exchanged: got %v, want %v", err, envelope.ErrDamaged)
	}
}

func TestBaseToken(t *testing.T) {
	r := open(t)
	base := r.BaseToken(7, apns.Sandbox)
	if got, err := r.OpenBaseToken(base, apns.Sandbox); got != 7 || err != nil {
		t.Errorf("got %d, %v, want 7", got, err)
	}
	if _, err := r.OpenBaseToken(base, apns.Production); !errors.Is(err, registry.ErrUnknownToken) {
		t.Errorf("of the other environment: got %v, want %v", err, registry.ErrUnknownToken)
	}
	if _, err := r.OpenBaseToken(apns.BaseToken(token(t, r, apns.Sandbox)), apns.Sandbox); !errors.Is(err, registry.ErrUnknownToken) {
		t.Errorf("a device token: got %v, want %v", err, registry.ErrUnknownToken)
	}
}
