package providertest

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/provider/audience"
	"github.com/heraldpush/herald/provider/outbox"
)

func (p *post) testClaim(t *testing.T) {
	if claims := p.claim(t, ordinary, 9, morning); len(claims) != 0 {
		t.Errorf("of nothing: got %d", len(claims))
	}
	first, second := p.submit(t, intent(0), shard(0, 3), shard(5, 4)), p.submit(t, intent(10), shard(2, 1))
	claims := p.claim(t, ordinary, 2, morning.Add(time.Second))
	if len(claims) != 2 || claims[0].Message.ID != first.ID || claims[1].Shard.Number != 5 || claims[0].Fence >= claims[1].Fence {
		t.Fatalf("got %+v, want both shards of the first message", claims)
	}
	if d := diffPost(first.Intent, *claims[0].Message); d != "" {
		t.Errorf("intent (-want +got):\n%s", d)
	}
	if d := diffPost(shard(0, 3), claims[0].Shard); d != "" {
		t.Errorf("shard (-want +got):\n%s", d)
	}
	if claims := p.claim(t, ordinary, 2, morning.Add(time.Second)); len(claims) != 1 || claims[0].Message.ID != second.ID {
		t.Errorf("got %+v, want the second message", claims)
	}
	if claims := p.claim(t, ordinary, 2, morning.Add(time.Second)); len(claims) != 0 {
		t.Errorf("all are held: got %+v", claims)
	}
}

// testLease has a holder overtaken by another.
func (p *post) testLease(t *testing.T) {
	m := p.submit(t, intent(0), shard(0, 2))
	one := p.claim(t, ordinary, 1, morning.Add(time.Second))[0]
	renewed := finish(one, outbox.Pending)
	renewed.Release, renewed.Until = false, morning.Add(2*time.Minute)
	p.check(t, morning.Add(time.Minute), renewed)
	if claims := p.claim(t, ordinary, 1, morning.Add(119*time.Second)); len(claims) != 0 {
		t.Errorf("got %+v, want nothing while it is held", claims)
	}
	claims := p.claim(t, ordinary, 1, morning.Add(2*time.Minute))
	if len(claims) != 1 || claims[0].Fence <= one.Fence {
		t.Fatalf("got %+v, want the shard with a greater fence than %d", claims, one.Fence)
	}
	two := claims[0]
	late := finish(one, outbox.Rejected)
	done := finish(two, outbox.Accepted)
	checked, err := p.Checkpoint(t.Context(), []outbox.Progress{late, done, done}, morning.Add(2*time.Minute))
	if err != nil || len(checked) != 3 || !errors.Is(checked[0].Err, outbox.ErrFenced) || checked[1].Err != nil || !errors.Is(checked[2].Err, outbox.ErrFenced) {
		t.Fatalf("got %+v, %v, want the first and the last refused", checked, err)
	}
	if s := checked[1].Status; s.State != outbox.StateDone || s.Counts.Receipts != (outbox.Tally{outbox.Accepted: 2}) {
		t.Errorf("got %+v, want it done", s)
	}
	m.Status = checked[1].Status
	p.twice(t, func(t *testing.T) { p.wantMessage(t, m) })
}

func (p *post) testQueues(t *testing.T) {
	queues := []outbox.Queue{{Lane: outbox.Urgent, App: 2}, {Lane: outbox.Ordinary, App: 1}, {Lane: outbox.Ordinary, App: 1 << 31}, {Lane: outbox.Campaign, App: 1}}
	for n, q := range queues {
		i := intent(n)
		i.Lane, i.App = q.Lane, q.App
		p.submit(t, i, shard(audience.Chunk(n), 1))
	}
	now := morning.Add(time.Second)
	p.twice(t, func(t *testing.T) {
		got, _, err := p.Ready(t.Context(), now)
		if d := cmp.Diff(queues, got); err != nil || d != "" {
			t.Errorf("ready: %v (-want +got)\n%s", err, d)
		}
		for n, q := range queues {
			if claims := p.claim(t, q, 9, now); len(claims) != 1 || claims[0].Shard.Number != uint32(n) {
				t.Errorf("queue %+v: got %+v, want shard %d", q, claims, n)
			}
		}
		if got, next, err := p.Ready(t.Context(), now); len(got) != 0 || !next.Equal(now.Add(time.Minute)) || err != nil {
			t.Errorf("all are held: got %v, next at %v, %v", got, next, err)
		}
	})
}

