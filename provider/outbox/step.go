package outbox

import (
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/provider/audience"
)

// ErrState is in the chain of the error for an event that is not possible in the
// state that the message is in.
var ErrState = errors.New("not possible in this state")

// Event is something that happens to a message: one of the types Start, Bound,
// Extend, Answered, Pause, Resume, Cancel, Overdue, Fail and Told.
type Event interface {
	step(m *Message, now time.Time) (Status, bool)
}

// The events.
type (
	// Start comes when it is time to send.
	Start struct{}
	// Bound says whom freezing looks at: the ordinals below Below. It comes once,
	// before the first Extend.
	Bound struct{ Below audience.Ordinal }
	// Extend adds shards with so many members; freezing goes on with chunk Next,
	// or is Done.
	Extend struct {
		Members int
		Next    audience.Chunk
		Done    bool
	}
	// Answered says how the receipts have changed, and how many failures there were
	// besides of each reason. It is taken in every state, as what was in flight is
	// answered whatever happens to the message.
	Answered struct {
		Change  Tally
		Reasons map[apns.Reason]int
	}
	// Pause stops sending until Resume.
	Pause struct{ Why string }
	// Resume goes on, with a new fuse.
	Resume struct{}
	// Cancel ends it.
	Cancel struct{}
	// Overdue comes when the deadline has passed.
	Overdue struct{}
	// Fail ends it, as it cannot be sent.
	Fail struct{ Why string }
)

// Step returns the status of m after an event at the time now. The error wraps
// ErrState and says what was not possible; the status is then as it was.
func (m *Message) Step(e Event, now time.Time) (Status, error) {
	s, ok := e.step(m, now.UTC().Round(0))
	if !ok {
		return m.Status, fmt.Errorf("message %v is %v: %w", m.ID, m.State, ErrState)
	}
	return s, nil
}

// started returns s as its message begins, or goes on, to be sent.
func (s Status) started(now time.Time) Status {
	s.State, s.Why = StateSending, ""
	if !s.Frozen {
		s.State = StateSnapshotting
	}
	return s.checked(now)
}

// checked returns s, ended if there is nothing left to do.
func (s Status) checked(now time.Time) Status {
	if s.State == StateSending && s.Counts.Receipts[Pending] == 0 {
		return s.ended(StateDone, "", now)
	}
	return s
}

func (s Status) ended(state State, why string, now time.Time) Status {
	s.State, s.Why, s.EndedAt = state, why, now
	return s
}

func (Start) step(m *Message, now time.Time) (Status, bool) {
	return m.started(now).turned(Started, now), m.State == StateScheduled
}

func (e Bound) step(m *Message, now time.Time) (Status, bool) {
	s := m.Status
	s.Below = e.Below
	return s.turned(Started, now), m.State == StateSnapshotting && m.Below == 0
}

func (e Extend) step(m *Message, now time.Time) (Status, bool) {
	s := m.Status
	s.Counts.Targeted += e.Members
	s.Counts.Receipts[Pending] += e.Members
	if s.Next = e.Next; e.Done {
		s.Frozen, s.State = true, StateSending
		if m.Below == 0 { // nobody was there when it began
			s = s.turned(Started, now)
		}
	}
	return s.checked(now), m.State == StateSnapshotting && e.Members >= 0 && e.Next >= m.Next
}

func (e Answered) step(m *Message, now time.Time) (Status, bool) {
	s := m.Status
	for i, n := range e.Change {
		s.Counts.Receipts[i] += n
	}
	if len(e.Reasons) > 0 {
		s.Counts.Reasons = maps.Clone(s.Counts.Reasons)
		if s.Counts.Reasons == nil {
			s.Counts.Reasons = make(map[apns.Reason]int)
		}
		for reason, n := range e.Reasons {
			s.Counts.Reasons[reasonWithin(s.Counts.Reasons, reason)] += n
		}
	}
	s.Fuse = s.Fuse.after(e)
	if s.Fuse.Blown && s.State.Running() {
		s.State, s.Why = StatePaused, WhyFuse
		s = s.turned(Paused, now)
	}
	return s.checked(now), true
}

// maxReasons bounds the reasons that are counted apart: the words come from the
// gateway.
const maxReasons = 64

// OtherReason stands for the reasons that are not counted apart.
const OtherReason apns.Reason = "other"

func reasonWithin(known map[apns.Reason]int, r apns.Reason) apns.Reason {
	if _, ok := known[r]; ok || len(known) < maxReasons {
		return r
	}
	return OtherReason
}

func (e Pause) step(m *Message, now time.Time) (Status, bool) {
	s := m.Status
	s.State, s.Why = StatePaused, e.Why
	return s.turned(Paused, now), m.State.Running() || m.State == StateScheduled
}

func (Resume) step(m *Message, now time.Time) (Status, bool) {
	s := m.Status
	s.Fuse = Fuse{}
	if m.StartAt.After(now) {
		s.State, s.Why = StateScheduled, ""
	} else {
		s = s.started(now)
	}
	return s.turned(Resumed, now), m.State == StatePaused
}

func (Cancel) step(m *Message, now time.Time) (Status, bool) {
	return m.ended(StateCancelled, "", now), !m.State.Ended()
}

func (Overdue) step(m *Message, now time.Time) (Status, bool) {
	state := StateExpired
	if m.Frozen && m.Counts.Receipts[Pending] == 0 {
		state = StateDone
	}
	return m.ended(state, "", now), !m.State.Ended() && !now.Before(m.Deadline)
}

func (e Fail) step(m *Message, now time.Time) (Status, bool) {
	return m.ended(StateFailed, e.Why, now), !m.State.Ended()
}

// Fuse watches for a wave of bad device tokens. One or the other is the device's
// fault; many are the sender's, who has the wrong environment or credential, and
// then nothing that the answers say of device tokens is to be believed.
type Fuse struct {
	// Answers counts those that were accepted or rejected, Bad those of them that
	// called the device token bad, or another app's. Both count from the last
	// Resume.
	Answers, Bad int
	// Blown is kept until the next Resume.
	Blown bool
}

// When a fuse blows: with more than one bad device token in fuseShare answers,
// once there are fuseAnswers.
const (
	fuseAnswers = 100
	fuseShare   = 20
)

// IsBad reports whether a reason is one that a Fuse counts: it says of the device
// token what would be said of all if the mistake were the sender's.
func IsBad(r apns.Reason) bool { return r == apns.BadDeviceToken || r == apns.DeviceTokenNotForTopic }

func (f Fuse) after(e Answered) Fuse {
	f.Answers += e.Change[Accepted] + e.Change[Rejected]
	for r, n := range e.Reasons {
		if IsBad(r) {
			f.Bad += n
		}
	}
	f.Blown = f.Blown || f.Answers >= fuseAnswers && f.Bad*fuseShare > f.Answers
	return f
}
