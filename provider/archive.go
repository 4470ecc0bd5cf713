package provider

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/heraldpush/herald/provider/audience"
	"github.com/heraldpush/herald/provider/outbox"
)

// archivist moves messages that have ended from the outbox to the archive, and
// removes them from there when they are old. What is in the archive is removed from
// the outbox after that only: a crash in between has it stored a second time, in the
// place of the first.
//
// A store that fails is tried again, as nobody waits for the archive: until then
// the messages are where they are.
type archivist struct {
	outbox    outbox.Store
	archive   outbox.Archive
	retention time.Duration
	logger    *slog.Logger

	wake chan struct{} // holds one
}

func newArchivist(o outbox.Store, a outbox.Archive, retention time.Duration, logger *slog.Logger) *archivist {
	return &archivist{outbox: o, archive: a, retention: retention, logger: logger, wake: make(chan struct{}, 1)}
}

// Wake has the outbox looked at: a message has ended.
func (a *archivist) Wake() {
	select {
	case a.wake <- struct{}{}:
	default: // it has been told
	}
}

// Of the archivist's rounds.
const (
	// linger is how long it waits for more, once a message has ended.
	linger = 250 * time.Millisecond
	// checkEvery is how often it looks without being told, for those that were left
	// over by whoever held them.
	checkEvery = time.Minute
	// firstPause and longestPause are how long a store that fails is left alone.
	firstPause   = time.Second
	longestPause = time.Minute
	// trimEvery is how often it looks for what is old, and trimAtOnce bounds what
	// is removed in one change of the archive.
	trimEvery  = 10 * time.Minute
	trimAtOnce = 512
)

// Of what is stored in one change of the archive, for which others wait.
const (
	putAtOnce  = 512
	putMembers = 8192
	// fewMembers is of how many a message is stored together with others.
	fewMembers = 64
	// A part of a large message has at most so many shards and failures, of which a
	// shard has no more than members.
	partShards   = 16
	partFailures = audience.ChunkWidth
)

// Run does so until ctx ends.
func (a *archivist) Run(ctx context.Context) error {
	var (
		pause   time.Duration // after a fault
		trimmed time.Time
	)
	for ctx.Err() == nil {
		more, err := a.round(ctx)
		if err == nil && time.Since(trimmed) >= trimEvery {
			var n int
			if n, err = a.archive.Trim(ctx, time.Now().Add(-a.retention), trimAtOnce); err != nil {
				err = fmt.Errorf("removing old messages: %w", err)
			} else if n == 0 {
				trimmed = time.Now()
			}
			more = more || n > 0
		}
		switch {
		case ctx.Err() != nil:
		case err != nil:
			pause = min(max(2*pause, firstPause), longestPause)
			a.logger.LogAttrs(ctx, slog.LevelError, "the archive cannot be kept: messages that have ended stay in the outbox",
				slog.Any("error", err), slog.Duration("again_in", pause))
			sleep(ctx, pause)
		default:
			pause = 0
			if !more {
				a.wait(ctx)
			}
		}
	}
	return nil
}

// wait returns when there may be something to do, or when ctx ends.
func (a *archivist) wait(ctx context.Context) {
	timer := time.NewTimer(checkEvery)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-a.wake:
		sleep(ctx, linger)
	case <-ctx.Done():
	}
}

// sleep returns after a time, or when ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// round archives some messages, and reports whether there may be more.
func (a *archivist) round(ctx context.Context) (more bool, err error) {
	ended, err := a.outbox.Ended(ctx, time.Now(), putAtOnce)
	if err != nil {
		return false, err
	}
	var (
		small   []outbox.Finished
		members int
	)
	for i := range ended {
		m := &ended[i]
		if m.Counts.Targeted > fewMembers {
			if err := a.move(ctx, m); err != nil {
				return false, err
			}
			continue
		}
		f, err := a.finished(ctx, m)
		if err != nil {
			return false, err
		}
		small = append(small, f)
		if members += m.Counts.Targeted; members >= putMembers {
			if err := a.moveAll(ctx, small); err != nil {
				return false, err
			}
			small, members = nil, 0
		}
	}
	return len(ended) == putAtOnce, a.moveAll(ctx, small)
}

