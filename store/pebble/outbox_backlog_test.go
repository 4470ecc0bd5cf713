package pebble

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/provider/outbox"
)

func TestOutboxBacklog(t *testing.T) {
	o, err := OpenOutboxInMemory()
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	now := time.Now().UTC().Truncate(time.Millisecond)
	submit := func(lane outbox.Lane, made, start time.Time, shards int) {
		t.Helper()
		s := outbox.Submission{Intent: outbox.Intent{
			ID: outbox.NewMessageID(made), App: 1, Lane: lane, StartAt: start, Deadline: now.Add(time.Hour),
		}}
		for n := range shards {
			s.Shards = append(s.Shards, outbox.Shard{
				Number: uint32(n), Listed: []outbox.Addressee{{Environment: apns.Sandbox, DeviceToken: "t"}}, Receipts: outbox.NewReceipts(1),
			})
		}
		if _, _, err := o.Submit(t.Context(), s, now); err != nil {
			t.Fatal(err)
		}
	}
	submit(outbox.Urgent, now.Add(-time.Minute), time.Time{}, 2)
	submit(outbox.Urgent, now.Add(-time.Second), time.Time{}, 1)
	submit(outbox.Ordinary, now.Add(-time.Hour), now.Add(time.Minute), 1) // it does not wait yet
	submit(outbox.Campaign, now, time.Time{}, 5)
	claimed, err := o.Claim(t.Context(), outbox.Wanted{Queue: outbox.Queue{Lane: outbox.Urgent, App: 1}, Shards: 1, Members: 1, Until: now.Add(time.Minute)}, now)
	if err != nil || len(claimed) != 1 {
		t.Fatalf("got %v, %v, want one shard", claimed, err)
	}
	got, err := o.Backlog(t.Context(), now, 4)
	if err != nil {
		t.Fatal(err)
	}
	want := map[outbox.Lane]Backlog{
		outbox.Urgent:   {Shards: 3, Oldest: now.Add(-time.Minute)},
		outbox.Ordinary: {},
		outbox.Campaign: {Shards: 4, More: true, Oldest: now},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
