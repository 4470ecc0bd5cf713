package pebble

import (
	"encoding/binary"
	"sync"
	"testing"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/provider/audience"
	"github.com/heraldpush/herald/provider/outbox"
)

// TestForgottenInTime proves that requests are forgotten faster than others come, and
// that one that comes again meanwhile is not forgotten with what it was before.
func TestForgottenInTime(t *testing.T) {
	o, err := OpenOutboxInMemory()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := o.Close(); err != nil {
			t.Error(err)
		}
	}()
	var members audience.Members
	members.Add(7)
	submit := func(key int, now time.Time) outbox.MessageID {
		s := outbox.Submission{
			Intent: outbox.Intent{
				ID: outbox.NewMessageID(now), App: 1, Deadline: now.Add(time.Hour),
				Notification: apns.Notification{Topic: "com.example.demo", Payload: apns.Payload(`{"aps":{}}`)},
			},
			Shards: []outbox.Shard{outbox.NewShard(3, &members)},
			Once:   outbox.Once{Until: now.Add(time.Hour)},
		}
		binary.BigEndian.PutUint64(s.Once.Key[:], uint64(key)) //nolint:gosec // not negative
		m, _, err := o.Submit(t.Context(), s, now)
		if err != nil {
			t.Error(err)
		}
		return m.ID
	}
	// One second of 12,000 requests.
	const callers, share = 16, 750
	now := time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	var calling sync.WaitGroup
	for c := range callers {
		calling.Go(func() {
			for n := range share {
				submit(1+c*share+n, now.Add(time.Duration(n)*time.Millisecond))
			}
		})
	}
	calling.Wait()
	now = now.Add(time.Hour + 2*time.Second)
	last := callers * share
	again := submit(last, now)
	const ticks = 10
	for n := range ticks {
		now = now.Add(100 * time.Millisecond)
		submit(last+1+n, now)
	}
	for _, kind := range []byte{onceKind, forgetKind} {
		got := 0
		err := each(o.db, []byte{kind}, []byte{kind + 1}, func(_, _ []byte) (bool, error) {
			got++
			return true, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if want := 1 + ticks; got != want {
			t.Errorf("%c: got %d requests, want the last %d", kind, got, want)
		}
	}
	if got := submit(last, now); got != again {
		t.Errorf("got message %v, want %v: it was forgotten", got, again)
	}
}
