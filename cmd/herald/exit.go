package main

import (
	"errors"
	"fmt"

	"github.com/heraldpush/herald/admin"
	"github.com/heraldpush/herald/portal"
)

// Exit statuses.
const (
	exitOK         = 0
	exitWrong      = 1 // the thing is wrong, or went wrong
	exitUsage      = 2 // the command line is
	exitUnreadable = 3 // a file or a password cannot be read
	exitRefused    = 4 // the portal or the gateway refuses
)

// hintError is an error with a remedy for the one who sees it.
type hintError struct {
	err  error
	hint string
}

func (e *hintError) Error() string { return e.err.Error() }
func (e *hintError) Unwrap() error { return e.err }

func withHint(err error, format string, args ...any) error {
	return &hintError{err, fmt.Sprintf(format, args...)}
}

// statusError is an error that ends the program with a certain status.
type statusError struct {
	err    error
	status int
}

func (e *statusError) Error() string { return e.err.Error() }
func (e *statusError) Unwrap() error { return e.err }

func usageError(format string, args ...any) error {
	return &statusError{fmt.Errorf(format, args...), exitUsage}
}

func unreadable(err error) error { return &statusError{err, exitUnreadable} }

// statusOf returns the exit status that an error ends the program with.
func statusOf(err error) int {
	if s, ok := errors.AsType[*statusError](err); ok {
		return s.status
	}
	if p, ok := errors.AsType[*admin.Problem](err); ok && p.Status < 500 {
		return exitRefused
	}
	if _, ok := errors.AsType[*portal.Refusal](err); ok {
		return exitRefused
	}
	if r, ok := errors.AsType[*refusedError](err); ok && r.Status < 500 {
		return exitRefused
	}
	return exitWrong
}

// report tells an error to a person: what happened, then the remedy.
func report(s streams, err error) int {
	_, _ = fmt.Fprintf(s.err, "herald: %v\n", err)
	if h, ok := errors.AsType[*hintError](err); ok {
		_, _ = fmt.Fprintf(s.err, "Hint: %s\n", h.hint)
	}
	return statusOf(err)
}
