package spool_test

import (
	"sync/atomic"
	"testing"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/spool"
	"github.com/heraldpush/herald/spool/spooltest"
)

// discards is a store that keeps nothing, so that the room alone is measured.
type discards struct{ *spooltest.Model }

func (discards) Usage() spool.Usage { return spool.Usage{} }

// maxOfferAllocs bounds what an offer to an absent device of what is not to be
// stored allocates: most of what a busy gateway does with expiration 0.
const maxOfferAllocs = 1

func TestOfferAllocs(t *testing.T) {
	r := open(t, spool.Config{Store: discards{spooltest.NewModel()}})
	n := notification(`{"aps":{"alert":"hello"}}`, apns.PriorityImmediate, apns.DoNotStore)
	n.ID = "eabeae54-14a8-11e5-b60b-1697f925ec7b"
	ctx, a, token := t.Context(), to(1), deviceToken(1)
	if got := testing.AllocsPerRun(100, func() {
		if _, err := r.Offer(ctx, a, token, n); err != nil {
			t.Fatal(err)
		}
	}); got > maxOfferAllocs {
		t.Errorf("got %v allocations for an offer, want at most %d", got, maxOfferAllocs)
	}
}

func BenchmarkOfferAbsent(b *testing.B) {
	s, err := spool.New(spool.Config{Store: discards{spooltest.NewModel()}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	n := notification(`{"aps":{"alert":"hello"}}`, apns.PriorityImmediate, apns.DoNotStore)
	n.ID = "eabeae54-14a8-11e5-b60b-1697f925ec7b"
	token := deviceToken(1)
	b.ReportAllocs()
	var devices atomic.Uint64
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := s.Offer(b.Context(), to(apns.DeviceOrdinal(devices.Add(1))), token, n); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// BenchmarkDelivery measures the whole way of what is stored, through the room.
func BenchmarkDelivery(b *testing.B) {
	s, err := spool.New(spool.Config{Store: spooltest.NewModel(), RepeatWindow: -1})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	in, err := s.Attach(b.Context(), 1, apns.Production, spool.NewBell())
	if err != nil {
		b.Fatal(err)
	}
	if _, err := in.SetFilter(b.Context(), spool.Filter{Enabled: []apns.TopicHash{demo.Hash()}}); err != nil {
		b.Fatal(err)
	}
	n := notification(`{"aps":{"alert":"hello"}}`, apns.PriorityImmediate, apns.Expiration{})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Offer(b.Context(), to(1), deviceToken(1), n); err != nil {
			b.Fatal(err)
		}
		d, ok := in.Next()
		if !ok {
			b.Fatal("nothing to deliver")
		}
		if _, err := in.Ack(b.Context(), d.MessageID, spool.Delivered); err != nil {
			b.Fatal(err)
		}
	}
}
