package registrytest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/registry"
)

const noLimit = 1 << 30

// demoOwner is the owner of most channels of the suite.
var demoOwner = registry.ChannelOwner{App: "com.example.demo", Environment: apns.Sandbox, Term: 1}

// others are owners that differ from demoOwner in one thing each.
var others = map[string]registry.ChannelOwner{
	"app":         {App: "com.example.other", Environment: apns.Sandbox, Term: 1},
	"environment": {App: "com.example.demo", Environment: apns.Production, Term: 1},
	"term":        {App: "com.example.demo", Environment: apns.Sandbox, Term: 2},
}

// newChannel returns a channel to be entered.
func newChannel(o registry.ChannelOwner) registry.Channel {
	return registry.Channel{
		ID: apns.NewChannelID(), ChannelOwner: o, StoragePolicy: apns.MostRecentMessageStored,
		Created: time.Unix(1700000000, 123456789).UTC(),
	}
}

// enter enters a channel.
func enter(t *testing.T, s registry.Store, c registry.Channel) registry.Channel {
	t.Helper()
	got, err := s.EnterChannel(t.Context(), c, noLimit)
	if err != nil {
		t.Fatal(err)
	}
	c.Ordinal = got.Ordinal
	if got != c || c.Ordinal == 0 {
		t.Errorf("EnterChannel: got %+v, want %+v with an ordinal", got, c)
	}
	return got
}

// wantChannels checks the channels of an owner.
func wantChannels(t *testing.T, s registry.Store, o registry.ChannelOwner, want ...registry.Channel) {
	t.Helper()
	ids := make([]apns.ChannelID, 0, len(want))
	for _, c := range want {
		ids = append(ids, c.ID)
		if got, err := s.Channel(t.Context(), o, c.ID); err != nil || got != c {
			t.Errorf("Channel: got %+v, %v, want %+v", got, err, c)
		}
	}
	got, err := s.Channels(t.Context(), o)
	if diff := cmp.Diff(ids, append([]apns.ChannelID{}, got...)); diff != "" || err != nil {
		t.Errorf("Channels: %v (-want +got):\n%s", err, diff)
	}
}

func channels(t *testing.T, open opener) {
	s, reopen := open(t)
	wantChannels(t, s, demoOwner)
	first, second := enter(t, s, newChannel(demoOwner)), newChannel(demoOwner)
	second.StoragePolicy, second.Created = apns.NoMessageStored, time.Time{}
	second = enter(t, s, second)
	if _, err := s.EnterChannel(t.Context(), first, noLimit); err == nil {
		t.Error("EnterChannel with an ID that is there: got no error")
	}
	s = twice(t, s, reopen, func(s registry.Store) {
		wantChannels(t, s, demoOwner, first, second)
		for differs, o := range others {
			wantChannels(t, s, o)
			if _, err := s.Channel(t.Context(), o, first.ID); !errors.Is(err, registry.ErrNotFound) {
				t.Errorf("Channel of another %s: got %v, want %v", differs, err, registry.ErrNotFound)
			}
			if err := s.RemoveChannel(t.Context(), o, first.ID); !errors.Is(err, registry.ErrNotFound) {
				t.Errorf("RemoveChannel of another %s: got %v, want %v", differs, err, registry.ErrNotFound)
			}
		}
		if _, err := s.Channel(t.Context(), demoOwner, "AAAA"); !errors.Is(err, registry.ErrNotFound) {
			t.Errorf("Channel unknown: got %v, want %v", err, registry.ErrNotFound)
		}
	})
	if err := s.RemoveChannel(t.Context(), demoOwner, first.ID); err != nil {
		t.Fatal(err)
	}
	twice(t, s, reopen, func(s registry.Store) {
		wantChannels(t, s, demoOwner, second)
		if err := s.RemoveChannel(t.Context(), demoOwner, first.ID); !errors.Is(err, registry.ErrNotFound) {
			t.Errorf("RemoveChannel twice: got %v, want %v", err, registry.ErrNotFound)
		}
	})
}

