package event

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/heraldpush/herald/provider/account"
)

// Event is something that happened.
type Event struct {
	// Sequence is its place in the log, from 1, without gaps. The Store gives it.
	Sequence uint64 `json:"sequence"`
	ID       ID     `json:"id"`
	// Time is when it happened.
	Time time.Time `json:"time"`
	// App is the app that it is about; empty for what is of no app.
	App  account.AppID `json:"app,omitempty"`
	Kind Kind          `json:"kind"`
	// Subject is what it is about: the ID of a message, a credential or a webhook.
	// Empty where Body lists several.
	Subject string `json:"subject,omitempty"`
	// Body says more, as a JSON object: that of the type in this package whose name
	// is that of the kind, such as Message. It holds no secret and no device token.
	Body json.RawMessage `json:"body"`
}

// The limits of an event. Bodies are made here and kept below theirs; a Store need
// not hold more.
const (
	MaxBodyBytes    = 128 << 10
	MaxSubjectBytes = 128
)

// ID names an event: "evt_" and 26 letters and digits. An event that is told a
// second time, as nobody knew whether it was, has the same.
type ID string

const (
	idPrefix = "evt_"
	idChars  = 26
)

// newID returns the ID of an event that happens once.
func newID() ID { return ID(idPrefix + strings.ToLower(rand.Text()[:idChars])) }

var idEncoding = base32.StdEncoding.WithPadding(base32.NoPadding)

// derivedID returns the ID of the event that parts tell from all others.
func derivedID(parts ...string) ID {
	h := sha256.New()
	h.Write([]byte("herald event 1"))
	for _, p := range parts {
		fmt.Fprintf(h, "\x00%d %s", len(p), p)
	}
	return ID(idPrefix + strings.ToLower(idEncoding.EncodeToString(h.Sum(nil)[:16])))
}

// Valid reports whether id has the form of one.
func (id ID) Valid() bool {
	rest, ok := strings.CutPrefix(string(id), idPrefix)
	return ok && len(rest) == idChars && !strings.ContainsFunc(rest, func(c rune) bool { return (c < 'a' || c > 'z') && (c < '2' || c > '7') })
}

// Kind is what sort of thing happened.
type Kind string

// The kinds of events.
const (
	// MessageStarted is told when an audience begins to be sent to.
	MessageStarted Kind = "message.started"
	// MessagePaused is told with why: "asked", or "fuse" when too many device tokens
	// were called bad.
	MessagePaused  Kind = "message.paused"
	MessageResumed Kind = "message.resumed"
	// The ends of a message.
	MessageDone      Kind = "message.done"
	MessageCancelled Kind = "message.cancelled"
	MessageExpired   Kind = "message.expired"
	MessageFailed    Kind = "message.failed"
	// DeviceTokenGone lists device tokens that are not pushed to any more.
	DeviceTokenGone Kind = "device_token.gone"
	// DeviceTokenQuarantined lists device tokens that are in doubt, and tried once a
	// day.
	DeviceTokenQuarantined Kind = "device_token.quarantined"
	// DeviceTokenRestored is told when all that a message took is back.
	DeviceTokenRestored Kind = "device_token.restored"
	CredentialRefused   Kind = "credential.refused"
	CredentialProven    Kind = "credential.proven"
	// CredentialExpiring is told 30, 14, 7 and 1 days before the end, and at the end.
	CredentialExpiring Kind = "credential.expiring"
	// SendingStalled is told when something that is due was not sent for too long.
	SendingStalled   Kind = "sending.stalled"
	SendingRecovered Kind = "sending.recovered"
	// WebhookPaused is told when a webhook has failed for too long.
	WebhookPaused Kind = "webhook.paused"
	// WebhookTest is sent to a webhook that is tried out. It is not in the log.
	WebhookTest Kind = "webhook.test"
)

// Kinds lists those that may be in the log.
var Kinds = [...]Kind{
	MessageStarted, MessagePaused, MessageResumed, MessageDone, MessageCancelled, MessageExpired, MessageFailed,
	DeviceTokenGone, DeviceTokenQuarantined, DeviceTokenRestored,
	CredentialRefused, CredentialProven, CredentialExpiring,
	SendingStalled, SendingRecovered, WebhookPaused,
}

// Known reports whether k is one of Kinds.
func (k Kind) Known() bool { return slices.Contains(Kinds[:], k) }

// newEvent returns an event with its body as JSON.
func newEvent(id ID, at time.Time, app account.AppID, kind Kind, subject string, body any) (Event, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return Event{}, fmt.Errorf("event %s: %w", kind, err)
	}
	return Event{ID: id, Time: at.UTC().Round(0), App: app, Kind: kind, Subject: subject, Body: text}, nil
}

// Check returns an error for an event that cannot be in a log.
func (e *Event) Check() error {
	switch {
	case !e.ID.Valid():
		return errors.New("event has no ID")
	case e.Time.IsZero(), e.Kind == "":
		return fmt.Errorf("event %s has no time or kind", e.ID)
	case len(e.Subject) > MaxSubjectBytes, len(e.Body) > MaxBodyBytes:
		return fmt.Errorf("event %s %s is too long: subject %d bytes, body %d", e.ID, e.Kind, len(e.Subject), len(e.Body))
	case !json.Valid(e.Body):
		return fmt.Errorf("event %s %s: the body is not JSON", e.ID, e.Kind)
	}
	return nil
}
