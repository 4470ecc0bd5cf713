package pebble

import (
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/heraldpush/herald/apns"
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
