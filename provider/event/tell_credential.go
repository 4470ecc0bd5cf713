package event

import (
	"context"
	"strconv"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/provider/account"
	"github.com/heraldpush/herald/provider/outbox"
)

// Credential is the body of CredentialRefused and CredentialProven. The Subject is
// the ID of the credential.
type Credential struct {
	Name        string           `json:"name"`
	Environment apns.Environment `json:"environment"`
	// Reason is why it was refused; empty for one that is proven.
	Reason apns.Reason `json:"reason,omitempty"`
}

// OfTurn returns the event that a credential was refused or proven, and false for a
// turn that is neither. Until the turn is stored, it is the same event.
func OfTurn(t account.Turn, at time.Time) (Event, bool, error) {
	kind := CredentialProven
	switch {
	case t.Now.Reason != "" && t.Now.Reason != t.Was.Reason:
		kind = CredentialRefused
	case !t.Now.Proven() || t.Was.Proven():
		return Event{}, false, nil
	}
	c := &t.Credential
	id := derivedID(string(kind), string(c.ID), t.Now.Environment.String(), string(t.Now.Reason),
		t.Was.ProvenAt.Format(time.RFC3339Nano), t.Was.RefusedAt.Format(time.RFC3339Nano))
	e, err := newEvent(id, at, c.App, kind, string(c.ID), Credential{c.Name, t.Now.Environment, t.Now.Reason})
	return e, err == nil, err
}

// Turned adds the event of a turn to the log. It is for account.Config.Turned.
func (l *Log) Turned(ctx context.Context, t account.Turn) error {
	e, ok, err := OfTurn(t, time.Now())
	if err != nil || !ok {
		return err
	}
	return l.Append(ctx, e)
}

// OfExpiry returns the event that a credential ends soon, or has ended. Its body is
// the account.Expiry, and its Subject the ID of the credential.
func OfExpiry(x account.Expiry, at time.Time) (Event, error) {
	return newEvent(derivedID(string(CredentialExpiring), string(x.Credential), strconv.Itoa(x.Days)),
		at, x.App, CredentialExpiring, string(x.Credential), x)
}

// Sending is the body of SendingStalled and SendingRecovered.
type Sending struct {
	// Lane is that of what waits, such as "urgent".
	Lane string `json:"lane"`
	// Since is from when on nothing of it was answered, though it was due.
	Since time.Time `json:"since"`
	// Seconds is how long that was at the time of the event.
	Seconds int `json:"seconds"`
	// Why is one of the words below, for SendingStalled; empty if it is not known.
	Why string `json:"why,omitempty"`
	// Reason is what the push service said of the credential, if it said something.
	Reason apns.Reason `json:"reason,omitempty"`
}

// Why nothing is sent.
const (
	WhyNoCredential       = "no_credential"
	WhyCredentialRefused  = "credential_refused"
	WhyCredentialUnusable = "credential_unusable"
)

// OfSending returns the event that sending stands still in a lane of an app, or does
// not any more. The Subject is the ID of the oldest message. Seconds of s is set here.
func OfSending(kind Kind, app account.AppID, message outbox.MessageID, s Sending, at time.Time) (Event, error) {
	s.Since = s.Since.UTC()
	s.Seconds = int(at.Sub(s.Since) / time.Second)
	return newEvent(newID(), at, app, kind, message.String(), s)
}
