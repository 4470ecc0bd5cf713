package api

import (
	"context"
	"errors"
	"time"

	"github.com/heraldpush/herald/provider"
	"github.com/heraldpush/herald/provider/account"
	"github.com/heraldpush/herald/provider/audience"
	"github.com/heraldpush/herald/provider/outbox"
)

// asProblem returns err as a Problem if the one who asks can do something about it,
// if only to come again; else nil: it is internal.
func asProblem(err error) *Problem {
	if p, ok := errors.AsType[*Problem](err); ok {
		return p
	}
	if invalid, ok := errors.AsType[*audience.InvalidError](err); ok {
		return invalidProblem(invalid)
	}
	switch {
	case errors.Is(err, account.ErrNotFound), errors.Is(err, audience.ErrNotFound), errors.Is(err, outbox.ErrNotFound):
		return newProblem(CodeNotFound, "%v", err)
	case errors.Is(err, audience.ErrPersons):
		p := newProblem(CodePeople, "%v", err)
		at := "/person"
		p.Errors = []ProblemFault{{Pointer: &at, Code: string(audience.Conflict), Detail: audience.ErrPersons.Error()}}
		return p
	case errors.Is(err, provider.ErrAnonymous):
		p := newProblem(CodeForbidden, "%v", provider.ErrAnonymous)
		at := "/person"
		p.Errors = []ProblemFault{{Pointer: &at, Code: string(audience.Conflict), Detail: provider.ErrAnonymous.Error()}}
		return p
	case errors.Is(err, outbox.ErrState):
		return newProblem(CodeState, "%v", err)
	case errors.Is(err, provider.ErrNoCredential):
		return newProblem(CodeNoCredential, "%v", err)
	case errors.Is(err, outbox.ErrOtherRequest):
		return newProblem(CodeIdempotencyKey, "%v: use a new one for a new request", outbox.ErrOtherRequest)
	case errors.Is(err, account.ErrNoChecker):
		return newProblem(CodeNoChecker, "%v", account.ErrNoChecker)
	case errors.Is(err, outbox.ErrFull):
		return newProblem(CodeFull, "%v: nothing was taken in", outbox.ErrFull).after(5 * time.Second)
	case errors.Is(err, audience.ErrFull):
		return newProblem(CodeFull, "%v: nothing was changed", audience.ErrFull).after(5 * time.Second)
	case errors.Is(err, outbox.ErrClosed):
		return newProblem(CodeStopping, "nothing was taken in: come again").after(time.Second)
	case errors.Is(err, context.DeadlineExceeded):
		return newProblem(CodeTimeout, "it is not known whether it was done: ask, or do it again if that does no harm").after(time.Second)
	}
	return nil
}

// invalidProblem returns the Problem of what cannot be: a conflict, if nothing but what
// is there already is in the way.
func invalidProblem(invalid *audience.InvalidError) *Problem {
	code := CodeConflict
	var all []ProblemFault
	for _, f := range invalid.Faults {
		if f.Code != audience.Conflict {
			code = CodeInvalid
		}
		all = append(all, ProblemFault{Pointer: &f.Pointer, Code: string(f.Code), Detail: f.Detail, OverBy: f.OverBy})
	}
	p := newProblem(code, "%v", invalid)
	p.Errors = all
	return p
}
