package api

import (
	"errors"

	"github.com/heraldpush/herald/provider/audience"
)

// unsendable returns an error of a message. What is wrong in it is wrong in what was
// said, also where two things are against each other, and no conflict with what is
// there.
func unsendable(err error) error {
	invalid, ok := errors.AsType[*audience.InvalidError](err)
	if !ok {
		return err
	}
	p := newProblem(CodeInvalid, "%v", invalid)
	p.Errors = invalidProblem(invalid).Errors
	return p
}
