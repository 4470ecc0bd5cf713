package apnsclient_test

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnsclient"
	"github.com/heraldpush/herald/apnstest"
	"github.com/heraldpush/herald/credential"
	"github.com/heraldpush/herald/registry"
)

// TestChannels leads channels from their creation to their end on the whole
// platform, with a certificate and with a key.
func TestChannels(t *testing.T) {
	for _, by := range []string{"certificate", "key"} {
		for _, env := range apns.Environments {
			t.Run(by+" "+env.String(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					p := apnstest.New(t)
					cfg := apnsclient.Config{Environment: env, Roots: p.Roots, Dial: p.Dial}
					if by == "key" {
						key, err := credential.ParseP8(p.Developer.P8)
						if err != nil {
							t.Fatal(err)
						}
						cfg.ProviderTokens, err = apnsclient.NewProviderTokens(p.Developer.Team.ID, p.Developer.KeyID, key)
						if err != nil {
							t.Fatal(err)
						}
					} else {
						pair := p.Developer.Identity.TLS()
						cfg.Certificate = &pair
					}
					leadChannels(t, cfg)
				})
			})
		}
	}
}

func leadChannels(t *testing.T, cfg apnsclient.Config) {
	t.Helper()
	ctx := t.Context()
	c, err := apnsclient.NewChannels(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s, err := apnsclient.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	wantList := func(want ...apns.ChannelID) {
		t.Helper()
		got, err := c.List(ctx, apnstest.Topic)
		slices.Sort(got)
		want = slices.Sorted(slices.Values(want))
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("got channels %q, %v, want %q", got, err, want)
		}
	}
	var made []apns.ChannelID
	for _, policy := range []apns.StoragePolicy{apns.NoMessageStored, apns.MostRecentMessageStored} {
		id, err := c.Create(ctx, apnstest.Topic, policy)
		if err != nil {
			t.Fatal(err)
		}
		made = append(made, id)
		if got, err := c.Read(ctx, apnstest.Topic, id); err != nil || got != policy {
			t.Errorf("got %v, %v, want %v", got, err, policy)
		}
	}
	wantList(made...)

	n := apns.Notification{Topic: apnstest.Topic, Payload: apns.Payload(`{"aps":{"timestamp":1700000000,"event":"update","content-state":{}}}`)}
	for i, expiration := range []apns.Expiration{apns.DoNotStore, apns.ExpiresAt(time.Now().Add(time.Hour))} {
		n.Expiration = expiration
		receipt, err := s.Broadcast(ctx, made[i], n)
		if err != nil || !receipt.ID.Valid() || receipt.UniqueID == "" {
			t.Errorf("channel %d: got %+v, %v, want two IDs", i, receipt, err)
		}
	}
	// A time is not for a channel that stores nothing.
	receipt, err := s.Broadcast(ctx, made[0], n)
	if !errors.Is(err, apns.Reject(apns.BadExpirationDate, "")) || apnsclient.OutcomeOf(err) != apnsclient.Rejected || !receipt.ID.Valid() {
		t.Errorf("got %+v, %v, want BadExpirationDate", receipt, err)
	}

	if err := c.Delete(ctx, apnstest.Topic, made[0]); err != nil {
		t.Fatal(err)
	}
	wantList(made[1])
	n.Expiration = apns.DoNotStore
	_, broadcast := s.Broadcast(ctx, made[0], n)
	_, read := c.Read(ctx, apnstest.Topic, made[0])
	for _, err := range []error{broadcast, read, c.Delete(ctx, apnstest.Topic, made[0])} {
		if !errors.Is(err, apns.Reject(apns.ChannelNotRegistered, "")) {
			t.Errorf("got %v, want ChannelNotRegistered", err)
		}
	}
	_, err = c.List(ctx, "com.stranger.app")
	var failed *apnsclient.ChannelError
	if !errors.As(err, &failed) {
		t.Fatalf("got %v, want a ChannelError", err)
	}
	if failed.App != "com.stranger.app" || !failed.RequestID.Valid() && cfg.Certificate == nil {
		t.Errorf("got %+v, want the app, and a request ID where it was sent", failed)
	}
}

// An app may have as many as 10,000 channels, and all of them are listed.
func TestChannelsAreMany(t *testing.T) {
	p := apnstest.New(t)
	owner := registry.ChannelOwner{App: apnstest.Topic, Environment: apns.Sandbox, Term: 1}
	const many = 10_000
	for range many {
		if _, err := p.Registry.CreateChannel(t.Context(), owner, apns.NoMessageStored); err != nil {
			t.Fatal(err)
		}
	}
	pair := p.Developer.Identity.TLS()
	c, err := apnsclient.NewChannels(apnsclient.Config{Environment: apns.Sandbox, Roots: p.Roots, Dial: p.Dial, Certificate: &pair})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got, err := c.List(t.Context(), ""); err != nil || len(got) != many {
		t.Errorf("got %d channels, %v, want %d", len(got), err, many)
	}
	if _, err := c.Create(t.Context(), "", apns.NoMessageStored); !errors.Is(err, apns.Reject(apns.CannotCreateChannelConfig, "")) {
		t.Errorf("one more: got %v, want CannotCreateChannelConfig", err)
	}
}
