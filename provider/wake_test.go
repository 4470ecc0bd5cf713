package provider_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/provider"
	"github.com/heraldpush/herald/provider/audience"
	"github.com/heraldpush/herald/provider/outbox"
)

// slowOutbox is an outbox whose caller has given up when what it asked for is done.
type slowOutbox struct {
	outbox.Store
	slow bool
}

// errGaveUp is what such a caller is told.
var errGaveUp = fmt.Errorf("waiting for the disk: %w", context.Canceled)

func (o *slowOutbox) Submit(ctx context.Context, s outbox.Submission, now time.Time) (outbox.Message, bool, error) {
	m, repeated, err := o.Store.Submit(ctx, s, now)
	if o.slow && err == nil {
		return outbox.Message{}, false, errGaveUp
	}
	return m, repeated, err
}

func (o *slowOutbox) Step(ctx context.Context, id outbox.MessageID, e outbox.Event, shards []outbox.Shard, now time.Time) (outbox.Message, error) {
	m, err := o.Store.Step(ctx, id, e, shards, now)
	if o.slow && err == nil {
		return outbox.Message{}, errGaveUp
	}
	return m, err
}

// A message is sent, and goes on after a pause, also if who asked for it gave up waiting
// for the disk and nothing else happens: asked again, it is the same message.
func TestGivenUp(t *testing.T) {
	slow := &slowOutbox{}
	playWith(t, func(cfg *provider.Config) {
		slow.Store = cfg.Outbox
		cfg.Outbox = slow
	}, func(w *world) {
		w.key("KEY1111111")
		w.crowd(1)
		w.run(func() {
			o := provider.Order{
				To: provider.Recipients{Installations: []audience.InstallationID{"i0"}}, Notification: apns.Notification{Payload: hello},
				Once: outbox.Once{Key: [16]byte{1}, Until: time.Now().Add(time.Hour)},
			}
			slow.slow = true
			if _, err := w.Send(w.t.Context(), shop, o); !errors.Is(err, context.Canceled) {
				w.t.Errorf("who gave up: got %v, want %v", err, context.Canceled)
			}
			slow.slow = false
			again, err := w.Send(w.t.Context(), shop, o)
			w.must(err)
			if !again.Repeated {
				w.t.Error("it is another message")
			}
			w.says(w.ended(shop, again.Message.ID), "1 0 0 0")

			o.Once, o.StartAt = outbox.Once{}, time.Now().Add(time.Hour)
			later := w.order(shop, o)
			_, err = w.Pause(w.t.Context(), shop, later)
			w.must(err)
			time.Sleep(2 * time.Hour)
			slow.slow = true
			if _, err := w.Resume(w.t.Context(), shop, later); !errors.Is(err, context.Canceled) {
				w.t.Errorf("who gave up: got %v, want %v", err, context.Canceled)
			}
			slow.slow = false
			w.says(w.ended(shop, later), "1 0 0 0")
		})
	})
}
