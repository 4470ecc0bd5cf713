package outbox

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/provider/audience"
)

var fullIntent = Intent{
	ID: MessageID{1}, App: 7, Lane: Campaign,
	Notification: apns.Notification{
		ID: "eabeae54-14a8-11e5-b60b-1697f925ec7b", Topic: "com.example.demo", PushType: apns.PushTypeAlert, Priority: 5,
		Expiration: apns.DoNotStore, CollapseID: "c", Payload: apns.Payload(`{"aps":{"alert":"é"}}`),
	},
	Use: audience.Use{Kind: audience.KindAlert, Environment: apns.Sandbox}, Tag: "news", Everybody: true,
	StartAt: noon, Deadline: noon.Add(time.Hour + time.Nanosecond), TraceParent: "00-1-2-01",
}

func TestIntentRecord(t *testing.T) {
	for _, want := range []Intent{fullIntent, {ID: MessageID{2}, Deadline: noon}} {
		b := want.Append(nil)
		got, err := ParseIntent(want.ID, b)
		if d := cmp.Diff(want, got, cmp.AllowUnexported(apns.Expiration{})); err != nil || d != "" {
			t.Errorf("%v (-want +got)\n%s", err, d)
		}
		for n := range len(b) - len(want.Notification.Payload) {
			if _, err := ParseIntent(want.ID, b[:n]); err == nil {
				t.Errorf("the first %d bytes: got no error", n)
			}
		}
	}
}

func TestStatusRecord(t *testing.T) {
	want := Status{
		State: StatePaused, Why: WhyFuse, Frozen: true, Next: 3, Below: 99,
		Counts: Counts{Targeted: 10, Receipts: Tally{1, 2, 3, 4}, Reasons: map[apns.Reason]int{apns.Unregistered: 3}},
		Fuse:   Fuse{Answers: 5, Bad: 1, Blown: true}, EndedAt: noon,
	}
	for _, want := range []Status{want, {}, {Untold: []Turn{{Started, noon}, {Paused, noon.Add(time.Nanosecond)}}}} {
		b := want.Append(nil)
		got, err := ParseStatus(b)
		if d := cmp.Diff(want, got); err != nil || d != "" {
			t.Errorf("%v (-want +got)\n%s", err, d)
		}
		for n := range b {
			if _, err := ParseStatus(b[:n]); err == nil {
				t.Errorf("the first %d bytes: got no error", n)
			}
		}
	}
}

func TestFailureRecord(t *testing.T) {
	for _, want := range []Failure{
		{},
		{Rank: 8191, Status: 410, Reason: apns.Unregistered, At: noon.Add(time.Nanosecond), ID: "eabeae54-14a8-11e5-b60b-1697f925ec7b"},
	} {
		b := want.Append(nil)
		got, err := ParseFailure(b)
		if d := cmp.Diff(want, got); err != nil || d != "" {
			t.Errorf("%v (-want +got)\n%s", err, d)
		}
		for n := range b {
			if _, err := ParseFailure(b[:n]); err == nil {
				t.Errorf("the first %d bytes: got no error", n)
			}
		}
	}
}

// someShards are a shard of members, one that lists, and an empty one.
func someShards() []Shard {
	var m audience.Members
	for _, s := range []audience.Slot{1, 5, 8191} {
		m.Add(s)
	}
	members := NewShard(9, &m)
	members.Receipts.Set(2, Expired)
	members.Pass = 300
	listed := Shard{Listed: []Addressee{{apns.Sandbox, "\xaa"}, {apns.Production, "\xbb\xcc"}}, Receipts: NewReceipts(2)}
	listed.Receipts.Set(0, Rejected)
	return []Shard{members, listed, {Receipts: NewReceipts(0)}}
}

func TestShardRecord(t *testing.T) {
	for _, want := range someShards() {
		b := want.Append(nil)
		got, err := ParseShard(want.Number, b)
		if d := cmp.Diff(want, got, cmp.AllowUnexported(Receipts{}, audience.Members{}),
			cmp.Transformer("bytes", func(r Receipts) string { return string(r.bits) })); err != nil || d != "" {
			t.Errorf("%v (-want +got)\n%s", err, d)
		}
		for n := range b {
			if _, err := ParseShard(0, b[:n]); err == nil {
				t.Errorf("the first %d bytes: got no error", n)
			}
		}
	}
}

func FuzzParseShard(f *testing.F) {
	for _, s := range someShards() {
		f.Add(s.Append(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := ParseShard(0, b)
		if err != nil {
			return
		}
		again, err := ParseShard(0, s.Append(nil))
		if err != nil || !bytes.Equal(again.Append(nil), s.Append(nil)) {
			t.Errorf("got another shard, %v", err)
		}
	})
}

func FuzzParseIntent(f *testing.F) {
	f.Add(fullIntent.Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		i, err := ParseIntent(MessageID{}, b)
		if err != nil {
			return
		}
		again, err := ParseIntent(MessageID{}, i.Append(nil))
		if d := cmp.Diff(i, again, cmp.AllowUnexported(apns.Expiration{})); err != nil || d != "" {
			t.Errorf("got another intent, %v (-first +second)\n%s", err, d)
		}
	})
}

func FuzzParseStatus(f *testing.F) {
	s := Status{Why: WhyFuse, Counts: Counts{Targeted: 10, Receipts: Tally{1, 2, 3, 4}, Reasons: map[apns.Reason]int{apns.Unregistered: 3}}, EndedAt: noon}
	f.Add(s.Append(nil))
	s.Untold = []Turn{{Started, noon}, {Paused, noon.Add(time.Nanosecond)}}
	f.Add(s.Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := ParseStatus(b)
		if err != nil {
			return
		}
		again, err := ParseStatus(s.Append(nil))
		if d := cmp.Diff(s, again); err != nil || d != "" {
			t.Errorf("got another status, %v (-first +second)\n%s", err, d)
		}
	})
}
