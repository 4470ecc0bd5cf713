package sqlite

import (
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/portal"
	"github.com/heraldpush/herald/provider/audience"
	"github.com/heraldpush/herald/provider/outbox"
)

// BenchmarkUpdate stores records, durably, by as many writers as its name
// says.
func BenchmarkUpdate(b *testing.B) {
	for _, writers := range []int{1, 16, 256} {
		b.Run(strconv.Itoa(writers), func(b *testing.B) {
			d := open(b, newPath(b))
			body := []byte(`{"what": "about as much as a record of a device or an app has to say of itself"}`)
			var (
				writing sync.WaitGroup
				next    atomic.Int64
			)
			b.ResetTimer()
			for range writers {
				writing.Go(func() {
					for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
						err := d.Portal().Update(b.Context(), func(tx portal.Tx) error {
							return tx.Put("bench", fmt.Sprint(n%10_000), body)
						})
						if err != nil {
							b.Error(err)
						}
					}
				})
			}
			writing.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
		})
	}
}

// BenchmarkException is the one question to this store that every push asks.
func BenchmarkException(b *testing.B) {
	r := open(b, newPath(b)).Registry()
	a := apns.Address{Device: 1, Environment: apns.Sandbox, Topic: apns.Topic("com.example.demo").Hash()}
	for b.Loop() {
		if _, err := r.Exception(b.Context(), a); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRegister registers installations, durably, as many at a time as a busy
// API has: new ones, each with a device token, a person and two tags; and then the
// same again, which says nothing new.
func BenchmarkRegister(b *testing.B) {
	const writers = 256
	a := open(b, newPath(b)).Audience()
	at := time.Now()
	register := func(b *testing.B, n int64) {
		id := audience.InstallationID(fmt.Sprintf("%08x-0000-4000-8000-%012x", uint32(n)*2654435761, n))
		r := audience.Registration{
			DeviceTokens: []audience.RegisteredToken{{Environment: "production", Value: fmt.Sprintf("%016x%048x", uint64(n)*11400714819323198485, n)}},
			Person:       map[string]string{"external_id": fmt.Sprint("u", n)},
			Tags:         []string{"news", fmt.Sprint("city:", n%1000)}, Locale: "de-CH", TimeZone: "Europe/Zurich", AppVersion: "5.2.0",
		}
		_, err := a.Change(b.Context(), 1, id, func(i audience.Installation) (audience.Installation, bool, error) { return i.Register(r, at) })
		if err != nil {
			b.Error(err)
		}
	}
	var most int64
	for _, name := range []string{"new", "unchanged"} {
		b.Run(name, func(b *testing.B) {
			var (
				writing sync.WaitGroup
				done    atomic.Int64
			)
			from := most
			if name == "unchanged" {
				from = 0
			}
			b.ResetTimer()
			for range writers {
				writing.Go(func() {
					for n := done.Add(1); n <= int64(b.N); n = done.Add(1) {
						if name == "unchanged" {
							register(b, n%most)
						} else {
							register(b, from+n-1)
						}
					}
				})
			}
			writing.Wait()
			if name == "new" {
				most = from + int64(b.N)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "registrations/s")
		})
	}
}

// BenchmarkArchive stores messages for one installation each, as the archivist does:
// many at once.
func BenchmarkArchive(b *testing.B) {
	const batch = 512
	a := open(b, newPath(b)).Archive()
	at := time.Now()
	var members audience.Members
	members.Add(7)
	shard := outbox.NewShard(3, &members)
	shard.Receipts.Set(0, outbox.Accepted)
	b.ReportAllocs()
	for done := 0; done < b.N; {
		all := make([]outbox.Finished, min(batch, b.N-done))
		for n := range all {
			at := at.Add(time.Duration(done+n) * time.Millisecond / 5)
			all[n].Message = outbox.Message{
				Intent: outbox.Intent{
					ID: outbox.NewMessageID(at), App: 1, Deadline: at.Add(time.Hour),
					Notification: apns.Notification{Topic: "com.example.demo", Payload: make(apns.Payload, 500)},
				},
				Status: outbox.Status{State: outbox.StateDone, Frozen: true, Counts: outbox.Counts{Targeted: 1}, EndedAt: at},
			}
			all[n].Part.Shards = []outbox.Shard{shard}
		}
		if err := a.Put(b.Context(), all); err != nil {
			b.Fatal(err)
		}
		done += len(all)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
}
