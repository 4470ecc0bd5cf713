package pebble

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	engine "github.com/cockroachdb/pebble/v2"

	"github.com/heraldpush/herald/provider/outbox"
)

// Claim implements outbox.Store.
func (o *Outbox) Claim(ctx context.Context, w outbox.Wanted, now time.Time) ([]outbox.Claim, error) {
	var claims []outbox.Claim
	err := o.errand(ctx, func(b *engine.Batch) (err error) {
		claims, err = o.claim(b, &w, now)
		return broken(err)
	})
	if err != nil {
		return nil, err
	}
	return claims, nil
}

func (o *Outbox) claim(b *engine.Batch, w *outbox.Wanted, now time.Time) (claims []outbox.Claim, err error) {
	from, ok := o.lines[w.Queue]
	if !ok {
		return nil, nil
	}
	var idle []shardID // of messages that are not running: they wait no more
	known := make(map[outbox.MessageID]*outbox.Intent)
	members, begun := 0, false
	err = each(b, from, after(appendQueue(nil, w.Queue)), func(key, _ []byte) (bool, error) {
		r, err := parseReadyKey(key)
		if err != nil {
			return false, err
		}
		if !begun {
			o.lines[w.Queue], begun = append([]byte(nil), key...), true
		}
		if r.due > millis(now) {
			return false, nil
		}
		if h, held := o.holds[r.shard]; held && h.until.After(now) {
			return true, nil
		}
		m, err := o.look(b, r.shard.message)
		if err != nil {
			return false, err
		}
		if !m.State.Running() {
			idle = append(idle, r.shard)
			return true, nil
		}
		intent := known[m.ID]
		if intent == nil {
			own := m.Intent
			intent = &own
			known[m.ID] = intent
		}
		s, err := o.lookAtShard(b, r.shard)
		if err != nil {
			return false, err
		}
		h := hold{o.nextFence(), w.Until}
		o.holds[r.shard] = h
		claims = append(claims, outbox.Claim{Message: intent, Shard: s, Fence: h.fence})
		members += s.Receipts.Count()[outbox.Pending]
		return len(claims) < w.Shards && members < w.Members, nil
	})
	if err == nil && !begun {
		delete(o.lines, w.Queue)
	}
	for _, id := range idle {
		err = errors.Join(err, o.leave(b, w.Queue, id))
	}
	return claims, err
}

// Checkpoint implements outbox.Store.
func (o *Outbox) Checkpoint(ctx context.Context, all []outbox.Progress, now time.Time) ([]outbox.Checked, error) {
	checked := make([]outbox.Checked, len(all))
	err := o.errand(ctx, func(b *engine.Batch) error {
		for i := range all {
			status, err := o.check(b, &all[i], now)
			if err != nil && !errors.Is(err, outbox.ErrFenced) && !errors.Is(err, errOtherShard) {
				return broken(err)
			}
			checked[i] = outbox.Checked{Status: status, Err: err}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return checked, nil
}

// errOtherShard says that a Progress is of a shard with other members.
var errOtherShard = errors.New("the receipts are not those of the shard's members")

func (o *Outbox) check(b *engine.Batch, p *outbox.Progress, now time.Time) (outbox.Status, error) {
	id := shardID{p.Message, p.Shard}
	if h, held := o.holds[id]; !held || h.fence != p.Fence {
		return outbox.Status{}, outbox.ErrFenced
	}
	kept, err := o.look(b, p.Message)
	if err != nil {
		return outbox.Status{}, err
	}
	before := kept.Message
	s, err := o.lookAtShard(b, id)
	if err != nil {
		return before.Status, err
	}
	e, ok := p.Answered(&s)
	if !ok {
		return before.Status, errOtherShard
	}
	after := before
	if after.Status, err = before.Step(e, now); err != nil {
		return before.Status, err
	}
	s.Receipts = p.Receipts
	pending := s.Receipts.Cursor() < s.Receipts.Len()
	if p.Release && pending {
		s.Pass++
	}
	value := s.Append(nil)
	if only := o.recent.only(id); only != nil {
		only.shard = value
	}
	if err := b.Set(shardKey(shardKind, id), value, nil); err != nil {
		return before.Status, err
	}
	for i := range p.Failures {
		f := &p.Failures[i]
		if err := b.Set(failureKey(id, uint32(f.Rank)), f.Append(nil), nil); err != nil { //nolint:gosec // a rank
			return before.Status, err
		}
	}
	if !p.Release && pending {
		o.holds[id] = hold{p.Fence, p.Until}
	} else {
		delete(o.holds, id)
		if err := o.leave(b, queueOf(&after.Intent), id); err != nil {
			return before.Status, err
		}
		if pending && after.State.Running() {
			if err := o.lineUp(b, queueOf(&after.Intent), id, p.Next); err != nil {
				return before.Status, err
			}
		}
	}
	return after.Status, o.putStatus(b, &before, &after)
}

// Ready implements outbox.Store.
func (o *Outbox) Ready(ctx context.Context, now time.Time) ([]outbox.Queue, time.Time, error) {
	var (
		queues []outbox.Queue
		next   time.Time
	)
	sooner := func(t time.Time) {
		if next.IsZero() || t.Before(next) {
			next = t
		}
	}
	err := o.errand(ctx, func(b *engine.Batch) error {
		for q, from := range o.lines {
			found := false
			err := each(b, from, after(appendQueue(nil, q)), func(key, _ []byte) (bool, error) {
				r, err := parseReadyKey(key)
				if err != nil {
					return false, err
				}
				if r.due > millis(now) {
					sooner(time.UnixMilli(int64(r.due)).UTC()) //nolint:gosec // as it was stored
					return false, nil
				}
				if h, held := o.holds[r.shard]; held && h.until.After(now) {
					sooner(h.until)
					return true, nil
				}
				found = true
				return false, nil
			})
			if err != nil {
				return broken(err)
			}
			if found {
				queues = append(queues, q)
			}
		}
		return nil
	})
	if err != nil {
		return nil, time.Time{}, err
	}
	slices.SortFunc(queues, func(a, b outbox.Queue) int { return cmp.Or(cmp.Compare(a.Lane, b.Lane), cmp.Compare(a.App, b.App)) })
	return queues, next, nil
}
