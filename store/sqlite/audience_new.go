package sqlite

import (
	"context"
	"database/sql"
	"sync/atomic"

	"github.com/heraldpush/herald/provider/audience"
)

// newcomer is an installation as it is entered if it is new.
type newcomer struct {
	audience.Installation
	row row
}

// freshOf returns what f makes of an installation that is new; nil, and what is there
// then, if that is none.
func freshOf(id audience.InstallationID, f func(audience.Installation) (audience.Installation, bool, error)) (_ *newcomer, after audience.Installation, err error) {
	none := audience.Installation{ID: id}
	i, changed, err := f(none)
	if err != nil || !changed {
		return nil, none, err
	}
	if i.IsZero() {
		return nil, i, nil
	}
	i.ID = id
	r, err := rowOf(&i)
	if err != nil {
		return nil, none, err
	}
	return &newcomer{i, r}, none, nil
}

// enter enters an installation that is new, and reports whether it was. If not, it has
// changed nothing.
func (a *Audience) enter(ctx context.Context, p *pending, c *numbers) (entered bool, err error) {
	i, r := p.fresh.Installation, p.fresh.row
	who, are, err := a.personOf(ctx, p.app, i.Person, sql.NullInt64{}, c)
	if err != nil || !are {
		return false, err // for one that is there it may be no matter
	}
	done, err := a.written.enterNew.ExecContext(ctx, who.number, int64(i.Sequence), r.created, r.updated, r.body, p.app, c.next, string(p.id)) //nolint:gosec // a signed number
	if err != nil {
		return false, fault(a.db.path, err)
	}
	if n, err := done.RowsAffected(); err != nil || n == 0 {
		return false, fault(a.db.path, err)
	}
	a.newcomers.note(true)
	i.Ordinal = c.give()
	p.after = i
	if err := a.enterPerson(ctx, p.app, who, c); err != nil {
		return false, err
	}
	if err := a.putTags(ctx, p.app, i.Ordinal, nil, i.Tags); err != nil {
		return false, err
	}
	return true, a.putDestinations(ctx, p.app, i.Ordinal, nil, i.Destinations)
}

// newcomers tells whether most installations that register are new, as when an app
// moves here. To look for each of them first would be in vain, and dear while others
// write: what a reader has in memory is worth nothing after each commit. They are found
// new when they are entered.
type newcomers struct {
	// balance rises with each that is new and falls faster with each that is not.
	balance atomic.Int32
}

// Of the balance of newcomers.
const (
	fullBalance = 64
	mostBalance = 32 // from here on most are new
	knownWeight = 4
)

// note notes one that is new, or is not.
func (n *newcomers) note(isNew bool) {
	was := n.balance.Load()
	now := max(was-knownWeight, 0)
	if isNew {
		now = min(was+1, fullBalance)
	}
	if now != was {
		n.balance.Store(now) // of those who do so at once, the last counts
	}
}

func (n *newcomers) most() bool { return n.balance.Load() >= mostBalance }
