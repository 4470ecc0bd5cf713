package apnstest_test

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnsclient"
	"github.com/heraldpush/herald/apnstest"
	"github.com/heraldpush/herald/device"
)

// publisher is a provider with the team's certificate.
type publisher struct {
	t        *testing.T
	sender   *apnsclient.Sender
	channels *apnsclient.Channels
}

func newPublisher(t *testing.T, p *apnstest.Platform) *publisher {
	t.Helper()
	return &publisher{t, p.NewSender(t), p.NewChannels(t)}
}

func (p *publisher) create(policy apns.StoragePolicy) apns.ChannelID {
	p.t.Helper()
	id, err := p.channels.Create(p.t.Context(), apnstest.Topic, policy)
	if err != nil {
		p.t.Fatal(err)
	}
	return id
}

func (p *publisher) remove(id apns.ChannelID) {
	p.t.Helper()
	if err := p.channels.Delete(p.t.Context(), apnstest.Topic, id); err != nil {
		p.t.Fatal(err)
	}
}

// score returns the payload of a score.
func score(n int) string {
	return `{"aps":{"timestamp":1700000000,"event":"update","content-state":{"score":` + strconv.Itoa(n) + `}}}`
}

// broadcast sends a score that is stored for a time, or not at all if that is zero.
func (p *publisher) broadcast(id apns.ChannelID, n int, storedFor time.Duration) {
	p.t.Helper()
	message := apns.Notification{Topic: apnstest.Topic, Expiration: apns.DoNotStore, Payload: apns.Payload(score(n))}
	if storedFor != 0 {
		message.Expiration = apns.ExpiresAt(time.Now().Add(storedFor))
	}
	if _, err := p.sender.Broadcast(p.t.Context(), id, message); err != nil {
		p.t.Fatal(err)
	}
}

// subscribe has the app on a phone follow a channel, and waits until it does.
func subscribe(t *testing.T, ph *apnstest.Phone, id apns.ChannelID) {
	t.Helper()
	if err := ph.SubscribeToChannel(apnstest.Topic, id); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
}

// wantScore checks what a phone receives next.
func wantScore(t *testing.T, ph *apnstest.Phone, id apns.ChannelID, n int, stored bool) {
	t.Helper()
	got := ph.Receive(t)
	if string(got.Payload) != score(n) || got.Channel != id || got.Stored != stored || got.Topic != apnstest.Topic || got.PushType != apns.PushTypeLiveActivity {
		t.Errorf("got %+v with %s, want score %d on %s, stored %t", got, got.Payload, n, id, stored)
	}
}

func wantSilence(t *testing.T, phones ...*apnstest.Phone) {
	t.Helper()
	synctest.Wait()
	for _, ph := range phones {
		if got, ok := ph.Received(); ok {
			t.Errorf("got %s on %q, want nothing", got.Payload, got.Channel)
		}
	}
}

