package trace

import (
	"testing"
	"time"

	"github.com/heraldpush/herald/apns"
)

// line is one as the gateway writes it.
func line() Line {
	return Line{
		Hop: Accepted, Time: time.Now(), ID: "EABEAE54-14a8-11e5-b60b-1697f925ec7b", Status: 200, Connection: 7,
		Address: apns.Address{Device: 3, Environment: apns.Sandbox, Topic: demo.Hash()},
	}
}

// To record a line allocates nothing.
func TestAllocations(t *testing.T) {
	for name, cfg := range kinds(t) {
		t.Run(name, func(t *testing.T) {
			r := open(t, cfg)
			accepted, refused := line(), line()
			refused.Hop, refused.Status, refused.Reason = Refused, 400, apns.BadDeviceToken
			for range 20_000 { // buffers grow
				r.Record(&accepted)
			}
			if got := testing.AllocsPerRun(5000, func() { r.Record(&accepted); r.Record(&refused) }); got != 0 {
				t.Errorf("got %v allocations, want 0", got)
			}
			var none *Recorder
			if got := testing.AllocsPerRun(1000, func() { none.Record(&accepted) }); got != 0 {
				t.Errorf("without a recorder: got %v allocations, want 0", got)
			}
		})
	}
}

// BenchmarkRecord measures what a door pays for a line.
func BenchmarkRecord(b *testing.B) {
	record := func(b *testing.B, r *Recorder) {
		b.Helper()
		l := line()
		b.ReportAllocs()
		for n := 0; n < b.N; n++ {
			if n%maxShardLines == 0 { // else lines would be dropped, which is cheaper
				b.StopTimer()
				r.keepNow()
				b.StartTimer()
			}
			r.Record(&l)
		}
		if s := r.Stats(); s.Dropped > 0 {
			b.Fatalf("lines were dropped: %+v", s)
		}
	}
	b.Run("memory", func(b *testing.B) { record(b, open(b, Config{})) })
	b.Run("folder", func(b *testing.B) { record(b, open(b, Config{Dir: b.TempDir()})) })
	b.Run("nil", func(b *testing.B) { record(b, nil) })
}

// maxShardLines is how many lines a shard has room for.
const maxShardLines = maxShardBytes / recordBytes

// keepNow takes to the keeper what there is.
func (r *Recorder) keepNow() {
	if r != nil {
		r.keep(time.Now())
	}
}

// BenchmarkStory looks for one line among all that a folder keeps by default.
func BenchmarkStory(b *testing.B) {
	r := open(b, Config{Dir: b.TempDir()})
	const lines = DefaultDiskBytes / recordBytes * 9 / 10
	for n := range lines {
		r.Record(&Line{Hop: Accepted, ID: number(n), Address: apns.Address{Device: apns.DeviceOrdinal(n)}})
		if n%20_000 == 0 {
			story(b, r, someID) // the writer keeps up
		}
	}
	b.ResetTimer()
	for b.Loop() {
		if got := story(b, r, number(lines/2)); len(got) != 1 {
			b.Fatalf("got %d lines", len(got))
		}
	}
}
