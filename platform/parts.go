package platform

import (
	"context"
	"errors"
	"slices"
	"sync"
)

// Part is what runs beside others until its ctx ends.
type Part func(ctx context.Context) error

// RunParts calls run, which has parts run side by side by giving them to serve. The
// ctx that run gets ends when that of the caller does and when a part returns an
// error; run has to return with it, and may before.
//
// Then the parts end, as deferred calls do: those of the last call of serve first,
// all of one call at once, and those of the call before when they have returned. So
// a part may rely on those that were begun before it to its very end. The error is
// that of run, else the first of a part. That ctx ended is none.
func RunParts(ctx context.Context, run func(ctx context.Context, serve func(parts ...Part)) error) error {
	running, fail := context.WithCancelCause(ctx)
	err := func() error {
		var ends []func()
		defer func() {
			for _, end := range slices.Backward(ends) {
				end()
			}
		}()
		defer fail(nil)
		return run(running, func(parts ...Part) {
			ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
			var group sync.WaitGroup
			ends = append(ends, func() {
				cancel()
				group.Wait()
			})
			for _, part := range parts {
				group.Go(func() {
					if err := part(ctx); err != nil {
						fail(err)
					}
				})
			}
		})
	}()
	cause := context.Cause(running)
	if err != nil || errors.Is(cause, context.Canceled) || errors.Is(cause, context.Cause(ctx)) {
		return err
	}
	return cause
}
