package event

import (
	"fmt"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/provider/account"
	"github.com/heraldpush/herald/provider/audience"
	"github.com/heraldpush/herald/provider/outbox"
)

// Message is the body of the events of a message, whose ID is the Subject.
type Message struct {
	// State is that which the message is in now.
	State string `json:"state"`
	// Why says why it is paused or failed; empty otherwise.
	Why  string `json:"why,omitempty"`
	Lane string `json:"lane"`
	Counts
}

// Counts says how many of the installations that a message is for, or of the device
// tokens that it was given, are in which case.
type Counts struct {
	Targeted int `json:"targeted"`
	Pending  int `json:"pending"`
	Accepted int `json:"accepted"`
	Rejected int `json:"rejected"`
	Expired  int `json:"expired"`
	// Reasons counts the rejections by their reason.
	Reasons map[apns.Reason]int `json:"reasons,omitempty"`
}

// FewTargets is how many targets a message has at most whose end is told only if
// there is something to be said: those are notifications one by one, of which there
// may be thousands a second, and who sent one asks for its receipt.
const FewTargets = 16

// Worth reports whether the end of a message is told: it is for a tag or everybody, or
// has more than FewTargets, or not all of them accepted it.
func Worth(m *outbox.Message) bool {
	return m.Open() || m.Counts.Targeted > FewTargets || m.State != outbox.StateDone ||
		m.Counts.Receipts[outbox.Accepted] != m.Counts.Targeted
}

// OfTurns returns the events of what happened to a message and is to be told.
func OfTurns(app account.AppID, m *outbox.Message) (all []Event, err error) {
	for _, t := range m.Untold {
		kind := MessageStarted
		switch t.Kind {
		case outbox.Started:
		case outbox.Paused:
			kind = MessagePaused
		case outbox.Resumed:
			kind = MessageResumed
		default:
			return nil, fmt.Errorf("event of message %v: turn %d is not known", m.ID, t.Kind)
		}
		e, err := OfMessage(app, kind, m, t.At)
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return all, nil
}

// OfMessage returns the event that something happened to a message, which is as it
// is after that. It started and it ended once, and is paused and resumed once at a time;
// those are the same event whenever they are told.
func OfMessage(app account.AppID, kind Kind, m *outbox.Message, at time.Time) (Event, error) {
	id := derivedID(string(kind), m.ID.String())
	if kind == MessagePaused || kind == MessageResumed {
		id = derivedID(string(kind), m.ID.String(), at.UTC().Format(time.RFC3339Nano))
	}
	r := m.Counts.Receipts
	return newEvent(id, at, app, kind, m.ID.String(), Message{
		State: m.State.String(), Why: m.Why, Lane: m.Lane.String(),
		Counts: Counts{
			Targeted: m.Counts.Targeted, Pending: r[outbox.Pending], Accepted: r[outbox.Accepted],
			Rejected: r[outbox.Rejected], Expired: r[outbox.Expired], Reasons: m.Counts.Reasons,
		},
	})
}

// OfEnd returns the event that a message has ended.
func OfEnd(app account.AppID, m *outbox.Message) (Event, error) {
	switch m.State {
	case outbox.StateDone:
		return OfMessage(app, MessageDone, m, m.EndedAt)
	case outbox.StateCancelled:
		return OfMessage(app, MessageCancelled, m, m.EndedAt)
	case outbox.StateExpired:
		return OfMessage(app, MessageExpired, m, m.EndedAt)
	case outbox.StateFailed:
		return OfMessage(app, MessageFailed, m, m.EndedAt)
	case outbox.StateScheduled, outbox.StateSnapshotting, outbox.StateSending, outbox.StatePaused:
	}
	return Event{}, fmt.Errorf("event of the end of %v, which is %v", m.ID, m.State)
}

// Restored is the body of DeviceTokenRestored. The Subject is the message whose
// answers are not believed.
type Restored struct {
	// DeviceTokens is how many are pushed to again.
	DeviceTokens int `json:"device_tokens"`
}

// OfRestored returns the event that device tokens are pushed to again that a message
// took.
func OfRestored(app account.AppID, m outbox.MessageID, deviceTokens int, at time.Time) (Event, error) {
	return newEvent(newID(), at, app, DeviceTokenRestored, m.String(), Restored{deviceTokens})
}

// DeviceTokens is the body of DeviceTokenGone and DeviceTokenQuarantined. The
// Subject is the message whose answers said so.
type DeviceTokens struct {
	DeviceTokens []DeviceToken `json:"device_tokens"`
}

// MaxDeviceTokens is how many an event lists.
const MaxDeviceTokens = 64

// DeviceToken is a device token that came to be worse, by whose it is.
type DeviceToken struct {
	Installation audience.InstallationID `json:"installation"`
	Kind         audience.Kind           `json:"kind"`
	Name         string                  `json:"name,omitempty"`
	Environment  apns.Environment        `json:"environment"`
	Reason       apns.Reason             `json:"reason"`
	At           time.Time               `json:"at"`
}

// Judged is a ruling on a device token of an installation.
type Judged struct {
	Installation audience.InstallationID
	audience.Ruling
}

// IsWorse reports whether a ruling is worth an event: the device token is Gone or
// Quarantined now, and was not.
func IsWorse(r *audience.Ruling) bool {
	return r.After.State != r.Standing.State && r.After.State != audience.Active
}

// OfDeviceTokens returns the events that tell of rulings that are worth it: by the
// state, the message and the order of all.
func OfDeviceTokens(app account.AppID, all []Judged, at time.Time) ([]Event, error) {
	type group struct {
		state   audience.State
		message [16]byte
	}
	var order []group
	lists := make(map[group][]DeviceToken)
	for _, j := range all {
		if !IsWorse(&j.Ruling) {
			continue
		}
		g := group{j.After.State, j.After.JudgedBy}
		if lists[g] == nil {
			order = append(order, g)
		}
		lists[g] = append(lists[g], DeviceToken{
			Installation: j.Installation, Kind: j.Kind, Name: j.Name, Environment: j.Environment,
			Reason: j.After.Reason, At: j.After.ReasonAt,
		})
	}
	var events []Event
	for _, g := range order {
		kind := DeviceTokenGone
		if g.state == audience.Quarantined {
			kind = DeviceTokenQuarantined
		}
		for list := lists[g]; len(list) > 0; {
			n := min(len(list), MaxDeviceTokens)
			e, err := newEvent(newID(), at, app, kind, outbox.MessageID(g.message).String(), DeviceTokens{list[:n]})
			if err != nil {
				return nil, err
			}
			events, list = append(events, e), list[n:]
		}
	}
	return events, nil
}
