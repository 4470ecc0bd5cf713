package provider

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/heraldpush/herald/provider/event"
)

// reportEvery is how often it is looked whether a credential is to end soon, and which
// events are too old.
const reportEvery = time.Hour

// reporter tells what comes with time alone, and keeps the log of events within its
// bounds.
type reporter struct {
	*teller
	keep event.Retention
}

// Run does so until ctx ends. What fails is logged and tried again the next time.
func (r *reporter) Run(ctx context.Context) error {
	tick := time.NewTicker(reportEvery)
	defer tick.Stop()
	for {
		if err := r.round(ctx, time.Now()); err != nil && ctx.Err() == nil {
			r.logger.LogAttrs(ctx, slog.LevelError, "the round of every hour", slog.Any("error", err))
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func (r *reporter) round(ctx context.Context, at time.Time) error {
	// Noted as given when it is in the log: the event of a notice that is given
	// again is the same.
	if due := r.book.Expiries(at); len(due) > 0 {
		var events []event.Event
		for _, x := range due {
			r.logger.LogAttrs(ctx, slog.LevelWarn, "a credential ends", slog.Any("expiry", x))
			e, err := event.OfExpiry(x, at)
			if err != nil {
				return err
			}
			events = append(events, e)
		}
		if err := r.log.Append(ctx, events...); err != nil {
			return err
		}
		if err := r.book.ToldExpiries(ctx, due); err != nil {
			return err
		}
	}
	if _, err := r.log.Trim(ctx, r.keep, at); err != nil {
		return fmt.Errorf("removing old events: %w", err)
	}
	return nil
}
