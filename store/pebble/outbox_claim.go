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
func (o *Outbox) Claim(ctx context.Context, w outbox.Wanted, now time.Time) (claims []outbox.Claim, err error) {
	err = o.errand(ctx, func(b *engine.Batch) (err error) {
		claims, err = o.claim(b, &w, now)
		return broken(err)
	})
	return claims, err
}

func (o *Outbox) claim(b *engine.Batch, w *outbox.Wanted, now time.Time) (claims []outbox.Claim, err error) {
	from, ok := o.lines[w.Queue]
	if !ok {
		return nil, nil
	}
	var idle []shardID // of messages that are not running: they wait no more
	known := make(map[outbox.MessageID]*outbox.Message)
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
		m := known[r.shard.message]
		if m == nil {
			read, err := o.message(b, r.shard.message)
			if err != nil {
				return false, err
			}
			m = &read
			known[r.shard.message] = m
		}
		if !m.State.Running() {
			idle = append(idle, r.shard)
			return true, nil
		}
		s, err := o.shard(b, r.shard)
		if err != nil {
			return false, err
		}
		h := hold{o.nextFence(), w.Until}
		o.holds[r.shard] = h
		claims = append(claims, outbox.Claim{Message: &m.Intent, Shard: s, Fence: h.fence})
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
	before, err := o.message(b, p.Message)
	if err != nil {
		return before.Status, err
	}
	s, err := o.shard(b, id)
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
	if err := b.Set(shardKey(shardKind, id), s.Append(nil), nil); err != nil {
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
func (o *Outbox) Ready(ctx context.Context, now time.Time) (queues []outbox.Queue, next time.Time, err error) {
	sooner := func(t time.Time) {
		if next.IsZero() || t.Before(next) {
			next = t
		}
	}
	err = o.errand(ctx, func(b *engine.Batch) error {
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
	slices.SortFunc(queues, func(a, b outbox.Queue) int { return cmp.Or(cmp.Compare(a.Lane, b.Lane), cmp.Compare(a.App, b.App)) })
	return queues, next, err
}

// Ended implements outbox.Store.
func (o *Outbox) Ended(ctx context.Context, now time.Time, limit int) (all []outbox.Message, err error) {
	err = o.errand(ctx, func(b *engine.Batch) error {
		held := make(map[outbox.MessageID]bool)
		for id, h := range o.holds {
			if h.until.After(now) {
				held[id.message] = true
			}
		}
		return broken(each(b, []byte{endedKind}, []byte{endedKind + 1}, func(key, _ []byte) (bool, error) {
			if len(all) >= limit {
				return false, nil
			}
			id := outbox.MessageID(key[1+8:])
			if held[id] {
				return true, nil
			}
			m, err := o.message(b, id)
			all = append(all, m)
			return true, err
		}))
	})
	return all, err
}
