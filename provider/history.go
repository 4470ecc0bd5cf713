package provider

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"github.com/heraldpush/herald/provider/account"
	"github.com/heraldpush/herald/provider/audience"
	"github.com/heraldpush/herald/provider/outbox"
)

// history has the messages, wherever they are. They move one way: one that is not in
// the outbox any more is in the archive already, so that who looks first here and
// then there misses none.
type history struct {
	outbox  outbox.Reader
	archive outbox.Archive
}

// message returns a message of an app, or outbox.ErrNotFound.
func (h *history) message(ctx context.Context, app audience.AppNumber, id outbox.MessageID) (outbox.Message, error) {
	m, err := h.outbox.Message(ctx, id)
	switch {
	case errors.Is(err, outbox.ErrNotFound):
		return h.archive.Message(ctx, app, id)
	case err != nil:
		return outbox.Message{}, err
	case m.App != app:
		return outbox.Message{}, outbox.ErrNotFound
	}
	return m, nil
}

// shards returns up to limit shards of a message that there is, from a number on.
func (h *history) shards(ctx context.Context, app audience.AppNumber, id outbox.MessageID, from uint32, limit int) ([]outbox.Shard, error) {
	some, err := h.outbox.Shards(ctx, id, from, limit)
	if moved, merr := h.moved(ctx, id, err); !moved {
		return some, merr
	}
	return h.archive.Shards(ctx, app, id, from, limit)
}

// failures returns up to limit failures of a message that there is, after a place.
func (h *history) failures(ctx context.Context, app audience.AppNumber, id outbox.MessageID, after outbox.FailureAt, limit int) ([]outbox.ShardFailure, error) {
	some, err := h.outbox.Failures(ctx, id, after, limit)
	if moved, merr := h.moved(ctx, id, err); !moved {
		return some, merr
	}
	return h.archive.Failures(ctx, app, id, after, limit)
}

// moved reports whether a message is not in the outbox, or not any more, so that
// what was read of it there just now, with err, says nothing.
func (h *history) moved(ctx context.Context, id outbox.MessageID, err error) (bool, error) {
	if err == nil {
		_, err = h.outbox.Message(ctx, id)
	}
	if errors.Is(err, outbox.ErrNotFound) {
		return true, nil
	}
	return false, err
}

// list returns up to limit messages of an app that are older than one, the newest
// first; the zero ID is newer than all.
func (h *history) list(ctx context.Context, app audience.AppNumber, before outbox.MessageID, limit int) ([]outbox.Message, error) {
	waiting, err := h.outbox.List(ctx, app, before, limit)
	if err != nil {
		return nil, err
	}
	archived, err := h.archive.List(ctx, app, before, limit)
	if err != nil {
		return nil, err
	}
	all := append(waiting, archived...)
	slices.SortStableFunc(all, func(a, b outbox.Message) int { return bytes.Compare(b.ID[:], a.ID[:]) })
	all = slices.CompactFunc(all, func(a, b outbox.Message) bool { return a.ID == b.ID }) // moved meanwhile
	return all[:min(len(all), limit)], nil
}

// Messages returns up to limit messages of an app that are older than one, the
// newest first; the zero ID is that of none, and newer than all. The error may wrap
// account.ErrNotFound.
func (p *PushServer) Messages(ctx context.Context, app account.AppID, before outbox.MessageID, limit int) ([]outbox.Message, error) {
	a, err := p.book.App(app)
	if err != nil {
		return nil, err
	}
	return p.history.list(ctx, a.Number, before, limit)
}
