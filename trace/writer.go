package trace

import (
	"context"
	"log/slog"
	"time"
)

// gather is how long lines are gathered before they are taken to where they are
// kept, unless there are many.
const gather = 50 * time.Millisecond

// tellInterval is the least time between two lines of the log that say that
// lines are dropped.
const tellInterval = time.Minute

// run takes lines to the keeper until ctx ends, and then the last ones. While
// there are none it has nothing to do but to let go of what is too old.
func (r *Recorder) run(ctx context.Context) {
	pause, due := time.NewTimer(0), time.NewTimer(0)
	defer pause.Stop()
	defer due.Stop()
	for {
		select {
		case <-ctx.Done():
			r.finish()
			return
		case <-due.C:
		case <-r.some:
			pause.Reset(gather)
			select {
			case <-pause.C:
			case <-r.hurry:
			case <-ctx.Done():
			}
		}
		if next := r.keep(time.Now()); next.IsZero() {
			due.Stop()
		} else {
			due.Reset(time.Until(next))
		}
	}
}

// keep takes lines to the keeper, and returns when it is to be called again even
// if there are none.
func (r *Recorder) keep(now time.Time) time.Time {
	<-r.work
	defer r.release()
	r.drain(now)
	next := r.keeper.prune(now)
	if tell := r.tell(now); !tell.IsZero() {
		next = earlier(next, tell)
	}
	return next
}

// finish takes the last lines to the keeper, and closes it.
func (r *Recorder) finish() {
	<-r.work
	defer r.release()
	for i := range r.shards {
		sh := &r.shards[i]
		sh.mu.Lock()
		sh.closed = true
		sh.mu.Unlock()
	}
	now := time.Now()
	r.drain(now)
	r.toldAt = time.Time{} // it is the last chance
	r.tell(now)
	r.keeper.close()
	r.closed = true
}

// drain takes what the shards have to the keeper. The work is the caller's.
func (r *Recorder) drain(now time.Time) {
	for i := range r.shards {
		sh := &r.shards[i]
		sh.mu.Lock()
		records := sh.records
		if len(records) > 0 {
			sh.records, r.spare = r.spare[:0], nil
		}
		sh.mu.Unlock()
		if len(records) == 0 {
			continue
		}
		checksum(records)
		if err := r.keeper.add(records, now); err != nil {
			r.unkept += uint64(len(records) / recordBytes) //nolint:gosec // it is not negative
			r.cause = err
		}
		if cap(records) <= 2*hurryShardBytes || len(records) >= cap(records)/4 {
			r.spare = records // else it was for a crowd that is gone
		}
	}
}

// tell tells the log about lines that were dropped, and returns when that is to
// be done next; zero if there is nothing to tell. The work is the caller's.
func (r *Recorder) tell(now time.Time) time.Time {
	dropped := r.count().Dropped
	if dropped == r.told {
		return time.Time{}
	}
	if next := r.toldAt.Add(tellInterval); now.Before(next) {
		return next
	}
	log := r.cfg.Logger.With(slog.Uint64("lines", dropped-r.told))
	if r.cause != nil {
		log = log.With(slog.Any("error", r.cause))
	}
	log.Warn("trace drops lines: they come faster than they can be kept, or cannot be kept")
	r.told, r.toldAt, r.cause = dropped, now, nil
	return time.Time{}
}
