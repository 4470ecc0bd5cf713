package outbox

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/provider/audience"
)

// answered returns an event by which so many that were pending were accepted, and
// so many rejected for a reason.
func answered(accepted, rejected int, reason apns.Reason) Answered {
	e := Answered{Change: Tally{Pending: -accepted - rejected, Accepted: accepted, Rejected: rejected}}
	if rejected > 0 {
		e.Reasons = map[apns.Reason]int{reason: rejected}
	}
	return e
}

// TestStep tells what a message goes through.
func TestStep(t *testing.T) {
	type step struct {
		e    Event
		want string // state, why and receipts, or "no"
	}
	later := noon.Add(time.Hour)
	tests := []struct {
		name    string
		intent  Intent
		members int
		begin   string
		steps   []step
	}{
		{"one", Intent{}, 1, "sending [1 0 0 0]", []step{
			{answered(1, 0, ""), "done [0 1 0 0]"},
			{Pause{WhyAsked}, "no"},
			{Cancel{}, "no"},
			{Overdue{}, "no"},
		}},
		{"nobody", Intent{}, 0, "done [0 0 0 0]", nil},
		{"a tag", Intent{Tag: "news"}, 0, "snapshotting [0 0 0 0]", []step{
			{Bound{100}, "snapshotting [0 0 0 0]"},
			{Bound{200}, "no"},
			{Extend{Members: 10, Next: 3}, "snapshotting [10 0 0 0]"},
			{Extend{Members: 10, Next: 2}, "no"}, // done before
			{answered(10, 0, ""), "snapshotting [0 10 0 0]"},
			{Extend{Members: 5, Next: 4, Done: true}, "sending [5 10 0 0]"},
			{Extend{Members: 5, Next: 5}, "no"},
			{answered(4, 1, apns.Unregistered), "done [0 14 1 0]"},
		}},
		{"a tag that nobody has", Intent{Tag: "news"}, 0, "snapshotting [0 0 0 0]", []step{
			{Extend{Done: true}, "done [0 0 0 0]"},
		}},
		{"later", Intent{StartAt: later}, 2, "scheduled [2 0 0 0]", []step{
			{Pause{WhyAsked}, "paused asked [2 0 0 0]"},
			{Resume{}, "scheduled [2 0 0 0]"},
			{Start{}, "sending [2 0 0 0]"},
			{Start{}, "no"},
		}},
		{"everybody, later", Intent{Everybody: true, StartAt: later}, 0, "scheduled [0 0 0 0]", []step{
			{Start{}, "snapshotting [0 0 0 0]"},
		}},
		{"paused", Intent{Tag: "news"}, 0, "snapshotting [0 0 0 0]", []step{
			{Extend{Members: 10, Next: 1}, "snapshotting [10 0 0 0]"},
			{Resume{}, "no"},
			{Pause{WhyAsked}, "paused asked [10 0 0 0]"},
			{Extend{Members: 10, Next: 2}, "no"},
			{answered(2, 0, ""), "paused asked [8 2 0 0]"}, // was in flight
			{Resume{}, "snapshotting [8 2 0 0]"},
		}},
		{"cancelled", Intent{}, 3, "sending [3 0 0 0]", []step{
			{Cancel{}, "cancelled [3 0 0 0]"},
			{answered(3, 0, ""), "cancelled [0 3 0 0]"},
			{Resume{}, "no"},
		}},
		{"overdue", Intent{Deadline: noon}, 3, "sending [3 0 0 0]", []step{
			{Pause{WhyAsked}, "paused asked [3 0 0 0]"},
			{Overdue{}, "expired [3 0 0 0]"},
		}},
		{"not overdue", Intent{Deadline: later}, 3, "sending [3 0 0 0]", []step{{Overdue{}, "no"}}},
		{"failed", Intent{}, 3, "sending [3 0 0 0]", []step{{Fail{"no credential"}, "failed no credential [3 0 0 0]"}}},
		{"a wave of bad device tokens", Intent{Deadline: noon}, 300, "sending [300 0 0 0]", []step{
			{answered(0, 99, apns.BadDeviceToken), "sending [201 0 99 0]"}, // too few to tell
			{answered(1, 0, ""), "paused fuse [200 1 99 0]"},
			{Resume{}, "sending [200 1 99 0]"},
			{answered(94, 5, apns.BadDeviceToken), "sending [101 95 104 0]"},
			{answered(0, 1, apns.BadDeviceToken), "paused fuse [100 95 105 0]"},
			{answered(100, 0, ""), "paused fuse [0 195 105 0]"},
			{Overdue{}, "done [0 195 105 0]"},
		}},
		{"a wave of another app's device tokens", Intent{}, 300, "sending [300 0 0 0]", []step{
			{answered(0, 100, apns.DeviceTokenNotForTopic), "paused fuse [200 0 100 0]"},
		}},
		{"many that are gone", Intent{}, 300, "sending [300 0 0 0]", []step{
			{answered(0, 200, apns.Unregistered), "sending [100 0 200 0]"},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := Message{Intent: tt.intent}
			m.Status = m.Begin(tt.members, noon)
			if got := describe(m); got != tt.begin {
				t.Errorf("begins %q, want %q", got, tt.begin)
			}
			for _, step := range tt.steps {
				s, err := m.Step(step.e, noon)
				got := "no"
				if err == nil {
					m.Status = s
					got = describe(m)
				} else if !errors.Is(err, ErrState) {
					t.Errorf("got %v, want ErrState", err)
				}
				if got != step.want {
					t.Errorf("after %T %+v: got %q, want %q", step.e, step.e, got, step.want)
				}
				if m.State.Ended() == m.EndedAt.IsZero() {
					t.Errorf("%v ended at %v", m.State, m.EndedAt)
				}
			}
		})
	}
}

