// Package registrytest proves that a store can stand behind a registry.
package registrytest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/registry"
)

// Run tests the stores that open makes. Each call of open begins with an
// empty store; the function it returns besides opens the same store again,
// and is nil for one that cannot be reopened.
func Run(t *testing.T, open func(t *testing.T) (store registry.Store, reopen func() registry.Store)) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, func(*testing.T) (registry.Store, func() registry.Store)){
		"TokenKeys":  tokenKeys,
		"Devices":    devices,
		"Topics":     topics,
		"Exceptions": exceptions,
		"Feedback":   feedback,

		"Channels":           channels,
		"ChannelLimit":       channelLimit,
		"ChannelOrdinals":    channelOrdinals,
		"EndChannels":        endChannels,
		"ConcurrentChannels": concurrentChannels,
		"RandomChannels":     randomChannels,
		"Concurrent":         concurrent,
		"Random":             random,
	} {
		t.Run(name, func(t *testing.T) { test(t, open) })
	}
}

type opener = func(*testing.T) (registry.Store, func() registry.Store)

// twice runs check on a store, and again on the store reopened. It returns the
// one to go on with: to reopen a store may be to close it.
func twice(t *testing.T, s registry.Store, reopen func() registry.Store, check func(registry.Store)) registry.Store {
	t.Helper()
	check(s)
	if reopen != nil {
		s = reopen()
		check(s)
	}
	return s
}

func tokenKeys(t *testing.T, open opener) {
	s, reopen := open(t)
	boom := errors.New("no randomness")
	if _, err := s.TokenKeys(t.Context(), func() (map[apns.Environment][]byte, error) { return nil, boom }); !errors.Is(err, boom) {
		t.Fatalf("TokenKeys with a failing make: got %v, want %v", err, boom)
	}
	if got := recovered(func() {
		_, _ = s.TokenKeys(t.Context(), func() (map[apns.Environment][]byte, error) { panic(boom) })
	}); got != any(boom) {
		t.Fatalf("TokenKeys with a make that panics: got %v, want its panic", got)
	}
	want := map[apns.Environment][]byte{apns.Sandbox: []byte("s"), apns.Production: []byte("p")}
	if _, err := s.TokenKeys(t.Context(), func() (map[apns.Environment][]byte, error) { return want, nil }); err != nil {
		t.Fatal(err)
	}
	twice(t, s, reopen, func(s registry.Store) {
		got, err := s.TokenKeys(t.Context(), func() (map[apns.Environment][]byte, error) {
			t.Error("keys were made twice")
			return nil, boom
		})
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("TokenKeys: %v, %s", err, diff)
		}
	})
}

// recovered returns what f panicked with.
func recovered(f func()) (v any) {
	defer func() { v = recover() }()
	f()
	return nil
}

func devices(t *testing.T, open opener) {
	s, reopen := open(t)
	first := registry.Device{ID: "a", Entered: time.UnixMilli(1700000000000).UTC()}
	for i, id := range []apns.DeviceID{"a", "b", "a"} {
		d, err := s.EnterDevice(t.Context(), registry.Device{ID: id, Entered: first.Entered.Add(time.Duration(i) * time.Hour)})
		want := map[apns.DeviceID]apns.DeviceOrdinal{"a": 1, "b": 2}[id]
		if err != nil || d.Ordinal != want {
			t.Errorf("EnterDevice %s: got ordinal %d, %v, want %d", id, d.Ordinal, err, want)
		}
	}
	first.Ordinal = 1
	twice(t, s, reopen, func(s registry.Store) {
		if got, err := s.Device(t.Context(), "a"); err != nil || !cmp.Equal(got, first) {
			t.Errorf("Device: got %+v, %v, want %+v", got, err, first)
		}
		if _, err := s.Device(t.Context(), "c"); !errors.Is(err, registry.ErrNotFound) {
			t.Errorf("Device unknown: got %v, want %v", err, registry.ErrNotFound)
		}
	})
}

func topics(t *testing.T, open opener) {
	s, reopen := open(t)
	a, b := apns.Topic("com.example.a").Hash(), apns.Topic("com.example.b").Hash()
	for _, h := range []apns.TopicHash{a, b, a} {
		want := map[apns.TopicHash]uint32{a: 1, b: 2}[h]
		if got, err := s.EnterTopic(t.Context(), h); got != want || err != nil {
			t.Errorf("EnterTopic: got %d, %v, want %d", got, err, want)
		}
	}
	twice(t, s, reopen, func(s registry.Store) {
		if got, err := s.TopicOrdinal(t.Context(), b); got != 2 || err != nil {
			t.Errorf("TopicOrdinal: got %d, %v, want 2", got, err)
		}
		if _, err := s.TopicOrdinal(t.Context(), apns.TopicHash{}); !errors.Is(err, registry.ErrNotFound) {
			t.Errorf("TopicOrdinal unknown: got %v, want %v", err, registry.ErrNotFound)
		}
	})
}

