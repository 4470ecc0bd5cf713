package event_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/heraldpush/herald/provider/event"
)

func TestStep(t *testing.T) {
	fresh := event.Progress{State: event.Active, Cursor: 10}
	failing := event.Progress{
		State: event.Active, Cursor: 10, Batch: 12, Failures: 3, FailingSince: at.Add(-time.Minute), Next: at,
		LastStatus: 500, LastError: "answered 500", Term: 2, Delivered: 7,
	}
	with := func(p event.Progress, change func(*event.Progress)) event.Progress {
		change(&p)
		return p
	}
	store, tell := event.Effects{Store: true}, event.Effects{Store: true, Tell: true}
	for name, tt := range map[string]struct {
		before  event.Progress
		happens event.Happening
		want    event.Progress
		effects event.Effects
	}{
		"taken": {
			failing,
			event.Taken{Through: 12, Events: 2},
			event.Progress{State: event.Active, Cursor: 12, DeliveredAt: at, Delivered: 9, LastStatus: 500, LastError: "answered 500", Term: 2},
			store,
		},
		"first failure": {
			fresh,
			event.Failed{Through: 11, Err: "no answer", Spread: 0.5},
			with(fresh, func(p *event.Progress) {
				p.Batch, p.Failures, p.FailingSince, p.Next, p.LastError = 11, 1, at, at.Add(5*time.Second), "no answer"
			}), store,
		},
		"another failure": {
			failing,
			event.Failed{Through: 12, Status: 503, Err: "answered 503", Spread: 0},
			with(failing, func(p *event.Progress) {
				p.Failures, p.Next, p.LastStatus, p.LastError = 4, at.Add(32*time.Second), 503, "answered 503"
			}), store,
		},
		"asked to wait": {
			fresh,
			event.Failed{Through: 11, Status: 429, Err: "answered 429", Asked: 10 * time.Minute, Spread: 0.5},
			with(fresh, func(p *event.Progress) {
				p.Batch, p.Failures, p.FailingSince, p.Next, p.LastStatus, p.LastError = 11, 1, at, at.Add(10*time.Minute), 429, "answered 429"
			}), store,
		},
		"asked to wait for years": {
			fresh,
			event.Failed{Through: 11, Status: 429, Asked: 1 << 60, Spread: 1},
			with(fresh, func(p *event.Progress) {
				p.Batch, p.Failures, p.FailingSince, p.Next, p.LastStatus = 11, 1, at, at.Add(72*time.Minute), 429
			}), store,
		},
		"the last failure": {
			with(failing, func(p *event.Progress) { p.FailingSince = at.Add(-event.GiveUpAfter) }),
			event.Failed{Through: 12, Status: 500, Err: "answered 500"},
			with(failing, func(p *event.Progress) {
				p.FailingSince, p.Failures, p.State, p.Why, p.Next = at.Add(-event.GiveUpAfter), 4, event.Paused, event.WhyFailing, time.Time{}
			}), tell,
		},
		"gone": {
			fresh,
			event.Failed{Through: 11, Status: 410, Err: "answered 410"},
			with(fresh, func(p *event.Progress) {
				p.Batch, p.Failures, p.FailingSince, p.LastStatus, p.LastError = 11, 1, at, 410, "answered 410"
				p.State, p.Why = event.Paused, event.WhyGone
			}), tell,
		},
		"passed": {fresh, event.Passed{Through: 99}, with(fresh, func(p *event.Progress) { p.Cursor = 99 }), event.Effects{}},
		"lost": {
			failing,
			event.Lost{First: 13},
			with(failing, func(p *event.Progress) { p.Cursor, p.Missed, p.Batch = 12, 2, 0 }), store,
		},
		"lost nothing": {fresh, event.Lost{First: 11}, fresh, event.Effects{}},
		"paused": {
			failing,
			event.Pause{},
			event.Progress{State: event.Paused, Why: "asked", Cursor: 10, LastStatus: 500, LastError: "answered 500", Term: 3, Delivered: 7},
			store,
		},
		"resumed": {
			with(failing, func(p *event.Progress) { p.State, p.Why = event.Paused, event.WhyGone }),
			event.Resume{},
			event.Progress{State: event.Active, Cursor: 10, LastStatus: 500, LastError: "answered 500", Term: 3, Delivered: 7},
			store,
		},
		"replayed": {
			failing,
			event.Replay{After: 2},
			event.Progress{State: event.Active, Cursor: 2, LastStatus: 500, LastError: "answered 500", Term: 3, Delivered: 7},
			store,
		},
	} {
		got, effects := tt.before.Step(tt.happens, at)
		if d := cmp.Diff(tt.want, got); d != "" || effects != tt.effects {
			t.Errorf("%s: effects %+v, want %+v, progress (-want +got):\n%s", name, effects, tt.effects, d)
		}
	}
}

// Whatever happens, what is not taken is not passed over but by somebody's wish, and
// a webhook is never left alone for much more than an hour.
func TestStepRandom(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p, now := event.Progress{State: event.Active}, at
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(2*time.Hour)).Draw(rt, "pause")))
			through := p.Cursor + rapid.Uint64Range(1, 50).Draw(rt, "through")
			var h event.Happening
			moves := false
			switch rapid.IntRange(0, 6).Draw(rt, "what") {
			case 0:
				h, moves = event.Taken{Through: through, Events: 1}, true
			case 1, 2:
				h = event.Failed{
					Through: through, Status: rapid.SampledFrom([]int{0, 404, 410, 429, 503}).Draw(rt, "status"),
					Asked: time.Duration(rapid.Int64Min(0).Draw(rt, "asked")), Spread: rapid.Float64Range(0, 1).Draw(rt, "spread"),
				}
			case 3:
				h, moves = event.Lost{First: through}, true
			case 4:
				h = event.Pause{}
			case 5:
				h = event.Resume{}
			case 6:
				h, moves = event.Replay{After: rapid.Uint64Range(0, p.Cursor).Draw(rt, "after")}, true
			}
			after, effects := p.Step(h, now)
			switch {
			case !moves && after.Cursor != p.Cursor:
				rt.Fatalf("%+v moves the cursor from %d to %d", h, p.Cursor, after.Cursor)
			case after.Next.After(now.Add(event.MaxWait * 12 / 10)):
				rt.Fatalf("%+v: next at %v, it is %v", h, after.Next, now)
			case (after.State == event.Paused) != (after.Why != ""):
				rt.Fatalf("%+v: %s, because %q", h, after.State, after.Why)
			case effects.Tell && (!effects.Store || after.State != event.Paused):
				rt.Fatalf("%+v: effects %+v, state %s", h, effects, after.State)
			case after.Failures > 0 && after.State == event.Active && (after.Next.IsZero() || after.FailingSince.IsZero()):
				rt.Fatalf("%+v: %+v is not tried again", h, after)
			}
			if p = after; p.State == event.Paused && rapid.Bool().Draw(rt, "resume") {
				p, _ = p.Step(event.Resume{}, now)
			}
		}
	})
}
