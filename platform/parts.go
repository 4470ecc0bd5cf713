package platform

import (
	"context"
	"errors"
	"sync"
)

// RunParts calls run, which has parts run side by side by giving each to serve.
// The ctx that run gets ends when that of the caller does, when a part returns an
// error, and when run returns; parts have to end with it, and are waited for. The
// error is that of run, else the first of a part. That ctx ended is none.
func RunParts(ctx context.Context, run func(ctx context.Context, serve func(part func() error)) error) error {
	running, fail := context.WithCancelCause(ctx)
	var parts sync.WaitGroup
	err := func() error {
		defer parts.Wait()
		defer fail(nil)
		return run(running, func(part func() error) {
			parts.Go(func() {
				if err := part(); err != nil {
					fail(err)
				}
			})
		})
	}()
	cause := context.Cause(running)
	if err != nil || errors.Is(cause, context.Canceled) || errors.Is(cause, context.Cause(ctx)) {
		return err
	}
	return cause
}
