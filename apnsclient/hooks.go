package apnsclient

import (
	"fmt"
	"time"

	"github.com/heraldpush/herald/apns"
)

// Hooks are told what a Sender does. Each may be nil. They are called on the
// goroutines that serve all pushes, so they must not block, and not call the
// Sender. Package apnsprom makes metrics for Prometheus of them.
type Hooks struct {
	// Attempt is called when an attempt at a push has ended.
	Attempt func(Attempt)
	// Connection is called when something happened to a connection.
	Connection func(ConnectionEvent)
}

// Attempt is one try at a push, and how it ended. A push that never got onto a
// connection has none.
type Attempt struct {
	// ID is the apns-id of the push.
	ID apns.NotificationID
	// Topic is the topic of the push; empty if it was left to the certificate.
	Topic apns.Topic
	// PushType is the push type.
	PushType apns.PushType
	// Number counts the attempts at this push, from 1.
	Number int
	// Connection is the number of the connection, see ConnectionEvent.
	Connection uint64
	// Duration is the time from handing it to the connection to its end.
	Duration time.Duration
	// Status is the HTTP status, 0 without an answer.
	Status int
	// Reason is why it was refused; empty if it was not.
	Reason apns.Reason
	// Outcome is what OutcomeOf says of Err.
	Outcome Outcome
	// Retried says that the push is going to be tried again.
	Retried bool
	// Err is how it ended, nil if it was accepted.
	Err error
}

// ConnectionEventKind is what happened to a connection.
type ConnectionEventKind uint8

// What can happen to a connection.
const (
	// Opened: it is made, and the gateway's SETTINGS have come.
	Opened ConnectionEventKind = iota + 1
	// Failed: it could not be made.
	Failed
	// LimitChanged: the gateway changed how many pushes it takes at a time.
	LimitChanged
	// GoingAway: it takes no more pushes; those on it are still answered.
	GoingAway
	// Closed: it has ended.
	Closed
)

// String returns the kind in lower case, such as "going away".
func (k ConnectionEventKind) String() string {
	switch k {
	case Opened:
		return "opened"
	case Failed:
		return "failed"
	case LimitChanged:
		return "limit changed"
	case GoingAway:
		return "going away"
	case Closed:
		return "closed"
	}
	return fmt.Sprintf("ConnectionEventKind(%d)", uint8(k))
}

// ConnectionEvent is something that happened to a connection.
type ConnectionEvent struct {
	// Kind is what happened.
	Kind ConnectionEventKind
	// Connection numbers the connections of a Sender, from 1. A failed one has
	// a number of its own.
	Connection uint64
	// Address is the peer's, "ip:port"; empty where it is not known.
	Address string
	// Limit is how many pushes the gateway takes at a time on it.
	Limit int
	// Reason is the one in the gateway's GOAWAY; empty if it gave none.
	Reason apns.Reason
	// Duration is how long it took to make an Opened or Failed one, and how
	// long a Closed one has lived.
	Duration time.Duration
	// Err is why it Failed or Closed; nil where it was closed in good order.
	Err error
}

// Stats is the state of a Sender at one moment.
type Stats struct {
	// Connections is how many connections take pushes.
	Connections int
	// Streams is how many pushes these take at a time, as the gateway says now.
	Streams int
	// InFlight is how many pushes wait for their answer.
	InFlight int
	// Pending is how many pushes wait for a connection with room, or for their
	// next attempt: those for which MaxPending has room.
	Pending int
	// OldestPending is for how long the first of these that wait for a
	// connection has waited.
	OldestPending time.Duration
}
