package spool_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/spool"
	"github.com/heraldpush/herald/spool/spooltest"
)

// TestFanoutIsPaced proves that a message for many goes out at the rate, that the
// one who publishes does not wait for it, and that a small channel does not
// either.
func TestFanoutIsPaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const devices, rate = 3000, 1000
		r := open(t, spool.Config{PublishRate: rate})
		boxes := make([]*spool.Inbox, devices)
		for i := range boxes {
			boxes[i] = r.follower(apns.DeviceOrdinal(i+1), on(stores, 0))
		}
		small := on(forgets, 0)
		small.ID = "AAAA"
		few := r.follower(devices+1, small)

		started := time.Now()
		r.publish(stores, "for many", in(time.Hour))
		if _, err := r.Publish(t.Context(), "AAAA", forgets, apns.Notification{Expiration: apns.DoNotStore, Payload: apns.Payload("for few")}); err != nil {
			t.Fatal(err)
		}
		r.publish(stores, "second", in(time.Hour))
		if took := time.Since(started); took != 0 {
			t.Errorf("publishing took %v, want none", took)
		}
		time.Sleep(time.Second)
		r.next(few, "for few")
		reached := func() (n int) {
			for _, b := range boxes {
				if r.isReady(b) {
					n++
				}
			}
			return n
		}
		if n := reached(); n < rate/2 || n > rate+rate/2 {
			t.Errorf("reached %d in a second, want about %d", n, rate)
		}
		time.Sleep(6 * time.Second)
		if n := reached(); n < devices/2 {
			t.Errorf("reached %d more, want the others", n)
		}
		for _, b := range boxes {
			r.ack(b, r.next(b, "second"))
			r.nothing(b)
		}
	})
}

// TestFanoutOrder proves that messages published one after the other reach each
// device in order, and none is left out where the device keeps up.
func TestFanoutOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const messages = 20
		r := open(t, spool.Config{})
		boxes := make([]*spool.Inbox, 600)
		for i := range boxes {
			boxes[i] = r.follower(apns.DeviceOrdinal(i+1), on(forgets, 0))
		}
		var devices sync.WaitGroup
		for _, b := range boxes {
			devices.Go(func() {
				for i := range messages {
					<-r.bell(b)
					d, ok := b.Next()
					if want := fmt.Sprint(i); !ok || string(d.Notification.Payload) != want {
						t.Errorf("got %q, %t, want %q", d.Notification.Payload, ok, want)
						return
					}
					r.ack(b, d)
				}
			})
		}
		for i := range messages {
			r.publish(forgets, fmt.Sprint(i), apns.DoNotStore)
			synctest.Wait()
			time.Sleep(20 * time.Millisecond)
		}
		devices.Wait()
	})
}

// TestFanoutIsBounded proves that publishing is refused while too much is on its
// way, and goes on afterwards; and that the end of the spool does not wait.
func TestFanoutIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t, spool.Config{PublishRate: 1, MaxPublished: 2})
		for d := range apns.DeviceOrdinal(3) {
			r.follower(d+1, on(forgets, 0))
		}
		r.publish(forgets, "one", apns.DoNotStore)
		synctest.Wait() // the goroutine rests for it
		r.publish(forgets, "two", apns.DoNotStore)
		r.publish(forgets, "three", apns.DoNotStore)
		_, err := r.Publish(t.Context(), channel, forgets, apns.Notification{Expiration: apns.DoNotStore})
		rejected(t, "full", err, apns.ServiceUnavailable)
		time.Sleep(10 * time.Second)
		r.publish(forgets, "four", apns.DoNotStore)
		r.publish(forgets, "five", apns.DoNotStore)
	})
}

