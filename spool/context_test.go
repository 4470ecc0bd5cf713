package spool_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/spool"
	"github.com/heraldpush/herald/spool/spooltest"
)

// TestStoreContext proves until when the store is waited for: StoreTimeout, or a
// deadline of the caller's that is sooner; and that a read ends with its caller,
// but no write.
func TestStoreContext(t *testing.T) {
	for _, tt := range []struct {
		name          string
		within        time.Duration // the caller's deadline; zero for none
		cancelled     time.Duration // when the caller goes; zero for never
		reads, writes time.Duration
	}{
		{"no deadline", 0, 0, 30 * time.Second, 30 * time.Second},
		{"sooner", time.Second, 0, time.Second, time.Second},
		{"later", time.Hour, 0, 30 * time.Second, 30 * time.Second},
		{"gone", 0, 2 * time.Second, 2 * time.Second, 30 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hang := func(ctx context.Context) error {
					<-ctx.Done()
					return ctx.Err()
				}
				r := open(t, spool.Config{Store: &faulty{Model: spooltest.NewModel(), onPut: hang, onLoad: hang}})
				for what, call := range map[string]struct {
					do   func(context.Context) error
					want time.Duration
				}{
					"offer": {func(ctx context.Context) error {
						_, err := r.Offer(ctx, to(1), deviceToken(1), notification(`{}`, 10, apns.Expiration{}))
						return err
					}, tt.writes},
					"attach": {func(ctx context.Context) error {
						_, err := r.Attach(ctx, 1, apns.Production, spool.NewBell())
						return err
					}, tt.reads},
				} {
					ctx, cancel := context.WithCancel(t.Context())
					if tt.within > 0 {
						ctx, cancel = context.WithTimeout(t.Context(), tt.within)
					}
					if tt.cancelled > 0 {
						time.AfterFunc(tt.cancelled, cancel)
					}
					began := time.Now()
					if err := call.do(ctx); err == nil {
						t.Errorf("%s: got no error", what)
					}
					if got := time.Since(began); got != call.want {
						t.Errorf("%s: ended after %v, want %v", what, got, call.want)
					}
					cancel()
				}
			})
		})
	}
}

// TestStoreFull proves that a sender is told to come later when the store has no
// room, and not that something is broken.
func TestStoreFull(t *testing.T) {
	r := open(t, spool.Config{Store: &faulty{
		Model: spooltest.NewModel(), onPut: func(context.Context) error { return spool.ErrStoreFull },
	}})
	_, err := r.Offer(t.Context(), to(1), deviceToken(1), notification(`{}`, 10, apns.Expiration{}))
	got, ok := errors.AsType[*apns.Rejection](err)
	if !ok || got.Reason != apns.ServiceUnavailable || got.RetryAfter <= 0 {
		t.Errorf("got %v, want %s with a time to come back", err, apns.ServiceUnavailable)
	}
}
