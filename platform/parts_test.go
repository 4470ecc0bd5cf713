package platform

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestRunParts(t *testing.T) {
	errRun, errPart := errors.New("run"), errors.New("part")
	until := func(err error) Part {
		return func(ctx context.Context) error {
			<-ctx.Done()
			time.Sleep(time.Second) // an end takes its time
			return err
		}
	}
	for _, tt := range []struct {
		name string
		run  func(ctx context.Context, serve func(...Part)) error
		want error
		took time.Duration
	}{
		{"the caller's ctx ends", func(ctx context.Context, serve func(...Part)) error {
			serve(until(nil))
			<-ctx.Done()
			return nil
		}, nil, time.Minute + time.Second},
		{"run returns", func(ctx context.Context, serve func(...Part)) error {
			serve(until(nil))
			return nil
		}, nil, time.Second},
		{"run fails", func(ctx context.Context, serve func(...Part)) error {
			serve(until(errPart))
			return errRun
		}, errRun, time.Second},
		{"a part fails", func(ctx context.Context, serve func(...Part)) error {
			serve(until(errors.New("later")))
			serve(func(context.Context) error { return errPart })
			<-ctx.Done()
			return nil
		}, errPart, time.Second},
		{"a part is too late", func(ctx context.Context, serve func(...Part)) error {
			serve(func(context.Context) error { return context.DeadlineExceeded })
			<-ctx.Done()
			return nil
		}, context.DeadlineExceeded, 0},
		{"a part ends well", func(ctx context.Context, serve func(...Part)) error {
			serve(func(context.Context) error { return nil })
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

// TestRunPartsEndInOrder proves that a part ends after all that were begun later, and
// with those that were begun with it, whatever ended the run.
func TestRunPartsEndInOrder(t *testing.T) {
	failed := errors.New("failed")
	for _, tt := range []struct {
		name string
		end  func(ctx context.Context, cancel func(), serve func(...Part)) error
		want error
	}{
		{"the caller's ctx ends", func(ctx context.Context, cancel func(), _ func(...Part)) error {
			cancel()
			<-ctx.Done()
			return nil
		}, nil},
		{"run returns", func(context.Context, func(), func(...Part)) error { return nil }, nil},
		{"run fails", func(context.Context, func(), func(...Part)) error { return failed }, failed},
		{"a part fails", func(ctx context.Context, _ func(), serve func(...Part)) error {
			serve(func(context.Context) error { return failed })
			<-ctx.Done()
			return nil
		}, failed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				var mu sync.Mutex
				var log []string
				note := func(what string) {
					mu.Lock()
					defer mu.Unlock()
					log = append(log, what)
				}
				part := func(name string, takes time.Duration) Part {
					return func(ctx context.Context) error {
						<-ctx.Done()
						note(name + " ends")
						time.Sleep(takes)
						note(name + " has ended")
						return nil
					}
				}
				err := RunParts(ctx, func(ctx context.Context, serve func(...Part)) error {
					serve(part("service", time.Second))
					serve(part("first device", time.Minute), part("second device", time.Hour))
					serve(part("page", time.Second))
					synctest.Wait()
					return tt.end(ctx, cancel, serve)
				})
				if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
					t.Errorf("got error %v, want %v", err, tt.want)
				}
				slices.Sort(log[2:4]) // who of them is first is chance
				want := []string{
					"page ends", "page has ended", "first device ends", "second device ends",
					"first device has ended", "second device has ended", "service ends", "service has ended",
				}
				if diff := cmp.Diff(want, log); diff != "" {
					t.Errorf("how it ended (-want +got):\n%s", diff)
				}
			})
		})
	}
}
