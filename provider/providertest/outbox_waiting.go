package providertest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/provider/outbox"
)

func (p *post) testWaiting(t *testing.T) {
	urgent := outbox.Queue{Lane: outbox.Urgent, App: 2}
	second, first, hurry := intent(1), intent(0), intent(2)
	hurry.Lane, hurry.App = urgent.Lane, urgent.App
	for _, i := range []outbox.Intent{second, first, hurry} {
		p.submit(t, i, shard(0, 1), shard(1, 1))
	}
	now := morning.Add(time.Minute)
	wants := func(t *testing.T, until time.Time, want map[outbox.Queue]outbox.MessageID) {
		t.Helper()
		got, err := p.Waiting(t.Context(), until)
		if d := cmp.Diff(want, got); err != nil || d != "" {
			t.Errorf("waiting: %v (-want +got)\n%s", err, d)
		}
	}
	p.twice(t, func(t *testing.T) {
		wants(t, now, map[outbox.Queue]outbox.MessageID{ordinary: first.ID, urgent: hurry.ID})
		wants(t, morning.Add(-time.Hour), map[outbox.Queue]outbox.MessageID{})
	})
	for _, c := range append(p.claim(t, ordinary, 4, now), p.claim(t, urgent, 2, now)...) {
		if c.Message.ID == second.ID {
			continue // it is held
		}
		progress := finish(c, outbox.Accepted)
		if c.Message.ID == hurry.ID {
			progress = finish(c, outbox.Pending)
			progress.Next = now.Add(time.Hour)
		}
		p.check(t, now, progress)
	}
	p.twice(t, func(t *testing.T) {
		wants(t, now, map[outbox.Queue]outbox.MessageID{ordinary: second.ID})
		wants(t, now.Add(time.Hour), map[outbox.Queue]outbox.MessageID{ordinary: second.ID, urgent: hurry.ID})
	})
}
