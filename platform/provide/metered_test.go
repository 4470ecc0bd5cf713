package provide

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/provider/account"
	"github.com/heraldpush/herald/provider/outbox"
	"github.com/heraldpush/herald/store/memory"
	"github.com/heraldpush/herald/store/pebble"
)

// gathered returns the counters of a registry, by their name and labels.
func gathered(t *testing.T, of ...prometheus.Collector) map[string]float64 {
	t.Helper()
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(of...)
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]float64)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var name strings.Builder
			name.WriteString(f.GetName())
			for _, l := range m.GetLabel() {
				name.WriteString(" " + l.GetValue())
			}
			all[name.String()] = m.GetCounter().GetValue()
		}
	}
	return all
}

// TestMetered proves that each recipient is counted once, whatever is stored how
// often, and that what is not stored is not counted.
func TestMetered(t *testing.T) {
	ctx, now := t.Context(), time.Now().UTC().Truncate(time.Millisecond)
	book, err := account.Open(ctx, account.Config{Store: memory.NewAccount()})
	if err != nil {
		t.Fatal(err)
	}
	app, err := book.CreateApp(ctx, account.AppSpec{ID: "shop", BundleID: "com.example.shop"})
	if err != nil {
		t.Fatal(err)
	}
	box, err := pebble.OpenOutboxInMemory()
	if err != nil {
		t.Fatal(err)
	}
	defer box.Close()
	m := newMetered()
	m.Store, m.book = box, book
	s := outbox.Submission{Intent: outbox.Intent{ID: outbox.NewMessageID(now), App: app.Number, Lane: outbox.Urgent, Deadline: now.Add(time.Hour)}}
	shard := outbox.Shard{Receipts: outbox.NewReceipts(4)}
	for _, token := range []apns.DeviceToken{"a", "b", "c", "d"} {
		shard.Listed = append(shard.Listed, outbox.Addressee{Environment: apns.Sandbox, DeviceToken: token})
	}
	s.Shards = []outbox.Shard{shard}
	if _, _, err := m.Submit(ctx, s, now); err != nil {
		t.Fatal(err)
	}
	claims, err := m.Claim(ctx, outbox.Wanted{Queue: outbox.Queue{App: app.Number}, Shards: 1, Members: 10, Until: now.Add(time.Minute)}, now)
	if err != nil || len(claims) != 1 || m.pending() != 4 {
		t.Fatalf("got %v, %v and %d pending, want a shard of 4", claims, err, m.pending())
	}
	receipts := claims[0].Shard.Receipts.Clone()
	step := func(fence uint64, release bool, failures ...outbox.Failure) error {
		t.Helper()
		checked, err := m.Checkpoint(ctx, []outbox.Progress{{
			Message: s.Intent.ID, Fence: fence, Receipts: receipts.Clone(), Failures: failures, Release: release, Until: now.Add(time.Minute),
		}}, now)
		if err != nil {
			t.Fatal(err)
		}
		return checked[0].Err
	}
	receipts.Set(0, outbox.Accepted)
	receipts.Set(1, outbox.Rejected)
	if err := step(claims[0].Fence, false, outbox.Failure{Rank: 1, Status: 410, Reason: apns.Unregistered, At: now}); err != nil {
		t.Fatal(err)
	}
	if got := m.pending(); got != 2 {
		t.Errorf("%d pending, want 2", got)
	}
	receipts.Set(2, outbox.Rejected)
	receipts.Set(3, outbox.Expired)
	if err := step(claims[0].Fence, true, outbox.Failure{Rank: 2, Status: 400, Reason: "NobodyKnowsThisReason", At: now}); err != nil {
		t.Fatal(err)
	}
	if err := step(claims[0].Fence-1, true); !errors.Is(err, outbox.ErrFenced) {
		t.Errorf("with an old fence: got %v, want %v", err, outbox.ErrFenced)
	}
	want := map[string]float64{
		"herald_provider_messages_total shop urgent":       1,
		"herald_provider_receipts_total shop accepted":     1,
		"herald_provider_receipts_total shop rejected":     2,
		"herald_provider_receipts_total shop expired":      1,
		"herald_provider_failures_total shop Unregistered": 1,
		"herald_provider_failures_total shop other":        1,
	}
	if diff := cmp.Diff(want, gathered(t, m.messages, m.receipts, m.failures)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := m.pending(); got != 0 {
		t.Errorf("%d pending, want none", got)
	}
}