// TestFanoutAmongComings has devices come, go, follow and leave while messages are
// published and channels end, and proves that who is there in the end has the
// latest, and that nobody got a message twice on one attachment, or an older one
// after a newer.
func TestFanoutAmongComings(t *testing.T) {
	const devices, rounds = 16, 25
	r := open(t, spool.Config{PublishRate: 1 << 30})
	ctx, stop := context.WithCancel(t.Context())
	var phones, provider sync.WaitGroup
	provider.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			n := apns.Notification{Topic: demo, Expiration: in(time.Hour), Payload: apns.Payload(fmt.Sprint(i))}
			if _, err := r.Publish(ctx, channel, stores, n); err != nil {
				rejected(t, "publish", err, apns.ServiceUnavailable)
				runtime.Gosched() // it is faster than what brings them
			}
			if i%50 == 0 {
				r.EndChannel("AAAA")
			}
		}
	})
	ended := on(forgets, 0)
	ended.ID = "AAAA"
	both := spool.Subscriptions{Full: true, Follow: []spool.Following{on(stores, 0), ended}}
	for d := apns.DeviceOrdinal(1); d <= devices; d++ {
		phones.Go(func() {
			var seen spool.Timestamp
			for range rounds {
				box := r.attach(d, true)
				both := both
				both.Follow = []spool.Following{on(stores, seen), ended}
				if err := box.Subscribe(t.Context(), both); err != nil {
					t.Errorf("subscribe: %v", err)
				}
				for range rand.IntN(8) {
					<-r.bell(box)
					for m, ok := box.Next(); ok; m, ok = box.Next() {
						if m.Timestamp <= seen {
							t.Errorf("got %d after %d", m.Timestamp, seen)
						}
						seen = m.Timestamp
						r.ack(box, m)
					}
				}
				box.EndedChannels()
				box.Detach()
			}
		})
	}
	phones.Wait()
	stop()
	provider.Wait()

	last, ok, err := r.Latest(t.Context(), channel)
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	box := r.follower(1, on(stores, 0))
	if d := r.next(box, string(last.Notification.Payload)); d.Timestamp != last.Timestamp {
		t.Errorf("got %d, want %d", d.Timestamp, last.Timestamp)
	}
	if _, ok := r.Followed("AAAA"); ok {
		t.Error("somebody follows what all have left")
	}
}

// BenchmarkFanout measures what one message costs for each of many that follow,
// and how long the one who publishes waits.
func BenchmarkFanout(b *testing.B) {
	const devices = 10_000
	s, err := spool.New(spool.Config{Store: spooltest.NewModel(), PublishRate: 1 << 30})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	boxes := make([]*spool.Inbox, devices)
	bells := make([]spool.Bell, devices)
	for i := range boxes {
		bells[i] = spool.NewBell()
		if boxes[i], err = s.Attach(b.Context(), apns.DeviceOrdinal(i+1), apns.Production, bells[i]); err != nil {
			b.Fatal(err)
		}
		if _, err := boxes[i].SetFilter(b.Context(), spool.Filter{Enabled: []apns.TopicHash{demo.Hash()}}); err != nil {
			b.Fatal(err)
		}
		if err := boxes[i].Subscribe(b.Context(), spool.Subscriptions{Follow: []spool.Following{on(forgets, 0)}}); err != nil {
			b.Fatal(err)
		}
	}
	n := apns.Notification{Topic: demo, Expiration: apns.DoNotStore, Payload: apns.Payload(`{"aps":{}}`)}
	var publishing time.Duration
	for b.Loop() {
		at := time.Now()
		if _, err := s.Publish(b.Context(), channel, forgets, n); err != nil {
			b.Fatal(err)
		}
		publishing += time.Since(at)
		for i, box := range boxes {
			<-bells[i]
			d, ok := box.Next()
			if !ok {
				b.Fatal("nothing came")
			}
			if _, err := box.Ack(b.Context(), d.MessageID, spool.Delivered); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/devices, "ns/device")
	b.ReportMetric(float64(publishing.Nanoseconds())/float64(b.N), "ns/publish")
}
