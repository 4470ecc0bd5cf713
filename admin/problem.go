package admin

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/heraldpush/herald/portal"
	"github.com/heraldpush/herald/wire"
)

// The codes of what the API itself refuses; the others are the portal's.
const (
	CodeAPIKey    portal.Code = "E-API-KEY"   // none, or a wrong one
	CodeHost      portal.Code = "E-HOST"      // a host name that is not this platform's
	CodeOperation portal.Code = "E-OPERATION" // no such path, or another method
	CodeArgument  portal.Code = "E-ARGUMENT"  // the request is not what the operation takes
	CodeTooLarge  portal.Code = "E-TOO-LARGE" // the body is
	CodeFaults    portal.Code = "E-FAULTS"    // a fault plan is wrong, or there are no faults on demand
	CodeTrace     portal.Code = "E-TRACE"     // nothing is known of a notification
	CodeRecipient portal.Code = "E-RECIPIENT" // a backup for nobody, or for who cannot be
)

// Problem is an error answer, application/problem+json (RFC 9457), and as an
// error the same for every Target: the one who asks can mend it, unless the
// status is 500 or more.
type Problem struct { //nolint:errname // the word of RFC 9457
	wire.Problem
	// Code is the stable name of the refusal; empty for a fault of the
	// platform.
	Code portal.Code `json:"code,omitempty"`
	// Hint says what to do, as a sentence; it may be empty.
	Hint string `json:"hint,omitempty"`
}

// Error is the code, if there is one, and what was wrong.
func (p *Problem) Error() string {
	text := p.Detail
	if text == "" {
		text = p.Title
	}
	if p.Code == "" {
		return text
	}
	return string(p.Code) + ": " + text
}

// statuses are the HTTP statuses of the portal's refusals.
var statuses = map[portal.Code]int{
	portal.CodeTeam:        http.StatusNotFound,
	portal.CodeName:        http.StatusBadRequest,
	portal.CodeApp:         http.StatusNotFound,
	portal.CodeBundleID:    http.StatusBadRequest,
	portal.CodeTaken:       http.StatusConflict,
	portal.CodeWildcard:    http.StatusConflict,
	portal.CodeRequest:     http.StatusBadRequest,
	portal.CodeTwoActive:   http.StatusConflict,
	portal.CodeTooMany:     http.StatusTooManyRequests,
	portal.CodeKeyReused:   http.StatusConflict,
	portal.CodeCertificate: http.StatusNotFound,
	portal.CodeKey:         http.StatusNotFound,
	portal.CodeKeyQuota:    http.StatusConflict,
	portal.CodeKeyScope:    http.StatusBadRequest,
	portal.CodeRelatedKey:  http.StatusConflict,
	portal.CodeDevice:      http.StatusNotFound,
	portal.CodeEnrolment:   http.StatusNotFound,
	portal.CodeReason:      http.StatusBadRequest,
	portal.CodeNotEmpty:    http.StatusConflict,
	portal.CodeBackup:      http.StatusBadRequest,
}

// titles name the problems by status.
var titles = map[int]string{
	http.StatusBadRequest:            "Bad request",
	http.StatusUnauthorized:          "API key refused",
	http.StatusForbidden:             "Forbidden",
	http.StatusNotFound:              "Not found",
	http.StatusMethodNotAllowed:      "Method not allowed",
	http.StatusConflict:              "Against a rule of the portal",
	http.StatusRequestEntityTooLarge: "Request too large",
	http.StatusMisdirectedRequest:    "Wrong host name",
	http.StatusTooManyRequests:       "Too many requests",
	http.StatusInternalServerError:   "Internal error",
}

func newProblem(status int, code portal.Code, hint, format string, args ...any) *Problem {
	return &Problem{
		Problem: wire.Problem{Title: titles[status], Status: status, Detail: fmt.Sprintf(format, args...)},
		Code:    code, Hint: hint,
	}
}

// asProblem returns err as a Problem if the one who asked can mend it, with
// the statuses of special where they differ from the common ones; else err.
func asProblem(err error, special map[portal.Code]int) error {
	if p, ok := errors.AsType[*Problem](err); ok {
		return p
	}
	if errors.Is(err, portal.ErrEnrolmentCode) {
		return newProblem(http.StatusForbidden, portal.CodeEnrolment, "`herald portal device enrol` makes a new one.",
			"the enrolment code is unknown, used up or expired")
	}
	r, ok := errors.AsType[*portal.Refusal](err)
	if !ok {
		return err
	}
	status, ok := special[r.Code]
	if !ok {
		status, ok = statuses[r.Code]
	}
	if !ok {
		status = http.StatusBadRequest
	}
	return newProblem(status, r.Code, r.Hint, "%s", r.Error())
}
