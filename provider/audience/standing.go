package audience

import (
	"net/http"
	"time"

	"github.com/heraldpush/herald/apns"
)

// State is what is known of whether a device token is any good.
type State uint8

// The states.
const (
	// Active is pushed to.
	Active State = iota
	// Quarantined is in doubt: it was accepted once, and then called bad. It is
	// tried once a day, and is Active again with the first push that is accepted.
	Quarantined
	// Gone is not pushed to. It is kept for GoneRetention, so that a mistake can
	// be undone.
	Gone
)

// String returns the word for s in the API.
func (s State) String() string {
	switch s {
	case Active:
		return "active"
	case Quarantined:
		return "quarantined"
	case Gone:
		return "gone"
	}
	return "unknown"
}

// The times and numbers of the hygiene of device tokens.
const (
	// GoneRetention is how long a device token is kept that is gone.
	GoneRetention = 30 * 24 * time.Hour
	// acceptedEvery is how old the note of an accepted push may become before a
	// later one is noted: to note each would be a write for each push.
	acceptedEvery = 7 * 24 * time.Hour
	// acceptedTo is how exactly it is noted: so most of a message for many are the
	// same note, which a store may write at once.
	acceptedTo = time.Minute
	// strikeEvery is the time between two tries in quarantine, and so between
	// strikes: a mistake of ours does not last that long unseen.
	strikeEvery = 24 * time.Hour
	// strikes is how many times a device token in quarantine may be called bad.
	strikes = 3
)

// Standing is what a device token has come to by the answers of the push
// service. The zero value is that of one that was never pushed to.
type Standing struct {
	State State
	// RegisteredAt is when the app last said that it has the device token. It
	// lags by up to ConfirmEvery.
	RegisteredAt time.Time
	// AcceptedAt is when a push to it was last accepted, to the minute, and lags by
	// some days; zero if that never was.
	AcceptedAt time.Time
	// Reason and ReasonAt are why and when State last became worse, empty and
	// zero with Active.
	Reason   apns.Reason
	ReasonAt time.Time
	// Strikes counts the times it was called bad since it was last accepted.
	Strikes uint8
	// JudgedBy is the message whose answer made State worse, for an undo; zero
	// with Active.
	JudgedBy [16]byte
}

// Answer is what the push service said to one push.
type Answer struct {
	// Refused is the rejection; nil if the push was accepted.
	Refused *apns.Rejection
	// Began and At are when the push was begun and when the answer came.
	Began, At time.Time
	// Message is what was sent.
	Message [16]byte
}

// IsBad reports whether a rejection says that the device token is none at all,
// which it says of all of them when the mistake is the sender's: the wrong
// environment (docs/protocol/provider.md#reasons).
func IsBad(r *apns.Rejection) bool { return r != nil && r.Reason == apns.BadDeviceToken }

// IsGone reports whether a rejection says that the device token is no longer
// valid (docs/protocol/provider.md#device-tokens).
func IsGone(r *apns.Rejection) bool { return r != nil && r.Status == http.StatusGone }

// After returns s as it is after an answer. It returns s as it is where the
// answer says nothing of the device token: it was about the credential, the
// topic, the payload, or the service itself.
func (s Standing) After(a Answer) Standing {
	switch {
	case a.Refused == nil:
		return s.accepted(a.At)
	case IsGone(a.Refused):
		return s.gone(a)
	case IsBad(a.Refused):
		return s.bad(a)
	}
	return s
}

func (s Standing) accepted(at time.Time) Standing {
	if s.State == Active && s.Strikes == 0 && at.Sub(s.AcceptedAt) < acceptedEvery {
		return s
	}
	return Standing{RegisteredAt: s.RegisteredAt, AcceptedAt: at.Truncate(acceptedTo)}
}

// gone judges a 410. The timestamp says when the service found the device token
// invalid; an app that registered it later has it again.
func (s Standing) gone(a Answer) Standing {
	since := a.Refused.Since
	if since.IsZero() { // all that is sure is that it was so when asked
		since = a.Began
	}
	// The timestamp has milliseconds, and the registration may be of the same
	// one.
	if s.State == Gone || since.Before(s.RegisteredAt.Truncate(time.Millisecond)) {
		return s
	}
	return s.worse(Gone, a)
}

// bad judges a BadDeviceToken: of one that was accepted before, it is more
// likely that the sender is mistaken.
func (s Standing) bad(a Answer) Standing {
	switch {
	case s.State == Gone, a.Began.Before(s.RegisteredAt):
		return s
	case s.AcceptedAt.IsZero():
		return s.worse(Gone, a)
	case s.State == Quarantined && a.At.Sub(s.ReasonAt) < strikeEvery:
		return s
	case s.Strikes+1 >= strikes:
		return s.worse(Gone, a)
	}
	return s.worse(Quarantined, a)
}

func (s Standing) worse(state State, a Answer) Standing {
	s.State, s.Reason, s.ReasonAt, s.JudgedBy = state, a.Refused.Reason, a.At, a.Message
	if IsBad(a.Refused) {
		s.Strikes++
	}
	return s
}

// Reachable reports whether a push may go to the device token at the time now.
func (s Standing) Reachable(now time.Time) bool {
	switch s.State {
	case Active:
		return true
	case Quarantined:
		return now.Sub(s.ReasonAt) >= strikeEvery
	case Gone:
	}
	return false
}

// Undone returns s without what made it worse.
func (s Standing) Undone() Standing {
	return Standing{RegisteredAt: s.RegisteredAt, AcceptedAt: s.AcceptedAt}
}

// ConfirmEvery is how old the note of a registration may become before one that
// changes nothing is noted: apps register at every launch.
const ConfirmEvery = time.Hour

// registered returns s after the app said at a time that it has the device
// token.
func (s Standing) registered(at time.Time) Standing {
	if s.State == Active && at.Sub(s.RegisteredAt) < ConfirmEvery {
		return s
	}
	return Standing{RegisteredAt: at, AcceptedAt: s.AcceptedAt, Strikes: s.Strikes}
}
