package dispatch

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/heraldpush/herald/provider/audience"
	"github.com/heraldpush/herald/provider/outbox"
)

// rulingsAtOnce is how many rulings of a checkpoint are handed over at once.
const rulingsAtOnce = 1024

// checkpoint stores what has changed, gives back what is done, and carries out what
// the answers say of device tokens.
func (l *load) checkpoint(ctx context.Context) error {
	now := time.Now()
	all, parcels, judgments := l.progress(now)
	if len(all) == 0 {
		return nil
	}
	checked, err := l.cfg.Outbox.Checkpoint(ctx, all, now)
	if err != nil {
		return err
	}
	undo := make(map[outbox.MessageID]bool)
	var believed [][]judgment
	l.mu.Lock()
	for n, c := range checked {
		p := parcels[n]
		if c.Err != nil { // another has it now, and its results
			p.stopped, p.released = true, true
			continue
		}
		p.stopped = p.stopped || !c.Status.State.Running()
		p.released = all[n].Release
		if c.Status.Fuse.Blown {
			undo[all[n].Message] = true
		} else {
			believed = append(believed, judgments[n])
		}
	}
	l.mu.Unlock()
	// What is not noted of a device token the next answer says again: nothing waits
	// for a store that has no room for it.
	if err := l.rule(ctx, believed); err != nil {
		l.cfg.Logger.LogAttrs(ctx, slog.LevelError, "what answers said of device tokens was not noted", slog.Any("app_number", l.queue.App), slog.Any("error", err))
	}
	if err := l.blownMeanwhile(ctx, believed, undo); err != nil {
		return err
	}
	for id := range undo {
		if _, err := l.cfg.Audience.Undo(ctx, l.queue.App, id); err != nil {
			l.cfg.Logger.LogAttrs(ctx, slog.LevelError, "device tokens that a message called bad are not good again, though its fuse has blown", slog.Any("message", id), slog.Any("error", err))
		}
	}
	return nil
}

// blownMeanwhile adds to undo the messages of rulings whose fuse has blown since they were
// believed: another worker saw it, and may have undone what there was before them.
func (l *load) blownMeanwhile(ctx context.Context, ruled [][]judgment, undo map[outbox.MessageID]bool) error {
	looked := make(map[outbox.MessageID]bool)
	for _, some := range ruled {
		for _, j := range some {
			id := outbox.MessageID(j.after.JudgedBy)
			if j.after.State == audience.Active || looked[id] {
				continue
			}
			looked[id] = true
			switch m, err := l.cfg.Outbox.Message(ctx, id); {
			case errors.Is(err, outbox.ErrNotFound): // it has ended
			case err != nil:
				return err
			case m.Fuse.Blown:
				undo[id] = true
			}
		}
	}
	return nil
}

// rule carries out judgments.
func (l *load) rule(ctx context.Context, all [][]judgment) error {
	var rulings []audience.Ruling
	for _, some := range all {
		for _, j := range some {
			if rulings == nil {
				rulings = make([]audience.Ruling, 0, rulingsAtOnce)
			}
			if rulings = append(rulings, audience.Ruling{Target: *j.target, After: j.after}); len(rulings) < rulingsAtOnce {
				continue
			}
			if err := l.cfg.Audience.Rule(ctx, l.queue.App, rulings); err != nil {
				return err
			}
			rulings = rulings[:0]
		}
	}
	if len(rulings) == 0 {
		return nil
	}
	return l.cfg.Audience.Rule(ctx, l.queue.App, rulings)
}

// progress returns what is to be stored of which parcels, with their judgments: what
// has changed, and what would be lost without a word.
func (l *load) progress(now time.Time) (all []outbox.Progress, parcels []*parcel, judgments [][]judgment) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range l.parcels {
		done := p.left == 0
		if p.released || !done && !p.changed && now.Sub(p.saidAt) < l.cfg.Lease/3 {
			continue
		}
		s := &p.claim.Shard
		next := now.Add(outbox.Wait(s.Pass, p.asked))
		if by := p.claim.Message.Deadline; next.After(by) {
			next = by // when it is to have its end
		}
		all = append(all, outbox.Progress{
			Message: p.claim.Message.ID, Shard: s.Number, Fence: p.claim.Fence, Receipts: p.receipts.Clone(), Failures: p.failures,
			Release: done, Next: next, Until: now.Add(l.cfg.Lease),
		})
		if done {
			l.spans.shard(p, now)
		}
		parcels, judgments = append(parcels, p), append(judgments, p.judgments)
		p.failures, p.judgments, p.changed, p.saidAt = nil, nil, false, now
	}
	return all, parcels, judgments
}
