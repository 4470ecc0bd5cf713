package provider

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/heraldpush/herald/provider/account"
	"github.com/heraldpush/herald/provider/audience"
	"github.com/heraldpush/herald/provider/event"
	"github.com/heraldpush/herald/provider/outbox"
)

// teller adds to the log of events what happens in the rooms. It stands between the
// loops and the stores, so that nothing happens to a message or a device token that it
// does not see, whoever does it.
//
// What happens is told at least once, whenever the process ends: what happens to a
// message is stored as untold, what answers say of a device token is told first. That
// device tokens are restored alone is told afterwards, and may be lost.
type teller struct {
	log    *event.Log
	book   *account.Book
	logger *slog.Logger
}

// failed says that something was not told.
func (t *teller) failed(ctx context.Context, err error) {
	t.logger.LogAttrs(ctx, slog.LevelError, "events were not told", slog.Any("error", err))
}

// app returns the ID of an app. One that is not known has none.
func (t *teller) app(n audience.AppNumber) account.AppID {
	a, err := t.book.AppOfNumber(n)
	if err != nil {
		return ""
	}
	return a.ID
}

// toldOutbox is an outbox.Store that tells what happens to messages. That is stored with
// them, and taken away when it was told: what nobody got to tell is told again by the
// next process, or by who archives them, and is the same event.
type toldOutbox struct {
	outbox.Store
	*teller
}

// Step implements outbox.Store.
func (o toldOutbox) Step(ctx context.Context, id outbox.MessageID, e outbox.Event, shards []outbox.Shard, now time.Time) (outbox.Message, error) {
	m, err := o.Store.Step(ctx, id, e, shards, now)
	if err == nil {
		o.tell(ctx, &m)
	}
	return m, err
}

// Checkpoint implements outbox.Store.
func (o toldOutbox) Checkpoint(ctx context.Context, all []outbox.Progress, now time.Time) ([]outbox.Checked, error) {
	checked, err := o.Store.Checkpoint(ctx, all, now)
	for n := range checked {
		if c := &checked[n]; c.Err != nil || len(c.Status.Untold) == 0 {
			continue
		}
		m, err := o.Message(ctx, all[n].Message)
		switch {
		case errors.Is(err, outbox.ErrNotFound): // it was told by who archived it
		case err != nil:
			o.failed(ctx, err)
		default:
			o.tell(ctx, &m)
		}
	}
	return checked, err
}

// tell tells what happened to a message, if there is something. If that fails it is told
// later: nobody waits for it.
func (o toldOutbox) tell(ctx context.Context, m *outbox.Message) {
	if len(m.Untold) == 0 {
		return
	}
	ctx = context.WithoutCancel(ctx)
	events, err := event.OfTurns(o.app(m.App), m)
	if err == nil {
		err = o.log.Append(ctx, events...)
	}
	if err == nil {
		_, err = o.Store.Step(ctx, m.ID, outbox.Told{Turns: m.Untold}, nil, now())
	}
	if err != nil && !errors.Is(err, outbox.ErrNotFound) {
		o.failed(ctx, err)
	}
}

// toldArchive is an outbox.Archive that tells the end of messages, before they are in
// it: until they are, they stay in the outbox, and so it is told whatever happens. What
// is told again is the same event.
type toldArchive struct {
	outbox.Archive
	*teller
}

// Put implements outbox.Archive.
func (a toldArchive) Put(ctx context.Context, all []outbox.Finished) error {
	var events []event.Event
	for n := range all {
		m := &all[n].Message
		turns, err := event.OfTurns(a.app(m.App), m)
		if err != nil {
			return err
		}
		events = append(events, turns...)
		if !event.Worth(m) {
			continue
		}
		e, err := event.OfEnd(a.app(m.App), m)
		if err != nil {
			return err
		}
		events = append(events, e)
	}
	if err := a.log.Append(ctx, events...); err != nil {
		return err
	}
	for n := range all {
		all[n].Message.Untold = nil
	}
	return a.Archive.Put(ctx, all)
}

// toldAudience is an audience.Store that tells what becomes of device tokens by answers.
type toldAudience struct {
	audience.Store
	*teller
}

// Rule implements audience.Store. What it tells is in the log before it is stored: it was
// said by the push service, whether it is noted or not.
func (a toldAudience) Rule(ctx context.Context, app audience.AppNumber, rulings []audience.Ruling) error {
	var all []event.Judged
	for _, r := range rulings {
		if !event.IsWorse(&r) {
			continue
		}
		i, err := installationAt(ctx, a.Store, app, r.Ordinal)
		switch {
		case errors.Is(err, audience.ErrNotFound): // it was removed meanwhile
		case err != nil:
			return err
		default:
			all = append(all, event.Judged{Installation: i.ID, Ruling: r})
		}
	}
	if len(all) > 0 {
		events, err := event.OfDeviceTokens(a.app(app), all, now())
		if err == nil {
			err = a.log.Append(ctx, events...)
		}
		if err != nil {
			return err
		}
	}
	return a.Store.Rule(ctx, app, rulings)
}

// Undo implements audience.Store.
func (a toldAudience) Undo(ctx context.Context, app audience.AppNumber, message [16]byte) (int, error) {
	n, err := a.Store.Undo(ctx, app, message)
	if err == nil && n > 0 {
		e, err := event.OfRestored(a.app(app), message, n, now())
		if err == nil {
			err = a.log.Append(context.WithoutCancel(ctx), e)
		}
		if err != nil {
			a.failed(ctx, err)
		}
	}
	return n, err
}
