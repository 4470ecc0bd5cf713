package spool_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/spool"
	"github.com/heraldpush/herald/spool/spooltest"
)

const channel apns.ChannelID = "dHN0LXNyY2gtY2hubA=="

// in returns the expiration in some time.
func in(d time.Duration) apns.Expiration { return apns.ExpiresAt(time.Now().Add(d)) }

// publish publishes a payload on the channel.
func (r *room) publish(p apns.StoragePolicy, payload string, e apns.Expiration) spool.Receipt {
	r.t.Helper()
	n := apns.Notification{Topic: demo, PushType: apns.PushTypeLiveActivity, Expiration: e, Payload: apns.Payload(payload)}
	got, err := r.Publish(r.t.Context(), channel, p, n)
	if err != nil {
		r.t.Fatal(err)
	}
	return got
}

// latest checks the stored payload of the channel; empty for none.
func (r *room) latest(want string) {
	r.t.Helper()
	m, ok, err := r.Latest(r.t.Context(), channel)
	if err != nil || ok != (want != "") || string(m.Notification.Payload) != want {
		r.t.Errorf("latest: got %q, %t, %v, want %q", m.Notification.Payload, ok, err, want)
	}
}

func TestPublish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t, spool.Config{})
		const stored = apns.MostRecentMessageStored
		r.latest("")
		first := r.publish(stored, "first", in(time.Hour))
		second := r.publish(stored, "second", in(time.Hour))
		if !first.Stored || !second.Stored || second.Timestamp <= first.Timestamp || first.Repeat {
			t.Errorf("got %+v, then %+v, want both stored, the second later", first, second)
		}
		r.latest("second")
		time.Sleep(time.Hour - time.Nanosecond)
		r.latest("second")
		time.Sleep(time.Nanosecond)
		r.latest("") // expired

		r.publish(stored, "for long", in(100*time.Hour))
		time.Sleep(8*time.Hour - time.Nanosecond)
		r.latest("for long")
		time.Sleep(time.Nanosecond)
		r.latest("") // after 8 hours
		time.Sleep(2 * time.Minute)
		r.stored(0)

		r.publish(stored, "kept", in(time.Hour))
		for _, e := range []apns.Expiration{apns.DoNotStore, in(-time.Hour), in(0)} {
			if got := r.publish(stored, "not kept", e); got.Stored || got.Timestamp == 0 {
				t.Errorf("expiration %v: got %+v, want it not stored", e, got)
			}
			r.latest("kept")
		}
		if got := r.publish(stored, "without", apns.Expiration{}); !got.Stored {
			t.Errorf("without an expiration: got %+v, want it stored", got)
		}
		r.latest("without")
	})
}

func TestPublishStoresNothing(t *testing.T) {
	r := open(t, spool.Config{})
	for _, e := range []apns.Expiration{apns.DoNotStore, in(time.Hour), {}} {
		if got := r.publish(apns.NoMessageStored, "x", e); got.Stored || got.Timestamp == 0 {
			t.Errorf("got %+v, want it not stored", got)
		}
		r.latest("")
	}
	r.stored(0)
}

// TestPublishAtOnce proves that the message with the latest timestamp stays.
func TestPublishAtOnce(t *testing.T) {
	r := open(t, spool.Config{})
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		last spool.Timestamp
	)
	for range 50 {
		wg.Go(func() {
			got := r.publish(apns.MostRecentMessageStored, "x", in(time.Hour))
			mu.Lock()
			defer mu.Unlock()
			if got.Timestamp == last {
				t.Errorf("timestamp %d was given twice", last)
			}
			last = max(last, got.Timestamp)
		})
	}
	wg.Wait()
	if m, ok, err := r.Latest(t.Context(), channel); !ok || err != nil || m.Timestamp != last {
		t.Errorf("got %d, %t, %v, want %d", m.Timestamp, ok, err, last)
	}
}

func TestPublishRefused(t *testing.T) {
	r := open(t, spool.Config{MaxNotifications: 1})
	r.publish(apns.MostRecentMessageStored, "x", in(time.Hour))
	n := apns.Notification{Expiration: in(time.Hour)}
	_, err := r.Publish(t.Context(), "AAAA", apns.MostRecentMessageStored, n)
	rejected(t, "full", err, apns.ServiceUnavailable)
	if why, ok := errors.AsType[*apns.Rejection](err); !ok || why.RetryAfter <= 0 {
		t.Errorf("full: got %v without a time to wait", err)
	}
	r.publish(apns.NoMessageStored, "takes no room", apns.DoNotStore)

	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	for _, p := range []apns.StoragePolicy{apns.NoMessageStored, apns.MostRecentMessageStored} {
		_, err := r.Publish(t.Context(), channel, p, n)
		rejected(t, "closed", err, apns.Shutdown)
	}
	_, _, err = r.Latest(t.Context(), channel)
	rejected(t, "closed", err, apns.Shutdown)
}

var errChannelDisk = errors.New("disk on fire")

// burning is a store whose messages cannot be reached until wait returns.
type burning struct {
	spool.Store
	wait func(ctx context.Context)
}

func (s burning) PutMessage(ctx context.Context, _ spool.Message) error {
	s.wait(ctx)
	return errChannelDisk
}

func (s burning) Message(ctx context.Context, _ apns.ChannelID) (spool.Message, bool, error) {
	s.wait(ctx)
	return spool.Message{}, false, errChannelDisk
}

func TestPublishFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		started := time.Now()
		r := open(t, spool.Config{
			Store:  burning{spooltest.NewModel(), func(ctx context.Context) { <-ctx.Done() }},
			Logger: slog.New(slog.DiscardHandler), StoreTimeout: time.Second,
		})
		_, err := r.Publish(t.Context(), channel, apns.MostRecentMessageStored, apns.Notification{})
		if _, ok := errors.AsType[*apns.Rejection](err); ok || !errors.Is(err, errChannelDisk) {
			t.Errorf("publish: got %v, want %v", err, errChannelDisk)
		}
		if _, _, err := r.Latest(t.Context(), channel); !errors.Is(err, errChannelDisk) {
			t.Errorf("latest: got %v, want %v", err, errChannelDisk)
		}
		if took := time.Since(started); took != 2*time.Second {
			t.Errorf("took %v, want the two time limits", took)
		}
	})
}
