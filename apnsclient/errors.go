package apnsclient

import (
	"errors"
	"fmt"

	"github.com/heraldpush/herald/apns"
)

var (
	// ErrClosed is in the chain of the error of a push on a closed Sender.
	ErrClosed = errors.New("the sender is closed")
	// ErrBusy is in the chain of the error of a push for which there was no place
	// in the queue, see Config.MaxPending.
	ErrBusy = errors.New("as many pushes are waiting as may")
)

// CheckError says that a push was found wrong before anything was sent. It is
// no answer of the gateway, but errors.Is finds the rejection that would have
// been: errors.Is(err, apns.Reject(apns.PayloadTooLarge, "")).
type CheckError struct {
	// Reason is what a gateway would have answered.
	Reason apns.Reason
	// Problem is what is wrong, such as "the payload has 4100 bytes, 4 more
	// than the 4096 that a push of type alert may have".
	Problem string
	// Remedy is what to do about it.
	Remedy string
}

// Error names the problem, then the remedy.
func (e *CheckError) Error() string {
	return fmt.Sprintf("not sent: %s: %s", e.Problem, e.Remedy)
}

// Is reports whether target is a rejection for the same reason.
func (e *CheckError) Is(target error) bool {
	r, ok := target.(*apns.Rejection)
	return ok && r.Reason == e.Reason
}

// CertificateError says that the gateway refused the sender's certificate
// while the connection was made: it was revoked, has expired, or was issued by
// an authority that the gateway does not trust. Nothing was sent. Trying again
// does not help before the certificate is replaced.
type CertificateError struct {
	// Certificate is its common name, such as
	// "Apple Push Services: com.example.demo"; empty if none was presented.
	Certificate string
	// Err is the alert with which the gateway ended the handshake.
	Err error
}

// Error names the certificate and the alert.
func (e *CertificateError) Error() string {
	if e.Certificate == "" {
		return fmt.Sprintf("the gateway wants a certificate: %v", e.Err)
	}
	return fmt.Sprintf("the gateway refused the certificate %q: %v", e.Certificate, e.Err)
}

// Unwrap returns the alert.
func (e *CertificateError) Unwrap() error { return e.Err }

// UnsentError says that a push never reached the gateway: there was no
// connection in time, or the gateway said that it had not begun with it.
// Sending it again is safe.
type UnsentError struct {
	// Host is the gateway, "host:port".
	Host string
	// Err is why. It wraps context.DeadlineExceeded when the time of the push
	// was over, and *tls.CertificateVerificationError when the gateway's own
	// certificate is not trusted.
	Err error
}

// Error names the gateway and the cause.
func (e *UnsentError) Error() string { return fmt.Sprintf("not sent to %s: %v", e.Host, e.Err) }

// Unwrap returns the cause.
func (e *UnsentError) Unwrap() error { return e.Err }

// UnansweredError says that a push was sent and no answer came: it may have
// been delivered or not. To send it again under the same ID is the choice of
// the caller; Herald's gateway delivers it once all the same, Apple's shows
// it once if it has a CollapseID.
type UnansweredError struct {
	// Host is the gateway, "host:port".
	Host string
	// ID is the apns-id that the push carried.
	ID apns.NotificationID
	// Err is what happened instead of an answer. It wraps
	// context.DeadlineExceeded when the time of the push was over.
	Err error
}

// Error names the notification, the gateway and the cause.
func (e *UnansweredError) Error() string {
	return fmt.Sprintf("sent %s to %s, but got no answer: %v", e.ID, e.Host, e.Err)
}

// Unwrap returns the cause.
func (e *UnansweredError) Unwrap() error { return e.Err }
