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

// blower is an outbox, to which another worker comes between a checkpoint
// and its rulings: the fuse of the message blows, and all there is so far is undone.
type blower struct {
	outbox.Store
	blown atomic.Bool
}

func (b *blower) Message(ctx context.Context, id outbox.MessageID) (outbox.Message, error) {
	m, err := b.Store.Message(ctx, id)
	m.Fuse.Blown = m.Fuse.Blown || b.blown.Load()
	return m, err
}

// blowing is the audience of a blower.
type blowing struct {
	audience.Store
	blower *blower
}

// Rule implements audience.Store.
func (b blowing) Rule(ctx context.Context, app audience.AppNumber, all []audience.Ruling) error {
	for _, r := range all {
		if r.After.State != audience.Active && !b.blower.blown.Swap(true) {
			if _, err := b.Undo(ctx, app, r.After.JudgedBy); err != nil {
				return err
			}
		}
	}
	return b.Store.Rule(ctx, app, all)
}

// TestBlownMeanwhile proves that no device token stays bad by a message whose fuse another
// worker saw blow just before it was noted.
func TestBlownMeanwhile(t *testing.T) {
	play(t, func(w *world) {
		w.road(newGateway(func(to apns.DeviceToken, _ int) error {
			if to == deviceToken(1) {
				return apns.Reject(apns.BadDeviceToken, "")
			}
			return nil
		}))
		w.register(app, 3)
		b := &blower{Store: w.outbox}
		w.cfg.Outbox, w.cfg.Audience = b, blowing{w.audience, b}
		w.submit(app, outbox.Ordinary)
		stop := w.run()
		time.Sleep(time.Minute)
		if err := stop(); err != nil {
			w.t.Error(err)
		}
		if !b.blown.Load() {
			w.t.Error("no device token was called bad: nothing is proven")
		}
		found, err := w.audience.Find(w.t.Context(), app, apns.Production, deviceToken(1))
		if err != nil || found.Standing.State != audience.Active {
			w.t.Errorf("got %+v, %v, want it active", found.Standing, err)
		}
	})
}
