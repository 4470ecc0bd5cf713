package registry_test

import (
	"errors"
	"testing"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/registry"
	"github.com/heraldpush/herald/store/memory"
)

// TestRemoveDevice removes a device with two apps. Another device is left alone,
// and a registry that is opened again knows it.
func TestRemoveDevice(t *testing.T) {
	store := memory.NewRegistry()
	r, err := registry.Open(t.Context(), registry.Config{Store: store})
	if err != nil {
		t.Fatal(err)
	}
	make := func(id apns.DeviceID, topic apns.Topic, env apns.Environment) (apns.DeviceOrdinal, apns.DeviceToken) {
		t.Helper()
		d, err := r.EnterDevice(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		tok, err := r.DeviceToken(t.Context(), apns.Address{Device: d, Environment: env, Topic: topic.Hash()})
		if err != nil {
			t.Fatal(err)
		}
		return d, tok
	}
	const other apns.Topic = "com.example.other"
	d, first := make("first", demo, apns.Sandbox)
	_, second := make("first", other, apns.Production)
	_, good := make("second", demo, apns.Sandbox)
	at := time.Now().Add(-time.Hour)
	for range 2 {
		if err := r.RemoveDevice(t.Context(), d, at); err != nil {
			t.Fatal(err)
		}
		at = at.Add(time.Minute) // the first time counts
	}
	for range 2 {
		for _, tt := range []struct {
			tok   apns.DeviceToken
			topic apns.Topic
			env   apns.Environment
		}{{first, demo, apns.Sandbox}, {second, other, apns.Production}} {
			_, err := r.Resolve(t.Context(), tt.tok, tt.topic, tt.env)
			gone, ok := errors.AsType[*apns.Rejection](err)
			if !ok || gone.Reason != apns.Unregistered || !gone.Since.Equal(at.Add(-2*time.Minute)) {
				t.Errorf("%s: got %v, want %s since %v", tt.topic, err, apns.Unregistered, at.Add(-2*time.Minute))
			}
			topic := r.Topic(tt.topic)
			if _, err := r.ResolveNow(tt.tok, &topic, tt.env); !errors.Is(err, registry.ErrMustAsk) {
				t.Errorf("%s now: got %v, want %v", tt.topic, err, registry.ErrMustAsk)
			}
		}
		if _, err := r.Resolve(t.Context(), good, demo, apns.Sandbox); err != nil {
			t.Errorf("another device: got %v", err)
		}
		if r, err = registry.Open(t.Context(), registry.Config{Store: store}); err != nil {
			t.Fatal(err)
		}
	}
}
