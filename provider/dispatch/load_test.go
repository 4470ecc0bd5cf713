package dispatch_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/provider/audience"
	"github.com/heraldpush/herald/provider/outbox"
)

// countingAudience counts how often device tokens are looked up.
type countingAudience struct {
	audience.Store
	lookups atomic.Int32
}

func (c *countingAudience) Targets(ctx context.Context, app audience.AppNumber, n audience.Chunk, m *audience.Members, u audience.Use) ([]audience.Target, error) {
	c.lookups.Add(1)
	return c.Store.Targets(ctx, app, n, m, u)
}

// TestLookedUpTogether sends many messages to one installation each, several to the
// same, which are looked up together and sent each to its own.
func TestLookedUpTogether(t *testing.T) {
	play(t, func(w *world) {
		t := w.t
		const installations, messages = 3, 60
		g := newGateway(func(to apns.DeviceToken, _ int) error {
			if to == deviceToken(2) {
				return apns.Reject(apns.DeviceTokenNotForTopic, "")
			}
			return nil
		})
		w.road(g)
		w.register(app, installations)
		use := audience.Use{Kind: audience.KindAlert}
		var slots []audience.Slot
		err := w.audience.Select(t.Context(), app, audience.Selection{Use: use, Below: 1 << 31}, func(_ audience.Chunk, m *audience.Members) error {
			for _, slot := range m.All() {
				slots = append(slots, slot)
			}
			return nil
		})
		if err != nil || len(slots) != installations {
			t.Fatalf("got %v, %v", slots, err)
		}
		now := time.Now()
		all := make([]outbox.MessageID, messages)
		for n := range all {
			all[n] = outbox.NewMessageID(now)
			var m audience.Members
			m.Add(slots[n%installations])
			_, _, err := w.outbox.Submit(t.Context(), outbox.Submission{Shards: []outbox.Shard{outbox.NewShard(0, &m)}, Intent: outbox.Intent{
				ID: all[n], App: app, Lane: outbox.Urgent, Use: use, Deadline: now.Add(time.Hour),
				Notification: apns.Notification{Topic: "com.example.demo", PushType: apns.PushTypeAlert, Payload: apns.Payload(`{"aps":{"alert":"Hi"}}`)},
			}}, now)
			if err != nil {
				t.Fatal(err)
			}
		}
		counting := &countingAudience{Store: w.audience}
		w.cfg.Audience = counting
		stop := w.run()
		time.Sleep(time.Minute)
		if err := stop(); err != nil {
			t.Error(err)
		}
		for n, id := range all {
			want := outbox.Tally{outbox.Accepted: 1}
			if n%installations == 2 {
				want = outbox.Tally{outbox.Rejected: 1}
			}
			if m := w.message(id); m.State != outbox.StateDone || m.Counts.Receipts != want {
				t.Errorf("message %d: got %+v, want %v", n, m.Status, want)
			}
		}
		for i := range installations - 1 {
			if got := len(g.pushed[deviceToken(i)]); got != messages/installations {
				t.Errorf("installation %d: got %d pushes, want %d", i, got, messages/installations)
			}
		}
		if got := counting.lookups.Load(); got > messages/4 {
			t.Errorf("got %d look-ups for %d messages", got, messages)
		}
	})
}