// TestBroadcast follows broadcasts from a provider's request to the apps of
// devices that are there, away and late, on both kinds of channels.
func TestBroadcast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := apnstest.New(t)
		provider := newPublisher(t, p)
		stores, forgets := provider.create(apns.MostRecentMessageStored), provider.create(apns.NoMessageStored)
		home, away, other := p.NewPhone(t), p.NewPhone(t), p.NewPhone(t)
		for _, id := range []apns.ChannelID{stores, forgets} {
			subscribe(t, home, id)
			subscribe(t, away, id)
		}
		provider.broadcast(stores, 1, time.Hour)
		wantScore(t, home, stores, 1, false)
		wantScore(t, away, stores, 1, false)

		away.Disconnect()
		provider.broadcast(stores, 2, time.Hour)
		provider.broadcast(forgets, 3, 0)
		wantScore(t, home, stores, 2, false)
		wantScore(t, home, forgets, 3, false)
		provider.broadcast(stores, 4, time.Hour)
		wantScore(t, home, stores, 4, false)
		provider.broadcast(stores, 5, 0) // not to be stored
		wantScore(t, home, stores, 5, false)

		away.Connect(t)
		wantScore(t, away, stores, 4, true) // the latest that is stored, alone
		wantSilence(t, home, away)
		for range 3 { // and once
			away.Disconnect()
			away.Connect(t)
			wantSilence(t, away)
		}
		provider.broadcast(stores, 6, time.Hour)
		wantScore(t, away, stores, 6, false)
		wantScore(t, home, stores, 6, false)

		subscribe(t, other, stores) // late
		wantScore(t, other, stores, 6, true)
		away.Disconnect()
		provider.broadcast(stores, 7, time.Minute)
		time.Sleep(2 * time.Minute)
		away.Connect(t) // too late
		wantScore(t, home, stores, 7, false)
		wantScore(t, other, stores, 7, false)
		wantSilence(t, home, away, other)

		other.UnsubscribeFromChannel(apnstest.Topic, stores)
		synctest.Wait()
		provider.broadcast(stores, 8, time.Hour)
		wantScore(t, home, stores, 8, false)
		wantScore(t, away, stores, 8, false)
		wantSilence(t, other)
	})
}

// TestBroadcastBesidePushes proves that a channel and the app's own notifications
// keep out of each other's way while the device is away.
func TestBroadcastBesidePushes(t *testing.T) {
	story(t, func(t *testing.T, s *teller) {
		provider := newPublisher(t, s.Platform)
		id := provider.create(apns.MostRecentMessageStored)
		subscribe(t, s.phone, id)
		s.phone.Disconnect()
		provider.broadcast(id, 1, time.Hour)
		s.push(alert("hello"))
		provider.broadcast(id, 2, time.Hour)
		s.phone.Connect(t)
		s.wantBody("hello", true)
		wantScore(t, s.phone, id, 2, true)
		s.wantNothing()
	})
}

// TestChannelEnds proves that an app is told that a channel does not exist: when
// that is deleted, when the capability is switched off, and when it never did.
func TestChannelEnds(t *testing.T) {
	story(t, func(t *testing.T, s *teller) {
		provider := newPublisher(t, s.Platform)
		deleted, missed, switched := provider.create(apns.MostRecentMessageStored), provider.create(apns.NoMessageStored), provider.create(apns.NoMessageStored)
		wantLost := func(ids ...apns.ChannelID) {
			t.Helper()
			synctest.Wait()
			for _, id := range ids {
				if got := s.phone.ChannelFailure(t); got == nil || *got != (device.ChannelError{Topic: apnstest.Topic, Channel: id}) {
					t.Errorf("got %v, want the end of %s", got, id)
				}
			}
		}
		for _, id := range []apns.ChannelID{deleted, missed, switched} {
			subscribe(t, s.phone, id)
		}
		subscribe(t, s.phone, "AQID") // there never was one
		wantLost("AQID")
		provider.broadcast(deleted, 1, time.Hour)
		wantScore(t, s.phone, deleted, 1, false)
		provider.remove(deleted)
		wantLost(deleted)
		s.phone.Disconnect()
		provider.remove(missed)
		s.phone.Connect(t)
		wantLost(missed)
		if _, err := s.Portal.SetBroadcast(t.Context(), apnstest.Topic, false); err != nil {
			t.Fatal(err)
		}
		wantLost(switched)
		if got := s.phone.Channels(apnstest.Topic); got != nil {
			t.Errorf("subscribed to %q, want nothing", got)
		}
	})
}

// TestBroadcastUnregistered proves that an app's subscriptions end with its
// registration.
func TestBroadcastUnregistered(t *testing.T) {
	story(t, func(t *testing.T, s *teller) {
		provider := newPublisher(t, s.Platform)
		id := provider.create(apns.MostRecentMessageStored)
		subscribe(t, s.phone, id)
		s.phone.UnregisterForRemoteNotifications(apnstest.Topic)
		synctest.Wait()
		provider.broadcast(id, 1, time.Hour)
		wantSilence(t, s.phone)
	})
}
