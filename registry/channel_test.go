package registry_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/registry"
	"github.com/heraldpush/herald/store/memory"
)

var owner = registry.ChannelOwner{App: "com.example.demo", Environment: apns.Sandbox, Term: 1}

func wantReason(t *testing.T, what string, err error, want apns.Reason) {
	t.Helper()
	if r, ok := errors.AsType[*apns.Rejection](err); !ok || r.Reason != want {
		t.Errorf("%s: got %v, want %s", what, err, want)
	}
}

func TestChannels(t *testing.T) {
	r, err := registry.Open(t.Context(), registry.Config{Store: memory.NewRegistry(), MaxChannels: 2})
	if err != nil {
		t.Fatal(err)
	}
	var ids []apns.ChannelID
	for _, p := range []apns.StoragePolicy{apns.NoMessageStored, apns.MostRecentMessageStored} {
		c, err := r.CreateChannel(t.Context(), owner, p)
		if err != nil || c.StoragePolicy != p || c.ChannelOwner != owner || c.Created.IsZero() {
			t.Fatalf("got %+v, %v", c, err)
		}
		if got, err := r.Channel(t.Context(), owner, c.ID); err != nil || got != c {
			t.Errorf("got %+v, %v, want %+v", got, err, c)
		}
		ids = append(ids, c.ID)
	}
	if ids[0] == ids[1] {
		t.Errorf("two channels have the ID %s", ids[0])
	}
	_, err = r.CreateChannel(t.Context(), owner, apns.NoMessageStored)
	wantReason(t, "third", err, apns.CannotCreateChannelConfig)
	if got, err := r.Channels(t.Context(), owner); err != nil || !cmp.Equal(got, ids) {
		t.Errorf("got %v, %v, want %v", got, err, ids)
	}
	if err := r.DeleteChannel(t.Context(), owner, ids[0]); err != nil {
		t.Error(err)
	}
	wantReason(t, "deleted again", r.DeleteChannel(t.Context(), owner, ids[0]), apns.ChannelNotRegistered)
	_, err = r.Channel(t.Context(), owner, ids[0])
	wantReason(t, "deleted", err, apns.ChannelNotRegistered)

	later := owner
	later.Term++
	_, err = r.Channel(t.Context(), later, ids[1])
	wantReason(t, "in the next term", err, apns.ChannelNotRegistered)
	if n, err := r.EndChannels(t.Context(), map[apns.Topic]uint64{owner.App: owner.Term}); n != 1 || err != nil {
		t.Errorf("got %d, %v, want 1", n, err)
	}
}

var errDisk = errors.New("disk on fire")

// burning is a store whose channels cannot be reached.
type burning struct{ registry.Store }

func (burning) EnterChannel(context.Context, registry.Channel, int) (registry.Channel, error) {
	return registry.Channel{}, errDisk
}

func (burning) Channel(context.Context, registry.ChannelOwner, apns.ChannelID) (registry.Channel, error) {
	return registry.Channel{}, errDisk
}

func (burning) Channels(context.Context, registry.ChannelOwner) ([]apns.ChannelID, error) {
	return nil, errDisk
}

func (burning) RemoveChannel(context.Context, registry.ChannelOwner, apns.ChannelID) error {
	return errDisk
}

func (burning) EndChannels(context.Context, map[apns.Topic]uint64) (int, error) {
	return 0, errDisk
}

// TestChannelFaults proves that a fault of the store is no rejection.
func TestChannelFaults(t *testing.T) {
	r, err := registry.Open(t.Context(), registry.Config{Store: burning{memory.NewRegistry()}})
	if err != nil {
		t.Fatal(err)
	}
	_, createErr := r.CreateChannel(t.Context(), owner, apns.NoMessageStored)
	_, readErr := r.Channel(t.Context(), owner, "AAAA")
	_, listErr := r.Channels(t.Context(), owner)
	_, retainErr := r.EndChannels(t.Context(), nil)
	for what, err := range map[string]error{
		"create": createErr, "read": readErr, "list": listErr, "retain": retainErr, "delete": r.DeleteChannel(t.Context(), owner, "AAAA"),
	} {
		if _, ok := errors.AsType[*apns.Rejection](err); ok || !errors.Is(err, errDisk) {
			t.Errorf("%s: got %v, want %v", what, err, errDisk)
		}
	}
}

// TestMaxChannels proves the limit that holds where nobody set another.
func TestMaxChannels(t *testing.T) {
	r, err := registry.Open(t.Context(), registry.Config{Store: memory.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	for range 10_000 {
		if _, err := r.CreateChannel(t.Context(), owner, apns.NoMessageStored); err != nil {
			t.Fatal(err)
		}
	}
	_, err = r.CreateChannel(t.Context(), owner, apns.NoMessageStored)
	wantReason(t, "number 10,001", err, apns.CannotCreateChannelConfig)
	if ids, err := r.Channels(t.Context(), owner); len(ids) != 10_000 || err != nil {
		t.Errorf("got %d channels, %v, want 10,000", len(ids), err)
	}
}
