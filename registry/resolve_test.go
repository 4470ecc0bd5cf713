package registry_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/registry"
	"github.com/heraldpush/herald/store/memory"
)

// counting is a store that counts what it is asked for a push.
type counting struct {
	registry.Store
	asked int
}

func (s *counting) Exception(ctx context.Context, a apns.Address) (registry.Exception, error) {
	s.asked++
	return s.Store.Exception(ctx, a)
}

func (s *counting) TopicOrdinal(ctx context.Context, h apns.TopicHash) (uint32, error) {
	s.asked++
	return s.Store.TopicOrdinal(ctx, h)
}

// TestResolveNow resolves what is in order without asking the store, and leaves
// the rest to Resolve; in a registry that was opened again as well.
func TestResolveNow(t *testing.T) {
	store := &counting{Store: memory.NewRegistry()}
	reopen := func() *registry.Registry {
		r, err := registry.Open(t.Context(), registry.Config{Store: store})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	r := reopen()
	good := token(t, r, apns.Sandbox)
	want := apns.Address{Device: 1, Environment: apns.Sandbox, Topic: demo.Hash()}
	second, err := r.EnterDevice(t.Context(), "second")
	if err != nil {
		t.Fatal(err)
	}
	removedFrom := apns.Address{Device: second, Environment: apns.Sandbox, Topic: demo.Hash()}
	gone, err := r.DeviceToken(t.Context(), removedFrom)
	if err != nil {
		t.Fatal(err)
	}
	check := func(t *testing.T, when string, r *registry.Registry, tok apns.DeviceToken, topic apns.Topic, want apns.Address, wantErr error, asks bool) {
		t.Helper()
		known := r.Topic(topic)
		store.asked = 0
		if got, err := r.ResolveNow(tok, &known, apns.Sandbox); got != want || !errors.Is(err, wantErr) {
			t.Errorf("%s: ResolveNow: got %+v, %v, want %+v, %v", when, got, err, want, wantErr)
		}
		if store.asked != 0 {
			t.Errorf("%s: ResolveNow asked the store %d times, want never", when, store.asked)
		}
		_, _ = r.Resolve(t.Context(), tok, topic, apns.Sandbox)
		if (store.asked > 0) != asks {
			t.Errorf("%s: Resolve asked the store %d times", when, store.asked)
		}
	}
	for _, when := range []string{"as it was", "opened again"} {
		check(t, when+", at first", r, good, demo, apns.Address{}, registry.ErrMustAsk, true)
		check(t, when, r, good, demo, want, nil, false)
		check(t, when+", no token", r, good[1:], demo, apns.Address{}, apns.Reject(apns.BadDeviceToken, ""), false)
		check(t, when+", unknown topic", r, good, "com.example.unknown", apns.Address{}, registry.ErrMustAsk, true)
		if when == "as it was" {
			check(t, when+", before the removal", r, gone, demo, removedFrom, nil, false)
			if err := r.Remove(t.Context(), removedFrom, time.Now()); err != nil {
				t.Fatal(err)
			}
		}
		check(t, when+", removed", r, gone, demo, apns.Address{}, registry.ErrMustAsk, true)
		if _, err := r.Resolve(t.Context(), gone, demo, apns.Sandbox); !errors.Is(err, apns.Reject(apns.Unregistered, "")) {
			t.Errorf("%s, removed: got %v, want Unregistered", when, err)
		}
		r = reopen()
	}
	other := demo + ".voip"
	if _, err := r.DeviceToken(t.Context(), apns.Address{Device: 1, Environment: apns.Sandbox, Topic: other.Hash()}); err != nil {
		t.Fatal(err)
	}
	_, _ = r.Resolve(t.Context(), good, other, apns.Sandbox)
	check(t, "for another topic", r, good, other, apns.Address{}, apns.Reject(apns.DeviceTokenNotForTopic, ""), false)
}

func TestResolveNowAllocations(t *testing.T) {
	r := open(t)
	tok := token(t, r, apns.Sandbox)
	gone := apns.Address{Device: 7, Environment: apns.Sandbox, Topic: demo.Hash()} // so that there is an exception
	if err := r.Remove(t.Context(), gone, time.Now()); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Resolve(t.Context(), tok, demo, apns.Sandbox); err != nil {
		t.Fatal(err)
	}
	topic := r.Topic(demo)
	if got := testing.AllocsPerRun(100, func() {
		if _, err := r.ResolveNow(tok, &topic, apns.Sandbox); err != nil {
			t.Fatal(err)
		}
	}); got >= 1 { // the pool of the cipher's scratch may be emptied
		t.Errorf("got %v allocations, want none", got)
	}
}

func BenchmarkResolveNow(b *testing.B) {
	r, err := registry.Open(b.Context(), registry.Config{Store: memory.NewRegistry()})
	if err != nil {
		b.Fatal(err)
	}
	tok, err := r.DeviceToken(b.Context(), apns.Address{Device: 1, Environment: apns.Sandbox, Topic: demo.Hash()})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := r.Resolve(b.Context(), tok, demo, apns.Sandbox); err != nil {
		b.Fatal(err)
	}
	topic := r.Topic(demo)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.ResolveNow(tok, &topic, apns.Sandbox); err != nil {
			b.Fatal(err)
		}
	}
}
