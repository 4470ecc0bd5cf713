package pebble

import (
	"context"
	"errors"
	"time"

	engine "github.com/cockroachdb/pebble/v2"

	"github.com/heraldpush/herald/provider/outbox"
)

// Ended implements outbox.Store.
func (o *Outbox) Ended(ctx context.Context, now time.Time, limit int) ([]outbox.Message, error) {
	var found []outbox.Message
	unread := make(map[outbox.MessageID]bool) // those of which only the ID was at hand
	err := o.errand(ctx, func(b *engine.Batch) (err error) {
		found, err = o.findEnded(b, now, limit, unread)
		return broken(err)
	})
	if err != nil {
		return nil, err
	}
	if len(unread) == 0 {
		return found, nil
	}
	var all []outbox.Message
	err = o.read(ctx, func(r engine.Reader) error {
		for _, m := range found {
			if unread[m.ID] {
				var err error
				m, err = o.message(r, m.ID)
				if errors.Is(err, outbox.ErrNotFound) { // removed meanwhile
					continue
				}
				if err != nil {
					return err
				}
			}
			all = append(all, m)
		}
		return nil
	})
	return all, err
}

// findEnded finds messages that have ended. Whoever held a shard of them for too
// long holds it no more, so that they do not change.
func (o *Outbox) findEnded(b *engine.Batch, now time.Time, limit int, unread map[outbox.MessageID]bool) (found []outbox.Message, err error) {
	held := make(map[outbox.MessageID]bool)
	late := make(map[outbox.MessageID][]shardID)
	for id, h := range o.holds {
		if h.until.After(now) {
			held[id.message] = true
		} else {
			late[id.message] = append(late[id.message], id)
		}
	}
	// What was removed leaves traces that are slow to pass.
	begun := false
	err = each(b, o.ended, []byte{endedKind + 1}, func(key, _ []byte) (bool, error) {
		if !begun {
			o.ended, begun = append([]byte(nil), key...), true
		}
		if len(found) >= limit {
			return false, nil
		}
		id := outbox.MessageID(key[1+8:])
		if held[id] {
			return true, nil
		}
		for _, shard := range late[id] {
			delete(o.holds, shard)
		}
		if kept := o.recent.of[id]; kept != nil {
			found = append(found, kept.Message)
			return true, nil
		}
		found = append(found, outbox.Message{Intent: outbox.Intent{ID: id}})
		unread[id] = true
		return true, nil
	})
	if err == nil && !begun {
		o.ended = []byte{endedKind + 1}
	}
	return found, err
}
