package outbox

import (
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/provider/audience"
)

// Lane is how much in a hurry a message is. Each is taken from before those
// after it, and has pushes in flight that those after it cannot use up.
type Lane uint8

// The lanes.
const (
	// Urgent is for what somebody waits for, such as a login code.
	Urgent Lane = iota
	// Ordinary is for some recipients.
	Ordinary
	// Campaign is for many: a tag, or everybody.
	Campaign
)

// Lanes lists them, for loops.
var Lanes = [...]Lane{Urgent, Ordinary, Campaign}

// String returns the word for l in the API.
func (l Lane) String() string {
	switch l {
	case Urgent:
		return "urgent"
	case Ordinary:
		return "ordinary"
	case Campaign:
		return "campaign"
	}
	return "unknown"
}

// State is what a message is going through.
type State uint8

// The states. The last four are the end.
const (
	// StateScheduled waits for StartAt.
	StateScheduled State = iota + 1
	// StateSnapshotting is sent while its audience is still being frozen.
	StateSnapshotting
	// StateSending is sent.
	StateSending
	// StatePaused is not sent; Why says why.
	StatePaused
	// StateDone has a receipt for every member.
	StateDone
	// StateCancelled was ended by its sender. Who has no receipt was not sent it.
	StateCancelled
	// StateExpired was paused or scheduled past its deadline.
	StateExpired
	// StateFailed cannot be sent; Why says why.
	StateFailed
)

// String returns the word for s in the API.
func (s State) String() string {
	switch s {
	case StateScheduled:
		return "scheduled"
	case StateSnapshotting:
		return "snapshotting"
	case StateSending:
		return "sending"
	case StatePaused:
		return "paused"
	case StateDone:
		return "done"
	case StateCancelled:
		return "cancelled"
	case StateExpired:
		return "expired"
	case StateFailed:
		return "failed"
	}
	return "unknown"
}

// Running reports whether the shards of a message in this state may be claimed.
func (s State) Running() bool { return s == StateSnapshotting || s == StateSending }

// Ended reports whether nothing comes after s.
func (s State) Ended() bool { return s >= StateDone }

// Intent is what a message is to do. It never changes.
type Intent struct {
	ID   MessageID
	App  audience.AppNumber
	Lane Lane
	// Notification is what is sent. Its ID is empty, so that each device token has
	// its own (see NotificationID), or that of the sender, if there is one device
	// token.
	Notification apns.Notification
	// Use says which device tokens of the members it goes to.
	Use audience.Use
	// Tag and Everybody are whom it is for, if that is to be frozen; if neither is
	// set, the shards came with the message.
	Tag       string
	Everybody bool
	// StartAt is when it is to be sent; the zero time is at once.
	StartAt time.Time
	// Deadline is when sending is given up. Required.
	Deadline time.Time
	// TraceParent is the traceparent (W3C Trace Context) of the request that it came
	// with; empty if that had none.
	TraceParent string
}

// Open reports whether the audience of i is to be frozen.
func (i *Intent) Open() bool { return i.Tag != "" || i.Everybody }

// Status is how far a message has come.
type Status struct {
	State State
	// Why says why it is paused or failed: WhyAsked, WhyFuse, or in words.
	Why string
	// Frozen reports whether all shards are there. Until then, Next is the chunk
	// that freezing goes on with, and Below bounds the ordinals that it looks at:
	// who registers later is not meant.
	Frozen bool
	Next   audience.Chunk
	Below  audience.Ordinal
	Counts Counts
	// Fuse has blown: what the answers to this message did to device tokens is to
	// be undone.
	Fuse Fuse
	// EndedAt is when it came to its end.
	EndedAt time.Time
	// Untold is what happened to it and is to be told, as it came; see Turn.
	Untold []Turn
}

// Why a message is paused.
const (
	WhyAsked = "asked"
	WhyFuse  = "fuse"
)

// Counts says how many members of a message are in which case.
type Counts struct {
	Targeted int
	// Receipts are those of all members.
	Receipts Tally
	// Reasons counts the failures by their reason.
	Reasons map[apns.Reason]int
}

// Message is a message, and how far it has come.
type Message struct {
	Intent
	Status
}

// Begin returns the status of a message that is being submitted with so many
// members in its shards.
func (i *Intent) Begin(members int, now time.Time) Status {
	s := Status{State: StateScheduled, Frozen: !i.Open(), Counts: Counts{Targeted: members, Receipts: Tally{Pending: members}}}
	if i.StartAt.After(now) {
		return s
	}
	return s.started(now)
}

// Alarm returns when a message needs to be looked at by itself: when its time
// comes, to go on freezing its audience, or when it has been paused for too
// long. It is zero if it does not.
func (m *Message) Alarm() time.Time {
	switch m.State {
	case StateScheduled, StateSnapshotting:
		if m.StartAt.IsZero() {
			return m.ID.Time()
		}
		return m.StartAt
	case StatePaused:
		return m.Deadline
	case StateSending, StateDone, StateCancelled, StateExpired, StateFailed:
	}
	return time.Time{}
}