func describe(m Message) string {
	text := m.State.String()
	if m.Why != "" {
		text += " " + m.Why
	}
	return text + fmt.Sprint(" ", m.Counts.Receipts)
}

// TestStepHolds checks what holds whatever happens: each member has one receipt,
// an end is one, and a message is done exactly if it is frozen and nobody is
// pending.
func TestStepHolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := Message{Intent: Intent{Deadline: noon.Add(time.Hour), Everybody: rapid.Bool().Draw(t, "everybody")}}
		members := 0
		if !m.Everybody {
			members = rapid.IntRange(0, 300).Draw(t, "members")
		}
		m.Status = m.Begin(members, noon)
		for range rapid.IntRange(1, 20).Draw(t, "events") {
			pending := m.Counts.Receipts[Pending]
			accepted := rapid.IntRange(0, pending).Draw(t, "accepted")
			rejected := rapid.IntRange(0, pending-accepted).Draw(t, "rejected")
			e := rapid.SampledFrom([]Event{
				Start{},
				Bound{audience.Ordinal(rapid.Uint32().Draw(t, "below"))},
				Extend{rapid.IntRange(0, 100).Draw(t, "more"), m.Next + 1, rapid.Bool().Draw(t, "done")},
				answered(accepted, rejected, apns.BadDeviceToken),
				Pause{WhyAsked},
				Resume{},
				Cancel{},
				Overdue{},
				Fail{"x"},
			}).Draw(t, "event")
			now := noon.Add(time.Duration(rapid.IntRange(0, 120).Draw(t, "minutes")) * time.Minute)
			s, err := m.Step(e, now)
			if _, isAnswer := e.(Answered); m.State.Ended() && (err == nil) != isAnswer {
				t.Fatalf("%T after the end: got %v", e, err)
			}
			if m.State.Ended() && s.State != m.State {
				t.Fatalf("%T made %v of %v", e, s.State, m.State)
			}
			m.Status = s
			sum := 0
			for _, n := range m.Counts.Receipts {
				sum += n
			}
			if sum != m.Counts.Targeted {
				t.Fatalf("after %T: got %d receipts for %d members", e, sum, m.Counts.Targeted)
			}
			if finished := m.Frozen && m.Counts.Receipts[Pending] == 0; m.State == StateDone && !finished || m.State == StateSending && finished {
				t.Fatalf("after %T: got %v with %v", e, m.State, m.Counts.Receipts)
			}
			if m.State.Running() && m.Fuse.Blown {
				t.Fatalf("after %T: got %v with a blown fuse", e, m.State)
			}
		}
	})
}

// TestReasonsAreBounded proves that a gateway cannot fill memory with words.
func TestReasonsAreBounded(t *testing.T) {
	m := Message{}
	m.Status = m.Begin(1000, noon)
	for n := range 1000 {
		s, err := m.Step(answered(0, 1, apns.Reason(fmt.Sprint("Reason", n))), noon)
		if err != nil {
			t.Fatal(err)
		}
		m.Status = s
	}
	if n, other := len(m.Counts.Reasons), m.Counts.Reasons[OtherReason]; n != maxReasons+1 || other != 1000-maxReasons {
		t.Errorf("got %d reasons and %d others", n, other)
	}
}

func TestAlarm(t *testing.T) {
	id := NewMessageID(noon)
	start, deadline := noon.Add(time.Hour), noon.Add(2*time.Hour)
	for state, want := range map[State]time.Time{
		StateScheduled: start, StateSnapshotting: start, StateSending: {}, StatePaused: deadline, StateDone: {}, StateFailed: {},
	} {
		m := Message{Intent{ID: id, StartAt: start, Deadline: deadline}, Status{State: state}}
		if got := m.Alarm(); !got.Equal(want) {
			t.Errorf("%v: got %v, want %v", state, got, want)
		}
	}
	m := Message{Intent{ID: id}, Status{State: StateSnapshotting}}
	if got := m.Alarm(); !got.Equal(noon) {
		t.Errorf("snapshotting at once: got %v, want %v", got, noon)
	}
}

func TestWait(t *testing.T) {
	for _, tt := range []struct {
		pass  int
		asked time.Duration
		want  time.Duration
	}{
		{-1, 0, time.Second},
		{0, 0, time.Second},
		{3, 0, 8 * time.Second},
		{3, time.Minute, time.Minute},
		{8, 0, 256 * time.Second},
		{9, 0, 5 * time.Minute},
		{1 << 40, 0, 5 * time.Minute},
		{0, 100 * time.Hour, time.Hour},
	} {
		for range 20 {
			if got := Wait(tt.pass, tt.asked); got < tt.want*8/10 || got > tt.want*12/10 || got < min(tt.asked, maxAsked) {
				t.Errorf("pass %d, asked for %v: got %v, want about %v", tt.pass, tt.asked, got, tt.want)
			}
		}
	}
}

func TestWords(t *testing.T) {
	var all []string
	for _, l := range Lanes {
		all = append(all, l.String())
	}
	for s := StateScheduled; s <= StateFailed; s++ {
		all = append(all, s.String())
	}
	for r := Pending; r <= Expired; r++ {
		all = append(all, r.String())
	}
	seen := map[string]bool{"unknown": true}
	for _, word := range all[:len(all)-4] {
		if seen[word] {
			t.Errorf("%q is used twice, or missing", word)
		}
		seen[word] = true
	}
	if Lane(9).String() != "unknown" || State(0).String() != "unknown" || Receipt(9).String() != "unknown" {
		t.Error("what is none has a word")
	}
}
