package provider

import (
	"context"
	"errors"
	"log/slog"
	"sync"
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
// What happens is told when it is stored; that is lost if the process ends in between,
// or there is no room for it.
type teller struct {
	log    *event.Log
	book   *account.Book
	logger *slog.Logger
}

// add adds events of which nobody waits for the outcome.
func (t *teller) add(ctx context.Context, events []event.Event, err error) {
	if err == nil {
		err = t.log.Append(context.WithoutCancel(ctx), events...)
	}
	if err != nil {
		t.logger.LogAttrs(ctx, slog.LevelError, "events were not told", slog.Int("events", len(events)), slog.Any("error", err))
	}
}

// addOne adds an event of which nobody waits for the outcome.
func (t *teller) addOne(ctx context.Context, e event.Event, err error) {
	t.add(ctx, []event.Event{e}, err)
}

// app returns the ID of an app. One that is not known has none.
func (t *teller) app(n audience.AppNumber) account.AppID {
	a, err := t.book.AppOfNumber(n)
	if err != nil {
		return ""
	}
	return a.ID
}

// toldOutbox is an outbox.Store that tells what happens to messages.
type toldOutbox struct {
	outbox.Store
	*teller

	mu    sync.Mutex
	blown map[outbox.MessageID]bool // that were told to be paused by their fuse; guarded by mu
}

// maxBlown is how many messages are remembered at a time whose fuse has blown. It is
// told again of one that was forgotten and is answered still.
const maxBlown = 1000

func newToldOutbox(s outbox.Store, t *teller) *toldOutbox {
	return &toldOutbox{Store: s, teller: t, blown: make(map[outbox.MessageID]bool)}
}

// Step implements outbox.Store.
func (o *toldOutbox) Step(ctx context.Context, id outbox.MessageID, e outbox.Event, shards []outbox.Shard, now time.Time) (outbox.Message, error) {
	m, err := o.Store.Step(ctx, id, e, shards, now)
	if err != nil {
		return m, err
	}
	var kind event.Kind
	switch e := e.(type) {
	case outbox.Start, outbox.Bound:
		kind = event.MessageStarted
	case outbox.Extend:
		if e.Done { // where nobody was there when it began; otherwise it is the same event
			kind = event.MessageStarted
		}
	case outbox.Pause:
		kind = event.MessagePaused
	case outbox.Resume:
		kind = event.MessageResumed
		o.forget(id)
	default:
	}
	if kind != "" {
		told, err := event.OfMessage(o.app(m.App), kind, &m, now)
		o.addOne(ctx, told, err)
	}
	return m, nil
}

// Checkpoint implements outbox.Store.
func (o *toldOutbox) Checkpoint(ctx context.Context, all []outbox.Progress, now time.Time) ([]outbox.Checked, error) {
	checked, err := o.Store.Checkpoint(ctx, all, now)
	for n := range checked {
		c, id := &checked[n], all[n].Message
		blown := c.Status.Fuse.Blown && c.Status.Why == outbox.WhyFuse
		if c.Err != nil || !blown || !o.first(id) {
			continue
		}
		m, err := o.Message(ctx, id)
		switch {
		case errors.Is(err, outbox.ErrNotFound): // it has ended since
		case err != nil:
			o.addOne(ctx, event.Event{}, err)
		default:
			told, err := event.OfMessage(o.app(m.App), event.MessagePaused, &m, now)
			o.addOne(ctx, told, err)
		}
	}
	return checked, err
}

// first notes that the fuse of a message has blown, and reports whether that is new.
func (o *toldOutbox) first(id outbox.MessageID) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.blown[id] {
		return false
	}
	if len(o.blown) >= maxBlown {
		clear(o.blown)
	}
	o.blown[id] = true
	return true
}

func (o *toldOutbox) forget(id outbox.MessageID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.blown, id)
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
	return a.Archive.Put(ctx, all)
}

// toldAudience is an audience.Store that tells what becomes of device tokens by answers.
type toldAudience struct {
	audience.Store
	*teller
}

// Rule implements audience.Store.
func (a toldAudience) Rule(ctx context.Context, app audience.AppNumber, rulings []audience.Ruling) error {
	if err := a.Store.Rule(ctx, app, rulings); err != nil {
		return err
	}
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
		a.add(ctx, events, err)
	}
	return nil
}

// Undo implements audience.Store.
func (a toldAudience) Undo(ctx context.Context, app audience.AppNumber, message [16]byte) (int, error) {
	n, err := a.Store.Undo(ctx, app, message)
	if err == nil && n > 0 {
		e, err := event.OfRestored(a.app(app), message, n, now())
		a.addOne(ctx, e, err)
	}
	return n, err
}
