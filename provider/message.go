package provider

import (
	"context"
	"errors"

	"github.com/heraldpush/herald/provider/account"
	"github.com/heraldpush/herald/provider/audience"
	"github.com/heraldpush/herald/provider/outbox"
)

// Message returns a message of an app. The error may wrap account.ErrNotFound or
// outbox.ErrNotFound.
func (p *PushServer) Message(ctx context.Context, app account.AppID, id outbox.MessageID) (outbox.Message, error) {
	a, err := p.book.App(app)
	if err != nil {
		return outbox.Message{}, err
	}
	return p.history.message(ctx, a.Number, id)
}

// Pause stops sending a message until Resume. The error may wrap
// account.ErrNotFound, outbox.ErrNotFound or outbox.ErrState.
func (p *PushServer) Pause(ctx context.Context, app account.AppID, id outbox.MessageID) (outbox.Message, error) {
	return p.step(ctx, app, id, outbox.Pause{Why: outbox.WhyAsked})
}

// Resume goes on sending a message. The error is as that of Pause.
func (p *PushServer) Resume(ctx context.Context, app account.AppID, id outbox.MessageID) (outbox.Message, error) {
	return p.step(ctx, app, id, outbox.Resume{})
}

// Cancel ends a message: who was not sent it will not be. The error is as that of
// Pause.
func (p *PushServer) Cancel(ctx context.Context, app account.AppID, id outbox.MessageID) (outbox.Message, error) {
	return p.step(ctx, app, id, outbox.Cancel{})
}

func (p *PushServer) step(ctx context.Context, app account.AppID, id outbox.MessageID, e outbox.Event) (outbox.Message, error) {
	m, err := p.Message(ctx, app, id)
	if err != nil {
		return outbox.Message{}, err
	}
	stepped, err := p.outbox.Step(ctx, id, e, nil, now())
	p.wake() // also after an error, as in Send
	switch {
	case errors.Is(err, outbox.ErrNotFound): // it is in the archive: it has ended
		if m, err = p.Message(ctx, app, id); err == nil {
			_, err = m.Step(e, now())
		}
		return outbox.Message{}, err
	case err != nil:
		return outbox.Message{}, err
	}
	return stepped, nil
}

// Undo makes the device tokens good again that the answers to a message called bad
// or gone, and returns how many there were. The error is as that of Message.
func (p *PushServer) Undo(ctx context.Context, app account.AppID, id outbox.MessageID) (int, error) {
	m, err := p.Message(ctx, app, id)
	if err != nil {
		return 0, err
	}
	return p.audience.Undo(ctx, m.App, id)
}

// MessageFailure is why a message was refused for one of those it is for.
type MessageFailure struct {
	outbox.ShardFailure
	// Installation is the one that was meant; empty if it was removed since, or a
	// device token was named.
	Installation audience.InstallationID
	// Target is the device token that was named; the zero value otherwise.
	Target outbox.Addressee
}

// Failures returns up to limit failures of a message, after a place. The error is as
// that of Message.
func (p *PushServer) Failures(ctx context.Context, app account.AppID, id outbox.MessageID, after outbox.FailureAt, limit int) ([]MessageFailure, error) {
	m, err := p.Message(ctx, app, id)
	if err != nil {
		return nil, err
	}
	found, err := p.history.failures(ctx, m.App, id, after, limit)
	if err != nil {
		return nil, err
	}
	all := make([]MessageFailure, 0, len(found))
	var of rankings
	for _, f := range found {
		failure := MessageFailure{ShardFailure: f}
		s, err := of.shard(ctx, &p.history, &m, f.Shard)
		switch {
		case err != nil:
			return nil, err
		case s == nil || f.Rank >= s.Receipts.Len():
		case s.Members == nil:
			failure.Target = s.Listed[f.Rank]
		default:
			i, err := p.installationAt(ctx, m.App, s.Chunk().Ordinal(of.slots[f.Rank]))
			if err != nil && !errors.Is(err, audience.ErrNotFound) {
				return nil, err
			}
			failure.Installation = i.ID
		}
		all = append(all, failure)
	}
	return all, nil
}

// rankings keeps the last shard that was asked for, as failures are by shard.
type rankings struct {
	last  *outbox.Shard
	slots []audience.Slot // of its members, by rank
}

// shard returns a shard of a message, nil if there is none.
func (r *rankings) shard(ctx context.Context, from *history, m *outbox.Message, number uint32) (*outbox.Shard, error) {
	if r.last != nil && r.last.Number == number {
		return r.last, nil
	}
	r.last, r.slots = nil, nil
	some, err := from.shards(ctx, m.App, m.ID, number, 1)
	if err != nil || len(some) == 0 || some[0].Number != number {
		return nil, err
	}
	r.last = &some[0]
	if m := r.last.Members; m != nil {
		for _, s := range m.All() {
			r.slots = append(r.slots, s)
		}
	}
	return r.last, nil
}
