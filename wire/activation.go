package wire

import "github.com/heraldpush/herald/apns"

// Activation is how a device gets its certificate: one HTTPS POST of an
// ActivationRequest, answered with 200 and an ActivationResponse, or with an
// error status and a Problem. The protocol is Herald's own, in place of
// Apple's unpublished one (docs/protocol/courier.md#activation). The bodies
// are JSON, of at most MaxActivationBytes.

// MaxActivationBytes bounds the body of either direction.
const MaxActivationBytes = 64 << 10

// ActivationRequest asks for a device certificate.
type ActivationRequest struct {
	// EnrolmentCode is the secret that allows it, from the portal.
	EnrolmentCode string `json:"enrolment_code"`
	// CSR is the certificate signing request, PEM, for an RSA key of at least
	// 2048 bits or a P-256 key. Only its public key is used.
	CSR string `json:"certificate_signing_request"`
	// Former, if set, shows that the device had another name before: that one
	// ends, with its device tokens.
	Former *DeviceProof `json:"former,omitempty"`
}

// ClockProblem is the title of the problem of a device whose clock is wrong,
// status 422. The header Date of the answer has the time to sign with.
const ClockProblem = "Clock refused"

// ActivationResponse brings the certificate.
type ActivationResponse struct {
	// DeviceID is the name the device has from now on, also the common name
	// of its certificate.
	DeviceID apns.DeviceID `json:"device_id"`
	// Certificate is the device certificate and after it the one that issued
	// it, PEM.
	Certificate string `json:"certificate"`
}

// Problem is the body of an error answer of Herald's own HTTP interfaces,
// application/problem+json (RFC 9457).
type Problem struct {
	// Title names the problem, the same words each time.
	Title string `json:"title"`
	// Status is the HTTP status.
	Status int `json:"status"`
	// Detail says what was wrong this time, and the remedy.
	Detail string `json:"detail,omitempty"`
}
