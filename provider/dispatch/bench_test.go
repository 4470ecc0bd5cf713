package dispatch_test

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnsclient"
	"github.com/heraldpush/herald/provider/audience"
	"github.com/heraldpush/herald/provider/dispatch"
	"github.com/heraldpush/herald/provider/outbox"
	"github.com/heraldpush/herald/store/pebble"
	"github.com/heraldpush/herald/store/sqlite"
)

// nullPusher accepts everything at once.
type nullPusher struct{}

// Push implements dispatch.Pusher.
func (nullPusher) Push(_ context.Context, _ apns.DeviceToken, n apns.Notification) (apnsclient.Receipt, error) {
	return apnsclient.Receipt{ID: n.ID}, nil
}

// PushAll implements dispatch.Pusher.
func (nullPusher) PushAll(_ context.Context, pushes iter.Seq[apnsclient.Push]) iter.Seq[apnsclient.Result] {
	return func(yield func(apnsclient.Result) bool) {
		for p := range pushes {
			if !yield(apnsclient.Result{Push: p, Receipt: apnsclient.Receipt{ID: p.ID}}) {
				return
			}
		}
	}
}

// BenchmarkBroadcast takes messages for everybody from the outbox to their receipts,
// on a disk: all that a push costs but for the gateway and the way to it. The first
// to an installation proves its device token, the others find it proven.
func BenchmarkBroadcast(b *testing.B) {
	const installations = 100_000
	folder := b.TempDir()
	db, err := sqlite.Open(b.Context(), filepath.Join(folder, "provider.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	registerMany(b, db.Audience(), installations)
	for _, name := range []string{"first", "later"} {
		b.Run(name, func(b *testing.B) {
			o, err := pebble.OpenOutbox(filepath.Join(b.TempDir(), "outbox"), pebble.Config{})
			if err != nil {
				b.Fatal(err)
			}
			defer o.Close()
			b.ReportAllocs()
			before := processorTime(b)
			b.ResetTimer()
			for range b.N {
				broadcast(b, o, db.Audience(), installations)
			}
			b.StopTimer()
			pushes := float64(b.N) * installations
			b.ReportMetric(float64((processorTime(b)-before).Nanoseconds())/pushes, "cpu-ns/push")
			b.ReportMetric(pushes/b.Elapsed().Seconds(), "pushes/s")
		})
	}
}

// registerMany registers installations, many at a time.
func registerMany(b *testing.B, a audience.Store, n int) {
	b.Helper()
	var (
		registering sync.WaitGroup
		next        atomic.Int64
	)
	for range 256 {
		registering.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				id := audience.InstallationID(fmt.Sprintf("%08x-0000-4000-8000-%012x", uint32(i)*2654435761, i))
				r := audience.Registration{
					DeviceTokens: []audience.RegisteredToken{{Environment: "production", Value: fmt.Sprintf("%016x%048x", uint64(i)*11400714819323198485, i)}},
					Tags:         []string{"news"}, Locale: "de-CH", TimeZone: "Europe/Zurich", AppVersion: "5.2.0",
				}
				_, err := a.Change(b.Context(), app, id, func(i audience.Installation) (audience.Installation, bool, error) {
					return i.Register(r, time.Now())
				})
				if err != nil {
					b.Error(err)
				}
			}
		})
	}
	registering.Wait()
}

// broadcast sends a message to everybody and returns when it is done.
func broadcast(b *testing.B, o outbox.Store, a audience.Store, want int) {
	b.Helper()
	d, err := dispatch.New(dispatch.Config{
		Outbox: o, Audience: a, Logger: slog.New(slog.DiscardHandler),
		Road: func(audience.AppNumber, apns.Environment, apns.Topic) (dispatch.Pusher, error) {
			return nullPusher{}, nil
		},
	})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	now := time.Now()
	id, use := outbox.NewMessageID(now), audience.Use{Kind: audience.KindAlert}
	_, _, err = o.Submit(ctx, outbox.Submission{Intent: outbox.Intent{
		ID: id, App: app, Lane: outbox.Campaign, Use: use, Deadline: now.Add(time.Hour), Everybody: true,
		Notification: apns.Notification{Topic: "com.example.demo", PushType: apns.PushTypeAlert, Payload: apns.Payload(`{"aps":{"alert":"Hi"}}`)},
	}}, now)
	if err != nil {
		b.Fatal(err)
	}
	var shards []outbox.Shard
	members := 0
	err = a.Select(ctx, app, audience.Selection{Use: use, Below: 1 << 31}, func(c audience.Chunk, m *audience.Members) error {
		s := outbox.NewShard(c, m)
		shards = append(shards, s)
		members += s.Receipts.Len()
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := o.Step(ctx, id, outbox.Extend{Members: members, Done: true}, shards, now); err != nil {
		b.Fatal(err)
	}
	d.Wake()
	for {
		m, err := o.Message(ctx, id)
		if err != nil {
			b.Fatal(err)
		}
		if m.State == outbox.StateDone {
			if m.Counts.Receipts[outbox.Accepted] != want {
				b.Fatalf("got %+v, want %d accepted", m.Status, want)
			}
			break
		}
		select {
		case err := <-ended:
			b.Fatal(err)
		case <-time.After(5 * time.Millisecond):
		}
	}
	cancel()
	if err := <-ended; err != nil {
		b.Fatal(err)
	}
	if err := o.Remove(b.Context(), id); err != nil {
		b.Fatal(err)
	}
}
