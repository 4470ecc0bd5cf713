package pebble

import (
	"fmt"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/provider/audience"
	"github.com/heraldpush/herald/provider/outbox"
	"github.com/heraldpush/herald/spool"
)

// BenchmarkPut measures a durable write, put by several callers at a time in calls
// of several writes each, to devices that are known from just before, or not.
// Beside the time on the wall it reports that of the processor, and how many
// writes shared a sync.
func BenchmarkPut(b *testing.B) {
	for _, devices := range []int{1_000, 1_000_000} {
		for _, shape := range []struct{ callers, writes int }{{1, 1}, {16, 1}, {256, 1}, {16, 64}} {
			b.Run(fmt.Sprintf("devices=%d/callers=%d/writes=%d", devices, shape.callers, shape.writes), func(b *testing.B) {
				s, err := Open(filepath.Join(b.TempDir(), "spool"), Config{})
				if err != nil {
					b.Fatal(err)
				}
				defer s.Close()
				benchmarkPut(b, s, devices, shape.callers, shape.writes)
			})
		}
	}
}

func benchmarkPut(b *testing.B, s *Spool, devices, callers, writes int) {
	b.ReportAllocs()
	var next atomic.Int64
	before := processorTime(b)
	b.ResetTimer()
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			batch := make([]spool.Write, writes)
			for {
				from := int(next.Add(int64(writes))) - writes
				if from >= b.N {
					return
				}
				for i := range batch {
					batch[i] = someWrite(from+i, devices)
				}
				if err := s.Put(b.Context(), batch); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64((processorTime(b)-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
}

// payload is of about 200 bytes.
var payload = apns.Payload(`{"aps":{"alert":{"title":"Game Request","subtitle":"Five Card Draw","body":"Bob wants to play poker"},"category":"GAME_INVITATION","sound":"default","badge":9},"gameID":"12345678","more":"1234567890123456789"}`)

// someWrite returns the nth write of many, to one of so many devices.
func someWrite(n, devices int) spool.Write {
	w := spool.Write{Keep: true, RepeatKey: spool.RepeatKey{byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24), 1}}
	// A step that has no factor in common with any number of devices that is used.
	w.Address = apns.Address{Device: apns.DeviceOrdinal(n*7919%devices) + 1, Environment: apns.Production, Topic: apns.TopicHash{1, 2, 3}}
	w.Timestamp = spool.Timestamp(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano() + int64(n)*1000)
	w.RepeatUntil = w.Timestamp.Time().Add(10 * time.Minute)
	w.DeviceToken = "0123456789abcdef0123456789abcdef"
	w.Notification = apns.Notification{
		ID: "eabeae54-14a8-11e5-b60b-1697f925ec7b", Topic: "com.example.demo", PushType: apns.PushTypeAlert, Priority: apns.PriorityImmediate, Payload: payload,
	}
	return w
}

// BenchmarkOutbox takes a message for one installation through the outbox, durably
// at each step: submitted, claimed, answered. So many are on their way at a time as
// its name says.
func BenchmarkOutbox(b *testing.B) {
	for _, callers := range []int{16, 256} {
		b.Run(strconv.Itoa(callers), func(b *testing.B) {
			o, err := OpenOutbox(filepath.Join(b.TempDir(), "outbox"), Config{})
			if err != nil {
				b.Fatal(err)
			}
			defer o.Close()
			var members audience.Members
			members.Add(7)
			queue := outbox.Queue{Lane: outbox.Urgent, App: 1}
			var (
				calling sync.WaitGroup
				next    atomic.Int64
			)
			b.ResetTimer()
			for range callers {
				calling.Go(func() {
					for next.Add(1) <= int64(b.N) {
						now := time.Now()
						_, _, err := o.Submit(b.Context(), outbox.Submission{
							Intent: outbox.Intent{
								ID: outbox.NewMessageID(now), App: 1, Deadline: now.Add(time.Hour),
								Notification: apns.Notification{Topic: "com.example.demo", Payload: make(apns.Payload, 500)},
							},
							Shards: []outbox.Shard{outbox.NewShard(3, &members)},
						}, now)
						if err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			calling.Go(func() { // whoever sends
				for done := 0; done < b.N; {
					now := time.Now()
					claims, err := o.Claim(b.Context(), outbox.Wanted{Queue: queue, Shards: 256, Members: 256, Until: now.Add(time.Minute)}, now)
					if err != nil {
						b.Error(err)
						return
					}
					var all []outbox.Progress
					for _, c := range claims {
						c.Shard.Receipts.Set(0, outbox.Accepted)
						all = append(all, outbox.Progress{
							Message: c.Message.ID, Shard: c.Shard.Number, Fence: c.Fence, Receipts: c.Shard.Receipts, Release: true,
						})
					}
					if _, err := o.Checkpoint(b.Context(), all, now); err != nil {
						b.Error(err)
						return
					}
					done += len(all)
				}
			})
			calling.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
		})
	}
}
