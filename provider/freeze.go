package provider

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/heraldpush/herald/provider/audience"
	"github.com/heraldpush/herald/provider/outbox"
)

// freezer does what is to be done to a message by itself when its time comes: it
// begins one that was scheduled, finds out whom one for a tag or for everybody is
// for, and ends one that was paused for too long. One of a process does so.
//
// An audience is frozen piece by piece: each adds shards, which are sent from then
// on, and moves the message's cursor, in one change of the outbox. So freezing goes
// on where it was when a process ends, no installation is in two shards, and no
// message for many has another wait. Whom it looks at is bounded when it begins:
// who registers later is not meant.
type freezer struct {
	outbox   outbox.Store
	audience audience.Store
	logger   *slog.Logger
	// added is called when there is something to be sent. It must not block.
	added func()

	wake chan struct{} // holds one
}

func newFreezer(o outbox.Store, a audience.Store, logger *slog.Logger, added func()) *freezer {
	return &freezer{outbox: o, audience: a, logger: logger, added: added, wake: make(chan struct{}, 1)}
}

// Wake has the outbox looked at: something was submitted, resumed or paused.
func (f *freezer) Wake() {
	select {
	case f.wake <- struct{}{}:
	default: // it has been told
	}
}

// Of the freezer's rounds.
const (
	// dueAtOnce bounds the messages of a round.
	dueAtOnce = 256
	// firstShards and maxShards are how many shards the first and the later
	// pieces of an audience have: sending is to begin soon, and then to be
	// disturbed little.
	firstShards = 4
	maxShards   = 64
	// fullWait is how long a message is left alone for which there was no room.
	fullWait = 5 * time.Second
	// idleWait is how long it takes at least until a round is repeated that could
	// do nothing.
	idleWait = 100 * time.Millisecond
	// lookEvery is how often the outbox is looked at that nobody spoke of: a fuse
	// that blows pauses a message without a word, and it ends at its deadline.
	lookEvery = time.Minute
)

// Run does so until ctx ends. The error is that of a store, which ends it too.
func (f *freezer) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		next, err := f.round(ctx)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // it was cut off
		}
		if err != nil {
			return err
		}
		f.wait(ctx, next)
	}
	return nil
}

// wait returns at a time, when there is something new, or when ctx ends.
func (f *freezer) wait(ctx context.Context, next time.Time) {
	sleep := lookEvery
	if !next.IsZero() {
		sleep = min(sleep, time.Until(next))
	}
	timer := time.NewTimer(sleep)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-f.wake:
	case <-ctx.Done():
	}
}

// round does what is due, of each message a piece, and returns when it is to be
// done again.
func (f *freezer) round(ctx context.Context) (next time.Time, err error) {
	now := time.Now()
	due, next, err := f.outbox.Due(ctx, now, dueAtOnce)
	if err != nil {
		return next, err
	}
	again, wait := false, idleWait
	for i := range due {
		goesOn, err := f.advance(ctx, &due[i], now)
		switch {
		case errors.Is(err, outbox.ErrState), errors.Is(err, outbox.ErrNotFound): // somebody was before us
		case errors.Is(err, outbox.ErrFull):
			f.logger.LogAttrs(ctx, slog.LevelWarn, "no room in the outbox for the audience of a message",
				slog.Any("message", due[i].ID), slog.Duration("again_in", fullWait))
			wait = fullWait
		case err != nil:
			return next, err
		}
		again = again || goesOn
	}
	switch soon := now.Add(wait); {
	case again:
		return now, nil
	case len(due) > 0 && (next.IsZero() || next.After(soon)):
		return soon, nil
	}
	return next, nil
}

// advance takes a message one step further, and reports whether there is another
// at once.
func (f *freezer) advance(ctx context.Context, m *outbox.Message, now time.Time) (goesOn bool, err error) {
	switch {
	case !now.Before(m.Deadline):
		_, err = f.outbox.Step(ctx, m.ID, outbox.Overdue{}, nil, now)
	case m.State == outbox.StateScheduled:
		if _, err = f.outbox.Step(ctx, m.ID, outbox.Start{}, nil, now); err == nil {
			f.added()
		}
	case m.State == outbox.StateSnapshotting:
		return f.freeze(ctx, *m)
	}
	return err == nil, err
}

// errEnough ends a selection.
var errEnough = errors.New("enough for now")

// freeze adds the next shards to a message, and reports whether there may be more.
func (f *freezer) freeze(ctx context.Context, m outbox.Message) (more bool, err error) {
	if m.Below == 0 {
		below, err := f.audience.Bound(ctx, m.App)
		if err == nil && below > 0 {
			m, err = f.outbox.Step(ctx, m.ID, outbox.Bound{Below: below}, nil, time.Now())
		}
		if err != nil {
			return false, err
		}
	}
	most := maxShards
	if m.Counts.Targeted == 0 {
		most = firstShards
	}
	e := outbox.Extend{Next: m.Next}
	var shards []outbox.Shard
	selection := audience.Selection{Use: m.Use, Tag: m.Tag, From: m.Next, Below: m.Below}
	err = f.audience.Select(ctx, m.App, selection, func(c audience.Chunk, members *audience.Members) error {
		if len(shards) == most {
			return errEnough
		}
		s := outbox.NewShard(c, members)
		shards = append(shards, s)
		e.Members += s.Receipts.Len()
		e.Next = c + 1
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return false, err
	}
	e.Done = err == nil
	if _, err = f.outbox.Step(ctx, m.ID, e, shards, time.Now()); err != nil {
		return false, err
	}
	if len(shards) > 0 {
		f.added()
	}
	return !e.Done, nil
}