// finished returns a small message with what became of it.
func (a *archivist) finished(ctx context.Context, m *outbox.Message) (f outbox.Finished, err error) {
	f.Message = *m
	if f.Part.Shards, err = a.outbox.Shards(ctx, m.ID, 0, fewMembers); err == nil && len(m.Counts.Reasons) > 0 {
		f.Part.Failures, err = a.outbox.Failures(ctx, m.ID, outbox.FailureAt{}, fewMembers)
	}
	return f, err
}

// moveAll moves small messages.
func (a *archivist) moveAll(ctx context.Context, all []outbox.Finished) error {
	if len(all) == 0 {
		return nil
	}
	if err := a.archive.Put(ctx, all); err != nil {
		return err
	}
	ids := make([]outbox.MessageID, len(all))
	for i := range all {
		ids[i] = all[i].Message.ID
	}
	return a.outbox.Remove(ctx, ids...)
}

// move moves a message that may be large, part by part.
func (a *archivist) move(ctx context.Context, m *outbox.Message) error {
	for from := uint32(0); ; {
		p, next, err := a.part(ctx, m, from)
		if err != nil {
			return err
		}
		if next == 0 {
			return a.moveAll(ctx, []outbox.Finished{{Message: *m, Part: p, Begun: from > 0}})
		}
		if err := a.archive.Add(ctx, m, p); err != nil {
			return err
		}
		from = next
	}
}

// part returns a part of a message, and the number with which the next begins; 0 if
// it is the last.
func (a *archivist) part(ctx context.Context, m *outbox.Message, from uint32) (p outbox.Part, next uint32, err error) {
	if p.Shards, err = a.outbox.Shards(ctx, m.ID, from, partShards); err != nil || len(p.Shards) == 0 {
		return p, 0, err
	}
	last := p.Shards[len(p.Shards)-1].Number
	if len(p.Shards) == partShards {
		next = last + 1
	}
	if len(m.Counts.Reasons) == 0 {
		return p, next, nil
	}
	// One more than a shard can have, so that all those of the first are there.
	p.Failures, err = a.outbox.Failures(ctx, m.ID, outbox.FailureAt{Shard: p.Shards[0].Number}, partFailures+1)
	if n := len(p.Failures); n > partFailures && p.Failures[n-1].Shard <= last {
		next = p.Failures[n-1].Shard // of which there may be more
		last = next - 1
		p.Shards = slices.DeleteFunc(p.Shards, func(s outbox.Shard) bool { return s.Number > last })
	}
	p.Failures = slices.DeleteFunc(p.Failures, func(f outbox.ShardFailure) bool { return f.Shard > last })
	return p, next, err
}

// outboxWatch is an outbox that tells when a message has ended.
type outboxWatch struct {
	outbox.Store
	ended func() // must not block
}

// Submit implements outbox.Store.
func (w *outboxWatch) Submit(ctx context.Context, s outbox.Submission, now time.Time) (outbox.Message, bool, error) {
	m, repeated, err := w.Store.Submit(ctx, s, now)
	w.look(m.State)
	return m, repeated, err
}

// Step implements outbox.Store.
func (w *outboxWatch) Step(ctx context.Context, id outbox.MessageID, e outbox.Event, shards []outbox.Shard, now time.Time) (outbox.Message, error) {
	m, err := w.Store.Step(ctx, id, e, shards, now)
	w.look(m.State)
	return m, err
}

// Checkpoint implements outbox.Store.
func (w *outboxWatch) Checkpoint(ctx context.Context, all []outbox.Progress, now time.Time) ([]outbox.Checked, error) {
	checked, err := w.Store.Checkpoint(ctx, all, now)
	for i := range checked {
		w.look(checked[i].Status.State)
	}
	return checked, err
}

func (w *outboxWatch) look(s outbox.State) {
	if s.Ended() {
		w.ended()
	}
}
