package payload

import (
	"fmt"
	"strconv"

	"github.com/heraldpush/herald/apns"
)

// FieldError says that a payload cannot be built, or that a device would not
// understand it.
type FieldError struct {
	// Field is the place in the document, such as "aps.alert.loc-args[1]".
	Field string
	// Problem is what is wrong.
	Problem string
	// Remedy is what to do about it.
	Remedy string
}

// Error names the field, the problem and the remedy.
func (e *FieldError) Error() string {
	return fmt.Sprintf("payload: %s: %s: %s", e.Field, e.Problem, e.Remedy)
}

// TooLargeError says that a payload has more bytes than it may have.
type TooLargeError struct {
	// Bytes is how many it has, and Limit how many it may have.
	Bytes, Limit int
}

// Error says by how many bytes it is too large, and the remedy.
func (e *TooLargeError) Error() string {
	return fmt.Sprintf("payload: it has %d bytes, %d more than the %d that are possible: send less, and have the app fetch the rest",
		e.Bytes, e.Bytes-e.Limit, e.Limit)
}

// Is reports whether target is the rejection that the service would answer with:
// errors.Is(err, apns.Reject(apns.PayloadTooLarge, "")).
func (e *TooLargeError) Is(target error) bool {
	r, ok := target.(*apns.Rejection)
	return ok && r.Reason == apns.PayloadTooLarge
}

// CheckSize returns a *TooLargeError if p has more bytes than limit. The limit is
// that of the push type, PushType.MaxPayloadBytes, or apns.MaxBroadcastBytes.
func CheckSize(p apns.Payload, limit int) error {
	if len(p) > limit {
		return &TooLargeError{Bytes: len(p), Limit: limit}
	}
	return nil
}

// maxQuoted bounds what an error repeats of a value, in bytes.
const maxQuoted = 50

// quoted returns s for an error.
func quoted(s string) string {
	if len(s) > maxQuoted {
		s = s[:cutBefore(s, maxQuoted)] + ellipsis
	}
	return strconv.Quote(s)
}