// channelLimit proves that the limit is one for each owner.
func channelLimit(t *testing.T, open opener) {
	s, _ := open(t)
	const limit = 3
	owners := append(slices.Collect(maps.Values(others)), demoOwner)
	for _, o := range owners {
		for range limit {
			if _, err := s.EnterChannel(t.Context(), newChannel(o), limit); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := s.EnterChannel(t.Context(), newChannel(o), limit); !errors.Is(err, registry.ErrChannelsFull) {
			t.Errorf("beyond the limit: got %+v, %v, want %v", got, err, registry.ErrChannelsFull)
		}
	}
	ids, err := s.Channels(t.Context(), demoOwner)
	if err != nil || len(ids) != limit {
		t.Fatalf("got %v, %v, want %d", ids, err, limit)
	}
	if err := s.RemoveChannel(t.Context(), demoOwner, ids[1]); err != nil {
		t.Fatal(err)
	}
	if _, err := s.EnterChannel(t.Context(), newChannel(demoOwner), limit); err != nil {
		t.Errorf("after one was removed: got %v, want none", err)
	}
}

// channelOrdinals proves that no ordinal is given a second time.
func channelOrdinals(t *testing.T, open opener) {
	s, reopen := open(t)
	var last registry.ChannelOrdinal
	for range 5 {
		c := enter(t, s, newChannel(demoOwner))
		if c.Ordinal <= last {
			t.Errorf("got ordinal %d after %d", c.Ordinal, last)
		}
		last = c.Ordinal
		if err := s.RemoveChannel(t.Context(), demoOwner, c.ID); err != nil {
			t.Fatal(err)
		}
		if reopen != nil {
			s = reopen()
		}
	}
}

func endChannels(t *testing.T, open opener) {
	s, reopen := open(t)
	var gone int
	var kept []registry.Channel
	for _, env := range apns.Environments {
		for _, app := range []apns.Topic{"com.example.off", "com.example.on"} {
			for term := uint64(1); term <= 3; term++ {
				o := registry.ChannelOwner{App: app, Environment: env, Term: term}
				for range term {
					c := enter(t, s, newChannel(o))
					if app == "com.example.on" && term == 3 {
						kept = append(kept, c)
					} else {
						gone++
					}
				}
			}
		}
	}
	ended := map[apns.Topic]uint64{"com.example.on": 2, "com.example.off": 3, "com.example.none": 1}
	if n, err := s.EndChannels(t.Context(), nil); n != 0 || err != nil {
		t.Errorf("nothing has ended: got %d, %v, want none", n, err)
	}
	if n, err := s.EndChannels(t.Context(), ended); n != gone || err != nil {
		t.Errorf("got %d, %v, want %d", n, err, gone)
	}
	s = twice(t, s, reopen, func(s registry.Store) {
		for i, env := range apns.Environments {
			wantChannels(t, s, registry.ChannelOwner{App: "com.example.on", Environment: env, Term: 3}, kept[3*i:3*i+3]...)
			for _, o := range []registry.ChannelOwner{
				{App: "com.example.on", Environment: env, Term: 1},
				{App: "com.example.on", Environment: env, Term: 2},
				{App: "com.example.off", Environment: env, Term: 3},
			} {
				wantChannels(t, s, o)
			}
		}
		if n, err := s.EndChannels(t.Context(), ended); n != 0 || err != nil {
			t.Errorf("again: got %d, %v, want none", n, err)
		}
	})
	if n, err := s.EndChannels(t.Context(), map[apns.Topic]uint64{"com.example.on": 1 << 63}); n != len(kept) || err != nil {
		t.Errorf("all: got %d, %v, want %d", n, err, len(kept))
	}
}

// concurrentChannels proves that many at once do not exceed the limit.
func concurrentChannels(t *testing.T, open opener) {
	s, _ := open(t)
	const n, limit = 24, 7
	var (
		wg       sync.WaitGroup
		mu       sync.Mutex
		ordinals = make(map[registry.ChannelOrdinal]bool)
	)
	for range n {
		wg.Go(func() {
			c, err := s.EnterChannel(context.WithoutCancel(t.Context()), newChannel(demoOwner), limit)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil && !ordinals[c.Ordinal]:
				ordinals[c.Ordinal] = true
			case err == nil:
				t.Errorf("ordinal %d was given twice", c.Ordinal)
			case !errors.Is(err, registry.ErrChannelsFull):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if ids, err := s.Channels(t.Context(), demoOwner); len(ids) != limit || len(ordinals) != limit || err != nil {
		t.Errorf("got %d channels, %d told of, %v, want %d", len(ids), len(ordinals), err, limit)
	}
}

// randomChannels compares the channels of a store with the plainest list there
// is, over random changes and reopenings.
func randomChannels(t *testing.T, open opener) {
	s, reopen := open(t)
	const steps, limit = 300, 6
	var (
		seed  = rand.Uint64()
		r     = rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // a test
		model []registry.Channel
	)
	defer func() {
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	}()
	of := func(o registry.ChannelOwner) (list []registry.Channel) {
		for _, c := range model {
			if c.ChannelOwner == o {
				list = append(list, c)
			}
		}
		return list
	}
	for range steps {
		o := registry.ChannelOwner{
			App: apns.Topic(fmt.Sprint("app", r.IntN(2))), Environment: apns.Environments[r.IntN(2)], Term: uint64(r.IntN(2)),
		}
		switch r.IntN(8) {
		case 0, 1, 2, 3:
			c := newChannel(o)
			c.StoragePolicy = apns.StoragePolicy(r.IntN(2)) //nolint:gosec // 0 or 1
			got, err := s.EnterChannel(t.Context(), c, limit)
			if full := len(of(o)) == limit; full != errors.Is(err, registry.ErrChannelsFull) || !full && err != nil {
				t.Fatalf("EnterChannel: got %v, full %t", err, full)
			}
			if err == nil {
				model = append(model, got)
			}
		case 4, 5:
			if len(model) == 0 {
				continue
			}
			id := model[r.IntN(len(model))].ID
			theirs := func(c registry.Channel) bool { return c.ID == id && c.ChannelOwner == o }
			want := slices.ContainsFunc(model, theirs)
			model = slices.DeleteFunc(model, theirs)
			if err := s.RemoveChannel(t.Context(), o, id); want != (err == nil) || !want && !errors.Is(err, registry.ErrNotFound) {
				t.Fatalf("RemoveChannel: got %v, want it there %t", err, want)
			}
		case 6:
			if r.IntN(4) > 0 {
				continue
			}
			before := len(model)
			model = slices.DeleteFunc(model, func(c registry.Channel) bool { return c.App == o.App && c.Term <= o.Term })
			n, err := s.EndChannels(t.Context(), map[apns.Topic]uint64{o.App: o.Term})
			if err != nil || n != before-len(model) {
				t.Fatalf("EndChannels: got %d, %v, want %d", n, err, before-len(model))
			}
		case 7:
			wantChannels(t, s, o, of(o)...)
		}
		if reopen != nil && r.IntN(steps/4) == 0 {
			s = reopen()
		}
	}
}