func (p *post) testCheckpoint(t *testing.T) {
	m := p.submit(t, intent(0), shard(0, 4), shard(1, 1))
	claims := p.claim(t, ordinary, 2, morning.Add(time.Second))
	c := claims[0]
	part := finish(c, outbox.Pending)
	part.Receipts.Set(2, outbox.Accepted)
	part.Receipts.Set(1, outbox.Rejected)
	part.Failures = []outbox.Failure{{Rank: 1, Status: 410, Reason: apns.Unregistered, At: morning, ID: "id"}}
	part.Release, part.Until = false, morning.Add(time.Hour)
	s := p.check(t, morning, part)
	if s.Counts.Receipts != (outbox.Tally{3, 1, 1, 0}) || s.Counts.Reasons[apns.Unregistered] != 1 || s.State != outbox.StateSending {
		t.Errorf("got %+v", s)
	}
	rest := finish(c, outbox.Expired)
	rest.Receipts.Set(2, outbox.Accepted)
	rest.Receipts.Set(1, outbox.Rejected)
	other := finish(claims[1], outbox.Rejected)
	other.Failures = []outbox.Failure{{Reason: outbox.NoDeviceToken, At: morning}}
	checked, err := p.Checkpoint(t.Context(), []outbox.Progress{rest, other}, morning)
	if err != nil || checked[0].Err != nil || checked[1].Err != nil {
		t.Fatalf("got %+v, %v", checked, err)
	}
	m.Status = checked[1].Status
	if m.State != outbox.StateDone || m.Counts.Receipts != (outbox.Tally{0, 1, 2, 2}) || checked[0].Status.State != outbox.StateSending {
		t.Errorf("got %+v", checked)
	}
	foreign := finish(c, outbox.Accepted)
	foreign.Fence = c.Fence
	if checked, err := p.Checkpoint(t.Context(), []outbox.Progress{foreign}, morning); err != nil || !errors.Is(checked[0].Err, outbox.ErrFenced) {
		t.Errorf("after it was released: got %+v, %v, want ErrFenced", checked, err)
	}
	failures := []outbox.ShardFailure{{Shard: 0, Failure: part.Failures[0]}, {Shard: 1, Failure: other.Failures[0]}}
	p.twice(t, func(t *testing.T) {
		p.wantMessage(t, m)
		got, err := p.Failures(t.Context(), m.ID, outbox.FailureAt{}, 9)
		if d := diffPost(failures, got); err != nil || d != "" {
			t.Errorf("failures: %v (-want +got)\n%s", err, d)
		}
		if got, err := p.Failures(t.Context(), m.ID, failures[0].At(), 9); err != nil || len(got) != 1 || got[0].Shard != 1 {
			t.Errorf("after the first: got %+v, %v", got, err)
		}
		shards, err := p.Shards(t.Context(), m.ID, 0, 9)
		if err != nil || len(shards) != 2 || string(shards[0].Receipts.Bytes()) != string(rest.Receipts.Bytes()) {
			t.Errorf("shards: got %+v, %v", shards, err)
		}
		if got, _, err := p.Ready(t.Context(), morning.Add(time.Hour)); len(got) != 0 || err != nil {
			t.Errorf("ready: got %v, %v, want nothing", got, err)
		}
	})
}

func (p *post) testPasses(t *testing.T) {
	p.submit(t, intent(0), shard(0, 2))
	now := morning
	for pass := range 3 {
		if q, next, err := p.Ready(t.Context(), now.Add(-time.Second)); pass > 0 && (len(q) != 0 || next.IsZero() || err != nil) {
			t.Errorf("before pass %d: got %v, next at %v, %v", pass, q, next, err)
		}
		claims := p.claim(t, ordinary, 1, now.Add(time.Millisecond))
		if len(claims) != 1 || claims[0].Shard.Pass != pass {
			t.Fatalf("got %+v, want pass %d", claims, pass)
		}
		progress := finish(claims[0], outbox.Pending)
		now = now.Add(time.Minute)
		progress.Next = now
		p.check(t, now, progress)
		if p.again != nil && pass == 1 {
			p.Store = p.again(true)
		}
	}
}
