package provider

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/heraldpush/herald/provider/account"
	"github.com/heraldpush/herald/provider/audience"
	"github.com/heraldpush/herald/provider/outbox"
)

// hygiene does to device tokens what no answer is the occasion for.
type hygiene struct {
	book     *account.Book
	audience audience.Store
	outbox   outbox.Store
	logger   *slog.Logger
	// failed is told when what a message did to device tokens could not be undone.
	failed <-chan struct{}
}

// Of the loop.
const (
	// catchUpAgain is when it is tried again after a store failed.
	catchUpAgain = time.Minute
	// sweepEvery is how often device tokens are forgotten that have been gone for long,
	// and sweepAtOnce how many while others wait for the store.
	sweepEvery  = time.Hour
	sweepAtOnce = 256
	// appsAtOnce and messagesAtOnce are how many are read at once.
	appsAtOnce     = 256
	messagesAtOnce = 256
)

// Run catches up with what the process before may have ended before, and forgets device
// tokens that have been gone for long, every now and then, until ctx ends. A store that
// fails is asked again.
func (h *hygiene) Run(ctx context.Context) error {
	late := time.NewTimer(0)
	defer late.Stop()
	sweep := time.NewTicker(sweepEvery)
	defer sweep.Stop()
	for h.sweep(ctx, time.Now()); ; {
		select {
		case <-late.C:
			if err := h.catchUp(ctx); err != nil && ctx.Err() == nil {
				h.logger.LogAttrs(ctx, slog.LevelError, "what blown fuses did to device tokens is not undone yet, or not all told of messages",
					slog.Any("error", err), slog.Duration("retry_in", catchUpAgain))
				late.Reset(catchUpAgain)
			}
		case <-h.failed:
			late.Reset(catchUpAgain)
		case <-sweep.C:
			h.sweep(ctx, time.Now())
		case <-ctx.Done():
			return nil
		}
	}
}

// undoing is an audience.Store that tells when it could not undo.
type undoing struct {
	audience.Store
	failed chan<- struct{}
}

// Undo implements audience.Store.
func (u undoing) Undo(ctx context.Context, app audience.AppNumber, message [16]byte) (int, error) {
	n, err := u.Store.Undo(ctx, app, message)
	if err != nil {
		select {
		case u.failed <- struct{}{}:
		default: // it knows
		}
	}
	return n, err
}

// catchUp does what the process before may have ended before: it makes the device tokens
// good again that a message has called bad whose fuse has blown, and has told what is
// untold of messages.
func (h *hygiene) catchUp(ctx context.Context) error {
	var after account.AppID
	for {
		apps := h.book.Apps(after, appsAtOnce)
		for _, a := range apps {
			if err := h.catchUpApp(ctx, a.Number); err != nil {
				return err
			}
			after = a.ID
		}
		if len(apps) < appsAtOnce {
			return nil
		}
	}
}

func (h *hygiene) catchUpApp(ctx context.Context, app audience.AppNumber) error {
	var before outbox.MessageID
	for {
		messages, err := h.outbox.List(ctx, app, before, messagesAtOnce)
		if err != nil {
			return err
		}
		for _, m := range messages {
			before = m.ID
			if len(m.Untold) > 0 { // whoever tells what happens does so after each step
				if _, err := h.outbox.Step(ctx, m.ID, outbox.Told{}, nil, time.Now()); err != nil && !errors.Is(err, outbox.ErrNotFound) {
					return err
				}
			}
			if !m.Fuse.Blown {
				continue
			}
			n, err := h.audience.Undo(ctx, app, m.ID)
			if err != nil {
				return err
			}
			if n > 0 {
				h.logger.Warn("device tokens that a message called bad are good again: its fuse has blown",
					slog.Any("message", m.ID), slog.Int("device_tokens", n))
			}
		}
		if len(messages) < messagesAtOnce {
			return nil
		}
	}
}

// sweep forgets the device tokens that are gone for audience.GoneRetention. An error
// is no harm: it comes again in an hour.
func (h *hygiene) sweep(ctx context.Context, now time.Time) {
	total := 0
	for ctx.Err() == nil {
		n, err := h.audience.Sweep(ctx, now.Add(-audience.GoneRetention), sweepAtOnce)
		if err != nil && ctx.Err() == nil {
			h.logger.Error("device tokens that are gone were not forgotten", slog.Any("error", err))
		}
		if total += n; err != nil || n == 0 {
			break
		}
	}
	if total > 0 {
		h.logger.Info("device tokens that are gone were forgotten", slog.Int("device_tokens", total))
	}
}
