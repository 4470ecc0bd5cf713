package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/heraldpush/herald/credential"
)

// problemStatus returns the exit status that a problem ends the program with:
// whether a file could be read at all, or is wrong.
func problemStatus(c credential.Code) int {
	switch c {
	case credential.CodePassword, credential.CodeUnsupported, credential.CodeUnknown,
		credential.CodeDamaged, credential.CodeTooLarge, credential.CodeP8:
		return exitUnreadable
	default:
		return exitWrong
	}
}

// problemError returns p as the error that ends the program.
func problemError(p credential.Problem) error {
	err := error(&statusError{p, problemStatus(p.Code)})
	if p.Hint == "" {
		return err
	}
	return withHint(err, "%s", p.Hint)
}

// wrong returns a problem of the given code as an error.
func wrong(c credential.Code, format string, args ...any) error {
	return problemError(credential.NewProblem(c, fmt.Sprintf(format, args...)))
}

// tell writes problems to standard error. It returns the one that ends the
// program, if there is one: of several, the one with the highest status, which
// is written last. The warnings in fatal end it too.
func tell(s streams, problems []credential.Problem, fatal ...credential.Code) error {
	var told, errs []credential.Problem
	for _, p := range problems {
		switch {
		case slices.Contains(told, p):
		case !ends(p, fatal):
			_, _ = fmt.Fprintf(s.err, "Warning %v\n", p)
			hint(s, p)
		default:
			errs = append(errs, p)
		}
		told = append(told, p)
	}
	if len(errs) == 0 {
		return nil
	}
	slices.SortStableFunc(errs, func(a, b credential.Problem) int {
		return cmp.Compare(problemStatus(a.Code), problemStatus(b.Code))
	})
	for _, p := range errs[:len(errs)-1] {
		_, _ = fmt.Fprintf(s.err, "herald: %v\n", p)
		hint(s, p)
	}
	return problemError(errs[len(errs)-1])
}

func hint(s streams, p credential.Problem) {
	if p.Hint != "" {
		_, _ = fmt.Fprintf(s.err, "Hint: %s\n", p.Hint)
	}
}

// ends reports whether a problem is more than a warning, or a warning in fatal.
func ends(p credential.Problem, fatal []credential.Code) bool {
	return !p.Code.Warning() || slices.Contains(fatal, p.Code)
}

// stops reports whether one of problems ends the program.
func stops(problems []credential.Problem, fatal ...credential.Code) bool {
	return slices.ContainsFunc(problems, func(p credential.Problem) bool { return ends(p, fatal) })
}

// asProblem returns err with the status and the hint of the problem that it
// is, if it is one.
func asProblem(err error) error {
	if p, ok := errors.AsType[credential.Problem](err); ok {
		return problemError(p)
	}
	return err
}