func exceptions(t *testing.T, open opener) {
	s, reopen := open(t)
	at := apns.Address{Device: 7, Environment: apns.Sandbox, Topic: apns.Topic("com.example.a").Hash()}
	other := at
	other.Environment = apns.Production
	want := registry.Exception{Generation: 3, Removed: time.Unix(1700000000, 123456789).UTC(), Former: time.UnixMilli(1600000000000).UTC()}
	if err := s.PutException(t.Context(), at, want); err != nil {
		t.Fatal(err)
	}
	s = twice(t, s, reopen, func(s registry.Store) {
		if got, err := s.Exception(t.Context(), at); err != nil || !cmp.Equal(got, want) {
			t.Errorf("Exception: got %+v, %v, want %+v", got, err, want)
		}
		if got, err := s.Exception(t.Context(), other); err != nil || !cmp.Equal(got, registry.Exception{}) {
			t.Errorf("Exception of another address: got %+v, %v, want none", got, err)
		}
	})
	furthest := apns.Address{Device: 1<<48 - 1, Environment: apns.Production, Topic: apns.TopicHash{0, 0xff}}
	if err := s.PutException(t.Context(), furthest, registry.Exception{Generation: 1}); err != nil {
		t.Fatal(err)
	}
	s = twice(t, s, reopen, func(s registry.Store) {
		exceptionsAre(t, s, at, furthest)
		enough := errors.New("enough")
		calls := 0
		if err := s.EachException(t.Context(), func(apns.Address) error { calls++; return enough }); !errors.Is(err, enough) || calls != 1 {
			t.Errorf("EachException: got %v after %d calls, want the error of the first", err, calls)
		}
	})
	if err := s.PutException(t.Context(), furthest, registry.Exception{}); err != nil {
		t.Fatal(err)
	}
	if err := s.PutException(t.Context(), at, registry.Exception{}); err != nil {
		t.Fatal(err)
	}
	twice(t, s, reopen, func(s registry.Store) {
		if got, err := s.Exception(t.Context(), at); err != nil || !cmp.Equal(got, registry.Exception{}) {
			t.Errorf("Exception taken back: got %+v, %v, want none", got, err)
		}
		exceptionsAre(t, s)
	})
}

// exceptionsAre compares the addresses that EachException gives.
func exceptionsAre(t *testing.T, s registry.Store, want ...apns.Address) {
	t.Helper()
	got := make(map[apns.Address]int)
	if err := s.EachException(t.Context(), func(a apns.Address) error { got[a]++; return nil }); err != nil {
		t.Error(err)
	}
	wanted := make(map[apns.Address]int)
	for _, a := range want {
		wanted[a]++
	}
	if diff := cmp.Diff(wanted, got); diff != "" {
		t.Errorf("EachException (-want +got):\n%s", diff)
	}
}

func concurrent(t *testing.T, open opener) {
	s, _ := open(t)
	const n = 16
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		seen = make(map[apns.DeviceOrdinal]bool)
	)
	for i := range n {
		wg.Go(func() {
			d, err := s.EnterDevice(context.WithoutCancel(t.Context()), registry.Device{ID: apns.DeviceID(rune('a' + i))})
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			seen[d.Ordinal] = true
		})
	}
	wg.Wait()
	for i := range n {
		if !seen[apns.DeviceOrdinal(i+1)] {
			t.Errorf("ordinal %d was not given out: ordinals are to be dense", i+1)
		}
	}
}

// random compares a store with the plainest one there is, over random changes
// and reopenings.
func random(t *testing.T, open opener) {
	s, reopen := open(t)
	const steps, names = 400, 12
	var (
		seed       = rand.Uint64()
		r          = rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // a test
		devices    = make(map[apns.DeviceID]registry.Device)
		topics     = make(map[apns.TopicHash]uint32)
		exceptions = make(map[apns.Address]registry.Exception)
	)
	defer func() {
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	}()
	sometime := func() time.Time {
		if r.IntN(3) == 0 {
			return time.Time{}
		}
		return time.Unix(r.Int64N(4_000_000_000), r.Int64N(1_000_000_000)).UTC()
	}
	for range steps {
		name := fmt.Sprint(r.IntN(names))
		topic := apns.Topic(name).Hash()
		at := apns.Address{
			Device: apns.DeviceOrdinal(r.Uint64N(3)) << (r.IntN(2) * 62), Topic: apns.Topic(fmt.Sprint(r.IntN(2))).Hash(),
			Environment: apns.Environments[r.IntN(len(apns.Environments))],
		}
		switch r.IntN(6) {
		case 0:
			d := registry.Device{ID: apns.DeviceID(name), Ordinal: apns.DeviceOrdinal(len(devices) + 1), Entered: sometime()}
			if known, ok := devices[d.ID]; ok {
				d = known
			}
			devices[d.ID] = d
			if got, err := s.EnterDevice(t.Context(), d); err != nil || !cmp.Equal(got, d) {
				t.Fatalf("EnterDevice: got %+v, %v, want %+v", got, err, d)
			}
		case 1:
			n, ok := topics[topic]
			if !ok {
				n = uint32(len(topics) + 1)
				topics[topic] = n
			}
			if got, err := s.EnterTopic(t.Context(), topic); got != n || err != nil {
				t.Fatalf("EnterTopic: got %d, %v, want %d", got, err, n)
			}
		case 2:
			x := registry.Exception{Generation: r.Uint32N(3), Removed: sometime(), Former: sometime()}
			exceptions[at] = x
			if err := s.PutException(t.Context(), at, x); err != nil {
				t.Fatal(err)
			}
		case 3:
			want, known := devices[apns.DeviceID(name)]
			got, err := s.Device(t.Context(), apns.DeviceID(name))
			if errors.Is(err, registry.ErrNotFound) == known || known && err != nil || !cmp.Equal(got, want) {
				t.Fatalf("Device %s: got %+v, %v, want %+v", name, got, err, want)
			}
		case 4:
			want, known := topics[topic]
			got, err := s.TopicOrdinal(t.Context(), topic)
			if errors.Is(err, registry.ErrNotFound) == known || known && err != nil || got != want {
				t.Fatalf("TopicOrdinal: got %d, %v, want %d", got, err, want)
			}
		case 5:
			if got, err := s.Exception(t.Context(), at); err != nil || !cmp.Equal(got, exceptions[at]) {
				t.Fatalf("Exception of %v: got %+v, %v, want %+v", at, got, err, exceptions[at])
			}
		}
		if reopen != nil && r.IntN(steps/4) == 0 {
			s = reopen()
		}
	}
}
