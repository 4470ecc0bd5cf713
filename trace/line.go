package trace

import (
	"fmt"
	"time"

	"github.com/heraldpush/herald/apns"
)

// Line is one hop of one notification. Fields that a hop has no use for are
// zero.
type Line struct {
	// Hop is what happened.
	Hop Hop
	// Time is when. For Record zero means now.
	Time time.Time
	// ID is the apns-id, or of a broadcast the apns-request-id; empty if there is
	// none. For Record it must be valid, in either letter case; the text may be
	// borrowed. What is read is in lower case.
	ID apns.NotificationID
	// Address is the device, topic and environment, as far as they are known.
	Address apns.Address
	// Status is the HTTP status of an answer, or that of an acknowledgement
	// (docs/protocol/courier.md#ack).
	Status uint16
	// Reason is why the gateway refuses.
	Reason apns.Reason
	// Other is the notification that took the place of this one.
	Other apns.NotificationID
	// Connection is the number of the connection it came or went by, which
	// counts from 1 at each start of a door.
	Connection uint64
	// Message is the message id on that connection; with Tried the number of the
	// attempt.
	Message uint32
	// WasStored reports that the device was told that it had been stored.
	WasStored bool
	// Until is when a stored one expires, to the second.
	Until time.Time
	// Derived reports that nobody wrote this line: it follows from others.
	Derived bool
}

// Sentence says what happened, for people: without a full stop, and without the
// time.
func (l *Line) Sentence() string {
	switch l.Hop {
	case Accepted:
		return "the gateway accepted it with status 200" + l.by()
	case Refused:
		return "the gateway refused it with status " + l.refusal() + l.by()
	case Stored:
		return "the spool stored it" + l.until()
	case Passed:
		return "the spool passed it on, as it is not to be stored"
	case Missed:
		return "it was not to be stored, and could not go to the device at once: that was the end of it"
	case Repeat:
		return "the spool had taken it before, and did nothing"
	case Ignored:
		return "the device ignores the topic: that was the end of it"
	case Replaced:
		return "a newer one of the same topic took its place" + l.other()
	case Expired:
		return "it expired before the device had it"
	case Dropped:
		return "it was not stored, and the device did not take it in time: that was the end of it"
	case Overloaded:
		return "the spool was full"
	case TakenBack:
		return "the device went without a word about it: it waits again"
	case Handed:
		return l.handed()
	case Acked:
		return "the device acknowledged it: " + l.ack()
	case Tried:
		return l.tried()
	case Processed:
		return fmt.Sprintf("the device was done with it: status %d", l.Status)
	}
	return "something that this version has no word for: " + l.Hop.String()
}

func (l *Line) by() string {
	if l.Connection == 0 {
		return ""
	}
	return fmt.Sprintf(", on connection %d", l.Connection)
}

func (l *Line) refusal() string {
	if l.Reason == "" {
		return fmt.Sprint(l.Status)
	}
	return (&apns.Rejection{Status: int(l.Status), Reason: l.Reason}).Error()
}

func (l *Line) until() string {
	if l.Until.IsZero() {
		return ""
	}
	return ", until " + l.Until.UTC().Format("2006-01-02 15:04:05 UTC")
}

func (l *Line) other() string {
	if l.Other == "" {
		return ""
	}
	return ": " + string(l.Other)
}

func (l *Line) handed() string {
	stored := ""
	if l.WasStored {
		stored = ", marked as stored"
	}
	return fmt.Sprintf("the courier handed it to device %d as message %d%s%s", l.Address.Device, l.Message, l.by(), stored)
}

func (l *Line) tried() string {
	attempt := fmt.Sprintf("the provider sent it%s, attempt %d: ", l.by(), l.Message)
	switch {
	case l.Status == 0:
		return attempt + "there was no answer"
	case l.Reason == "" && l.Status == 200:
		return attempt + "the gateway accepted it with status 200"
	}
	return attempt + "the gateway refused it with status " + l.refusal()
}

// acks say what the statuses of acknowledgements mean
// (docs/protocol/courier.md#ack).
var acks = map[uint16]string{
	ackOK:          "it has it",
	2:              "it does not know the device token",
	3:              "it cannot read the payload",
	6:              "it ignores the topic",
	7:              "it does not know the topic, or had it before",
	ackUnavailable: "it cannot take it now",
}

// Statuses of an acknowledgement that a story turns on.
const (
	ackOK          = 0
	ackUnavailable = 11
)

func (l *Line) ack() string {
	if words, ok := acks[l.Status]; ok {
		return fmt.Sprintf("%s (status %d)", words, l.Status)
	}
	return fmt.Sprintf("status %d", l.Status)
}
