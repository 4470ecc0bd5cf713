package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"sync"

	"github.com/heraldpush/herald/provider/audience"
)

// Apps register at every launch, each by itself. What comes while a batch is on its
// way to the disk is the next batch, one change of the database: a savepoint and a
// turn of the writer for each would be half of the work. It is carried out by one
// of those whose changes are in it.

// pending is a change of an installation that waits to be carried out.
type pending struct {
	ctx context.Context //nolint:containedctx // of the call that waits for it
	app audience.AppNumber
	id  audience.InstallationID
	f   func(audience.Installation) (audience.Installation, bool, error)
	// fresh is what f makes of it if it is new; nil if the call found it there. It may
	// be gone since, or there.
	fresh *newcomer
	// stays says that it stays the person's whose it is.
	stays bool

	// Who carries it out sets the rest, and closes done.

	after audience.Installation
	err   error
	done  chan struct{}
	lead  chan struct{} // receives if the waiting one is to carry out a batch
}

// batches has the changes that wait.
type batches struct {
	mu      sync.Mutex
	waiting []*pending // guarded by mu
	led     bool       // somebody carries out a batch; guarded by mu
}

// join adds a change, and reports whether the caller has to carry out a batch.
func (b *batches) join(p *pending) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting = append(b.waiting, p)
	leads := !b.led
	b.led = true
	return leads
}

// take returns a batch.
func (b *batches) take() []*pending {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := min(len(b.waiting), maxBatch)
	batch := b.waiting[:n:n]
	b.waiting = b.waiting[n:]
	return batch
}

// pass has one of those who wait carry out the next batch.
func (b *batches) pass() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.led = len(b.waiting) > 0; b.led {
		b.waiting[0].lead <- struct{}{}
	}
}

// carryOutChange carries out a change, with others, and returns what it came to.
func (a *Audience) carryOutChange(p *pending) (audience.Installation, error) {
	p.done, p.lead = make(chan struct{}), make(chan struct{}, 1)
	if !a.batches.join(p) {
		select {
		case <-p.done:
			return p.after, p.err
		case <-p.lead:
		}
	}
	batch := a.batches.take()
	err := a.carryOutBatch(batch)
	for _, q := range batch {
		if q.err == nil {
			q.err = err
		}
		close(q.done)
	}
	a.batches.pass()
	return p.after, p.err
}

// carryOutBatch carries out changes, or none of them if the database fails.
func (a *Audience) carryOutBatch(batch []*pending) error {
	return a.db.writer.change(context.Background(), func(ctx context.Context) (err error) {
		counts := make(map[audience.AppNumber]*numbers)
		for _, p := range batch {
			if p.err = p.ctx.Err(); p.err != nil {
				continue
			}
			c := counts[p.app]
			if c == nil {
				if c, err = a.numbers(ctx, p.app); err != nil {
					return err
				}
				counts[p.app] = c
			}
			if err := a.carryOutOne(ctx, p, c); err != nil {
				return err
			}
		}
		for app, c := range counts {
			if err := a.putNumbers(ctx, app, c); err != nil {
				return err
			}
		}
		return nil
	})
}

// carryOutOne carries out one change. The error is that of the database; what else
// is wrong is found before anything is changed, and ends p alone.
func (a *Audience) carryOutOne(ctx context.Context, p *pending, c *numbers) error {
	if p.fresh != nil {
		if entered, err := a.enter(ctx, p, c); err != nil || entered {
			return err
		}
	}
	before, known, err := a.find(ctx, &a.written, p.app, p.id)
	if err != nil {
		return err
	}
	a.newcomers.note(!known)
	after, row, goesOn := p.decide(&before)
	if !goesOn {
		return nil
	}
	if after.IsZero() {
		if !known {
			return nil
		}
		return a.remove(ctx, p.app, &before)
	}
	row.person = before.person
	if !known || !samePerson(&before.Installation, &after) {
		var stays sql.NullInt64
		if p.stays {
			stays = before.person
		}
		who, are, err := a.personOf(ctx, p.app, after.Person, stays, c)
		if err != nil {
			return err
		}
		if !are {
			p.after, p.err = before.Installation, audience.ErrPersons
			return nil
		}
		if err := a.enterPerson(ctx, p.app, who, c); err != nil {
			return err
		}
		row.person = who.number
	}
	if !known {
		after.Ordinal = c.give()
	}
	p.after = after
	return a.put(ctx, p.app, &before, &after, row, known)
}

// decide has the caller say what an installation is to be, and reports whether
// that is to be carried out.
func (p *pending) decide(before *enrolled) (after audience.Installation, r row, goesOn bool) {
	p.after = before.Installation
	after, goesOn, p.err = p.f(before.Installation)
	if p.err != nil || !goesOn {
		return after, r, false
	}
	if after.IsZero() {
		p.after = after
		return after, r, true
	}
	after.ID, after.Ordinal = p.id, before.Ordinal
	r, p.err = rowOf(&after)
	return after, r, p.err == nil
}

// numbers are the next ordinal of an app, and how many people it has.
type numbers struct {
	next, persons int64
	changed       bool
}

// give gives the next ordinal.
func (c *numbers) give() audience.Ordinal {
	o := audience.Ordinal(c.next) //nolint:gosec // an ordinal
	c.next++
	c.changed = true
	return o
}

// numbers returns the numbers of an app.
func (a *Audience) numbers(ctx context.Context, app audience.AppNumber) (*numbers, error) {
	c := &numbers{}
	err := a.written.count.QueryRowContext(ctx, app).Scan(&c.next, &c.persons)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, fault(a.db.path, err)
	}
	return c, nil
}

// putNumbers stores the numbers of an app, if they have changed.
func (a *Audience) putNumbers(ctx context.Context, app audience.AppNumber, c *numbers) error {
	if !c.changed {
		return nil
	}
	return a.carryOut(ctx, change{a.written.putCount, []any{app, c.next, c.persons}})
}
