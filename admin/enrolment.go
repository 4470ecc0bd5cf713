package admin

import (
	"context"
	"math"
	"net/http"
	"time"

	"github.com/heraldpush/herald/portal"
)

// EnrolmentRequest is an enrolment code to be.
type EnrolmentRequest struct {
	// Uses is how many devices it activates; negative means any number.
	Uses int `json:"uses"`
	// ValidSeconds is for how long; zero means until it is revoked.
	ValidSeconds int64 `json:"valid_seconds,omitempty"`
}

// EnrolmentID names an enrolment code.
type EnrolmentID struct {
	ID string `json:"id"`
}

// NewEnrolment is an enrolment code that was just made.
type NewEnrolment struct {
	Enrolment portal.Enrolment `json:"enrolment"`
	// Code is the secret. It is given this once.
	Code string `json:"code"`
}

// The operations on enrolment codes.
var (
	ListEnrolments = &Operation[Page, List[portal.Enrolment]]{
		Row: Row{http.MethodGet, "/v1/portal/enrolment-codes", "Lists the enrolment codes that may still be used, without the codes."},
		run: func(ctx context.Context, p *portal.Portal, in Page) (List[portal.Enrolment], error) {
			all, err := p.Enrolments(ctx)
			return page(all, in, func(e portal.Enrolment) string { return e.ID }), err
		},
	}
	CreateEnrolment = &Operation[EnrolmentRequest, NewEnrolment]{
		Row:      Row{http.MethodPost, "/v1/portal/enrolment-codes", "Makes an enrolment code; the answer alone has it."},
		statuses: map[portal.Code]int{portal.CodeEnrolment: http.StatusBadRequest},
		run:      createEnrolment,
	}
	RevokeEnrolment = &Operation[EnrolmentID, EnrolmentID]{
		Row: Row{http.MethodPost, "/v1/portal/enrolment-codes/{id}/revoke", "Takes back an enrolment code."},
		run: func(ctx context.Context, p *portal.Portal, in EnrolmentID) (EnrolmentID, error) {
			return in, p.RevokeEnrolmentCode(ctx, in.ID)
		},
	}
)

// maxValidSeconds is the longest a time.Duration can be.
const maxValidSeconds = int64(math.MaxInt64 / time.Second)

func createEnrolment(ctx context.Context, p *portal.Portal, in EnrolmentRequest) (NewEnrolment, error) {
	if in.ValidSeconds > maxValidSeconds {
		return NewEnrolment{}, newProblem(http.StatusBadRequest, CodeArgument, "Zero means until it is revoked.", "valid_seconds is more than %d", maxValidSeconds)
	}
	e, code, err := p.CreateEnrolmentCode(ctx, in.Uses, time.Duration(max(in.ValidSeconds, -1))*time.Second)
	return NewEnrolment{e, code}, err
}
