package main

import (
	"fmt"
	"time"

	"github.com/heraldpush/herald/trace"
)

// traceFlags bound what is kept of what happened to notifications.
type traceFlags struct {
	TraceDays uint `default:"3" placeholder:"N" help:"Keep for N days what happened to each notification: see herald explain. 0 keeps nothing."`
	TraceMiB  uint `name:"trace-mib" default:"256" placeholder:"N" help:"Keep no more than N MiB of that; in a folder that is removed at the end, at most 8."`
}

// maxTraceDays and maxTraceMiB are the most that can be asked for.
const (
	maxTraceDays = 365
	maxTraceMiB  = 64 << 10
)

// Validate implements kong's check of the flags.
func (f traceFlags) Validate() error {
	switch {
	case f.TraceDays > maxTraceDays:
		return fmt.Errorf("--trace-days: at most %d", maxTraceDays)
	case f.TraceMiB < 1 || f.TraceMiB > maxTraceMiB:
		return fmt.Errorf("--trace-mib: from 1 to %d", maxTraceMiB)
	}
	return nil
}

// off reports that nothing is kept.
func (f traceFlags) off() bool { return f.TraceDays == 0 }

// config returns what the flags say, in memory alone or not.
func (f traceFlags) config(memory bool) trace.Config {
	mib := f.TraceMiB
	if memory {
		mib = min(mib, trace.DefaultMemoryBytes>>20)
	}
	return trace.Config{MaxAge: time.Duration(f.TraceDays) * 24 * time.Hour, MaxBytes: int64(mib) << 20} //nolint:gosec // both are bounded
}
