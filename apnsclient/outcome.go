package apnsclient

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/heraldpush/herald/apns"
)

// Outcome says in one word how a push ended, and so what to do next.
type Outcome uint8

// The outcomes.
const (
	// Accepted: the gateway has it. It is no proof of delivery.
	Accepted Outcome = iota + 1
	// Invalid: it was found wrong before anything was sent. Mend it.
	Invalid
	// Rejected: the gateway refused this push, and would do so again.
	Rejected
	// TokenGone: the device token is no longer valid. Forget it, unless the
	// device registered it anew after the time that the rejection gives.
	TokenGone
	// ProviderFault: the gateway refused the sender: certificate, key, provider
	// token, topic, or what the app may do. Every push will end so until that is
	// mended.
	ProviderFault
	// RetryLater: the gateway did not take it now. Send it again after a while.
	RetryLater
	// ConnectionFault: it never reached the gateway. Sending it again is safe.
	ConnectionFault
	// Unknown: it was sent and not answered. It may have been delivered.
	Unknown
)

// String returns the outcome in lower case, such as "retry later".
func (o Outcome) String() string {
	switch o {
	case Accepted:
		return "accepted"
	case Invalid:
		return "invalid"
	case Rejected:
		return "rejected"
	case TokenGone:
		return "token gone"
	case ProviderFault:
		return "provider fault"
	case RetryLater:
		return "retry later"
	case ConnectionFault:
		return "connection fault"
	case Unknown:
		return "unknown"
	}
	return fmt.Sprintf("Outcome(%d)", uint8(o))
}

// OutcomeOf returns the outcome that an error of this package stands for;
// nil stands for Accepted. An error of anyone else's is Unknown.
func OutcomeOf(err error) Outcome {
	if err == nil {
		return Accepted
	}
	if r, ok := errors.AsType[*apns.Rejection](err); ok {
		return outcomeOfRejection(r)
	}
	if _, ok := errors.AsType[*CheckError](err); ok {
		return Invalid
	}
	if _, ok := errors.AsType[*CertificateError](err); ok {
		return ProviderFault
	}
	if _, ok := errors.AsType[*UnsentError](err); ok {
		return ConnectionFault
	}
	return Unknown
}

// outcomeOfRejection follows the status where the reason says no more
// (docs/protocol/provider.md#reasons).
func outcomeOfRejection(r *apns.Rejection) Outcome {
	switch r.Reason {
	case apns.Unregistered, apns.ExpiredToken:
		return TokenGone
	case apns.TopicDisallowed, apns.FeatureNotEnabled:
		return ProviderFault
	case apns.IdleTimeout:
		return RetryLater
	default:
	}
	switch {
	case r.Status == http.StatusGone:
		return TokenGone
	case r.Status == http.StatusForbidden:
		return ProviderFault
	case r.Status == http.StatusTooManyRequests, r.Status >= 500:
		return RetryLater
	}
	return Rejected
}

// RetryAfter returns how long to wait before a push that ended with err is sent
// again: what the gateway asked for, or a second where it left that open. It is
// false for an error after which sending it again as it is does not help, and
// for one after which it may arrive twice.
func RetryAfter(err error) (time.Duration, bool) {
	switch OutcomeOf(err) {
	case RetryLater:
		r, ok := errors.AsType[*apns.Rejection](err)
		if !ok {
			return time.Second, true
		}
		if r.Reason == apns.TooManyProviderTokenUpdates {
			return max(r.RetryAfter, refreshFloor), true
		}
		return max(r.RetryAfter, time.Second), true
	case ConnectionFault:
		if !errors.Is(err, ErrClosed) && !errors.Is(err, context.Canceled) {
			return time.Second, true
		}
	case Accepted, Invalid, Rejected, TokenGone, ProviderFault, Unknown:
	}
	return 0, false
}
