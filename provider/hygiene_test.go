package provider_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnstest/scripted"
	"github.com/heraldpush/herald/provider"
	"github.com/heraldpush/herald/provider/audience"
	"github.com/heraldpush/herald/provider/outbox"
)

// A device token that is gone is forgotten when it has been for a month.
func TestSweep(t *testing.T) {
	play(t, func(w *world) {
		all := w.crowd(3)
		for n, age := range []time.Duration{audience.GoneRetention - time.Minute, audience.GoneRetention - 3*time.Hour} {
			i, err := w.Installation(w.t.Context(), shop, all[n])
			w.must(err)
			after := i.Destinations[0].Standing
			after.State, after.Reason, after.ReasonAt = audience.Gone, apns.Unregistered, time.Now().Add(-age)
			ruling := audience.Ruling{Target: audience.Target{Ordinal: i.Ordinal, Destination: i.Destinations[0]}, After: after}
			w.must(w.audience.Rule(w.t.Context(), 1, []audience.Ruling{ruling}))
		}
		w.run(func() {
			for _, want := range [][]int{{1, 1, 1}, {0, 1, 1}} {
				synctest.Wait()
				for n := range all {
					i, err := w.Installation(w.t.Context(), shop, all[n])
					w.must(err)
					if len(i.Destinations) != want[n] {
						w.t.Errorf("installation %d: got %+v, want %d", n, i.Destinations, want[n])
					}
				}
				time.Sleep(time.Hour + time.Minute)
			}
		})
	})
}

// What a message did to device tokens is undone by the next process when its fuse has
// blown, if the one that saw it ended between the two.
func TestUndoneAtStart(t *testing.T) {
	for name, lacking := range map[string]int{"at once": 0, "when there is room": 2} {
		t.Run(name, func(t *testing.T) { testUndoneAtStart(t, lacking) })
	}
}

// testUndoneAtStart has the first tries to undo fail.
func testUndoneAtStart(t *testing.T, lacking int) {
	t.Helper()
	undo := &lackingUndo{}
	undo.left.Store(int32(lacking)) //nolint:gosec // few
	playWith(t, undo.within, func(w *world) {
		const many = 120
		w.key("KEY1111111")
		all := w.crowd(many)
		id := w.send(shop, all...)
		// The process before: one is judged, then a wave is stored, then it ends.
		now := time.Now()
		first, err := w.Installation(w.t.Context(), shop, all[0])
		w.must(err)
		standing := first.Destinations[0].Standing
		standing.State, standing.Reason, standing.ReasonAt, standing.JudgedBy = audience.Gone, apns.BadDeviceToken, now, id
		target := audience.Target{Ordinal: first.Ordinal, Destination: first.Destinations[0]}
		w.must(w.audience.Rule(w.t.Context(), 1, []audience.Ruling{{Target: target, After: standing}}))
		claims, err := w.outbox.Claim(w.t.Context(), outbox.Wanted{
			Queue: outbox.Queue{Lane: outbox.Ordinary, App: 1}, Shards: 9, Members: many, Until: now.Add(time.Minute),
		}, now)
		w.must(err)
		if len(claims) != 1 {
			w.t.Fatalf("got %d claims", len(claims))
		}
		progress := outbox.Progress{Message: id, Shard: claims[0].Shard.Number, Fence: claims[0].Fence, Receipts: claims[0].Shard.Receipts, Until: now.Add(time.Minute)}
		for rank := range many - 1 {
			progress.Receipts.Set(rank, outbox.Rejected)
			progress.Failures = append(progress.Failures, outbox.Failure{Rank: rank, Status: 400, Reason: apns.BadDeviceToken, At: now})
		}
		checked, err := w.outbox.Checkpoint(w.t.Context(), []outbox.Progress{progress}, now)
		w.must(err)
		if s := checked[0].Status; !s.Fuse.Blown || s.State != outbox.StatePaused {
			w.t.Fatalf("got %+v", s)
		}

		w.run(func() {
			time.Sleep(time.Duration(lacking) * 2 * time.Minute)
			synctest.Wait()
		})
		after, err := w.Installation(w.t.Context(), shop, all[0])
		w.must(err)
		if s := after.Destinations[0].Standing; s.State != audience.Active {
			w.t.Errorf("got %+v, want it active again", s)
		}
	})
}

// A wave of bad device tokens while the registry's disk is full ends nothing; what was
// noted before it is undone when there is room.
func TestUndoneWhenThereIsRoom(t *testing.T) {
	undo := &lackingUndo{}
	undo.left.Store(3)
	playWith(t, undo.within, func(w *world) {
		w.key("KEY1111111")
		w.crowd(300)
		w.gateway.OnPush(func(scripted.Push) scripted.Reply { return scripted.Refuse(apns.BadDeviceToken) })
		w.run(func() {
			id := w.order(shop, everybody)
			time.Sleep(10 * time.Minute)
			if m, err := w.Message(w.t.Context(), shop, id); err != nil || m.State != outbox.StatePaused {
				w.t.Errorf("got %v, %v, want it paused by its fuse", m.State, err)
			}
		})
		if left := undo.left.Load(); left > -1 {
			w.t.Errorf("got %d tries to undo, want one after those that failed", 3-left)
		}
	})
}

// lackingUndo is an audience.Store that lacks room when it is to undo.
type lackingUndo struct {
	audience.Store
	left atomic.Int32 // tries that fail; negative: as many succeeded
}

func (l *lackingUndo) within(cfg *provider.Config) {
	l.Store, cfg.Audience = cfg.Audience, l
}

func (l *lackingUndo) Undo(ctx context.Context, app audience.AppNumber, message [16]byte) (int, error) {
	if l.left.Add(-1) >= 0 {
		return 0, errors.New("disk full")
	}
	return l.Store.Undo(ctx, app, message)
}
