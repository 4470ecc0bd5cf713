package platform

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestRunParts(t *testing.T) {
	errRun, errPart := errors.New("run"), errors.New("part")
	until := func(ctx context.Context, err error) func() error {
		return func() error {
			<-ctx.Done()
			time.Sleep(time.Second) // an end takes its time
			return err
		}
	}
	for _, tt := range []struct {
		name string
		run  func(ctx context.Context, serve func(func() error)) error
		want error
		took time.Duration
	}{
		{"the caller's ctx ends", func(ctx context.Context, serve func(func() error)) error {
			serve(until(ctx, nil))
			<-ctx.Done()
			return nil
		}, nil, time.Minute + time.Second},
		{"run returns", func(ctx context.Context, serve func(func() error)) error {
			serve(until(ctx, nil))
			return nil
		}, nil, time.Second},
		{"run fails", func(ctx context.Context, serve func(func() error)) error {
			serve(until(ctx, errPart))
			return errRun
		}, errRun, time.Second},
		{"a part fails", func(ctx context.Context, serve func(func() error)) error {
			serve(until(ctx, errors.New("later")))
			serve(func() error { return errPart })
			<-ctx.Done()
			return nil
		}, errPart, time.Second},
		{"a part is too late", func(ctx context.Context, serve func(func() error)) error {
			serve(func() error { return context.DeadlineExceeded })
			<-ctx.Done()
			return nil
		}, context.DeadlineExceeded, 0},
		{"a part ends well", func(ctx context.Context, serve func(func() error)) error {
			serve(func() error { return nil })
			<-ctx.Done()
			return nil
		}, nil, time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				from := time.Now()
				if err := RunParts(ctx, tt.run); !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
					t.Errorf("got error %v, want %v", err, tt.want)
				}
				if took := time.Since(from); took != tt.took {
					t.Errorf("it took %v, want %v: parts are waited for", took, tt.took)
				}
			})
		})
	}
}
