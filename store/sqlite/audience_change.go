package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"github.com/heraldpush/herald/provider/audience"
)

// Change implements audience.Store. What changes nothing does not wait for who
// does, unless most are new.
func (a *Audience) Change(ctx context.Context, app audience.AppNumber, id audience.InstallationID, f func(audience.Installation) (audience.Installation, bool, error)) (audience.Installation, error) {
	if err := ctx.Err(); err != nil {
		return audience.Installation{}, err
	}
	p := &pending{ctx: ctx, app: app, id: id, f: f}
	if a.newcomers.most() {
		var err error
		if p.fresh, _, err = freshOf(id, f); err == nil && p.fresh != nil {
			return a.carryOutChange(p) //nolint:contextcheck // a batch is not that of one caller
		}
	}
	// It is short, and to be able to cut it off would take longer.
	before, known, err := a.find(context.WithoutCancel(ctx), &a.read, app, id)
	if err != nil {
		return audience.Installation{}, err
	}
	if !known {
		var none audience.Installation
		if p.fresh, none, err = freshOf(id, f); err != nil || p.fresh == nil {
			return none, err
		}
		return a.carryOutChange(p) //nolint:contextcheck // a batch is not that of one caller
	}
	a.newcomers.note(false)
	if _, changed, err := f(before.Installation); err != nil || !changed {
		return before.Installation, err
	}
	return a.carryOutChange(p) //nolint:contextcheck // a batch is not that of one caller
}

// change is a statement that is carried out.
type change struct {
	stmt *sql.Stmt
	args []any
}

// carryOut carries out changes, until one fails.
func (a *Audience) carryOut(ctx context.Context, changes ...change) error {
	for _, c := range changes {
		if _, err := c.stmt.ExecContext(ctx, c.args...); err != nil {
			return fault(a.db.path, err)
		}
	}
	return nil
}

// row is what is stored of an installation itself.
type row struct {
	person           sql.NullInt64
	created, updated sql.NullInt64
	body             []byte
}

// rowOf returns the row of an installation, but for its person.
func rowOf(i *audience.Installation) (r row, err error) {
	var cerr, uerr, berr error
	r.created, cerr = nanoseconds(i.CreatedAt)
	r.updated, uerr = nanoseconds(i.UpdatedAt)
	r.body, berr = bodyOf(i)
	for n := range i.Destinations {
		_, err = standingArgs(&i.Destinations[n].Standing)
		cerr = errors.Join(cerr, err)
	}
	return r, errors.Join(cerr, uerr, berr)
}

// samePerson reports whether two installations name the same aliases.
func samePerson(a, b *audience.Installation) bool { return slices.Equal(a.Person, b.Person) }

// put stores an installation in the place of what was there.
func (a *Audience) put(ctx context.Context, app audience.AppNumber, before *enrolled, after *audience.Installation, r row, known bool) error {
	c := change{a.written.update, []any{r.person, int64(after.Sequence), r.created, r.updated, r.body, app, after.Ordinal}}
	if !known {
		c = change{a.written.enter, append(c.args, string(after.ID))}
	}
	if err := a.carryOut(ctx, c); err != nil {
		return err
	}
	if err := a.forgetAliases(ctx, app, before, after.Person); err != nil {
		return err
	}
	if err := a.putTags(ctx, app, after.Ordinal, before.Tags, after.Tags); err != nil {
		return err
	}
	return a.putDestinations(ctx, app, after.Ordinal, before.Destinations, after.Destinations)
}

// somebody is a person, with the aliases that nobody had.
type somebody struct {
	number sql.NullInt64 // of no value for no aliases
	isNew  bool
	alias  []audience.Alias
}

// personOf returns the person who has the aliases: the one that is given, if any, a new
// one if nobody has any of them; none for no aliases. It changes nothing, and reports
// whether they are one person's.
func (a *Audience) personOf(ctx context.Context, app audience.AppNumber, aliases []audience.Alias, person sql.NullInt64, c *numbers) (who somebody, are bool, err error) {
	if len(aliases) == 0 {
		return somebody{}, true, nil
	}
	who.number = person
	for n, alias := range aliases {
		var p int64
		err := a.written.alias.QueryRowContext(ctx, app, alias.Label, alias.ID).Scan(&p)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			if who.alias == nil {
				who.alias = make([]audience.Alias, 0, len(aliases)-n)
			}
			who.alias = append(who.alias, alias)
			continue
		case err != nil:
			return who, false, fault(a.db.path, err)
		case who.number.Valid && who.number.Int64 != p:
			return who, false, nil
		}
		who.number = sql.NullInt64{Int64: p, Valid: true}
	}
	if len(who.alias) > 0 && !who.number.Valid {
		who.isNew, who.number = true, sql.NullInt64{Int64: c.persons + 1, Valid: true}
	}
	return who, true, nil
}

// enterPerson stores what is new of somebody.
func (a *Audience) enterPerson(ctx context.Context, app audience.AppNumber, who somebody, c *numbers) error {
	if who.isNew {
		c.persons++
		c.changed = true
	}
	for _, alias := range who.alias {
		if err := a.carryOut(ctx, change{a.written.enterAlias, []any{app, alias.Label, alias.ID, who.number}}); err != nil {
			return err
		}
	}
	return nil
}

// putTags stores the tags of an installation in the place of those before.
func (a *Audience) putTags(ctx context.Context, app audience.AppNumber, o audience.Ordinal, before, after []string) error {
	for _, tag := range before {
		if slices.Contains(after, tag) {
			continue
		}
		if err := a.carryOut(ctx, change{a.written.removeTag, []any{app, tag, o}}); err != nil {
			return err
		}
	}
	for _, tag := range after {
		if slices.Contains(before, tag) {
			continue
		}
		if err := a.carryOut(ctx, change{a.written.putTag, []any{app, tag, o}}); err != nil {
			return err
		}
	}
	return nil
}

// putDestinations stores the destinations of an installation in the place of those
// before.
func (a *Audience) putDestinations(ctx context.Context, app audience.AppNumber, o audience.Ordinal, before, after []audience.Destination) error {
	find := func(all []audience.Destination, d *audience.Destination) int {
		return slices.IndexFunc(all, func(e audience.Destination) bool {
			return d.Kind == e.Kind && d.Name == e.Name && d.Environment == e.Environment
		})
	}
	for n := range before {
		d := &before[n]
		if find(after, d) >= 0 {
			continue
		}
		if err := a.carryOut(ctx, change{a.written.removeDestination, []any{app, o, string(d.Kind), d.Name, d.Environment}}); err != nil {
			return err
		}
	}
	for n := range after {
		d, was := &after[n], find(before, &after[n])
		if was >= 0 && before[was] == *d {
			continue
		}
		digest := digestOf(app, d.Environment, d.DeviceToken)
		if was < 0 || before[was].DeviceToken != d.DeviceToken {
			if err := a.carryOut(ctx, change{a.written.takeToken, []any{digest, app, d.Environment, []byte(d.DeviceToken), o}}); err != nil {
				return err
			}
		}
		s, err := standingArgs(&d.Standing)
		if err != nil {
			return err
		}
		put := a.written.putDestination
		if was < 0 {
			put = a.written.enterDestination
		}
		row := []any{app, o, string(d.Kind), d.Name, d.Environment, []byte(d.DeviceToken), digest}
		if err := a.carryOut(ctx, change{put, append(row, s...)}); err != nil {
			return err
		}
	}
	return nil
}

// standingArgs returns a standing as it is stored: state, registered, accepted,
// reason, reason_at, strikes, judged_by.
func standingArgs(s *audience.Standing) ([]any, error) {
	registered, rerr := nanoseconds(s.RegisteredAt)
	accepted, aerr := nanoseconds(s.AcceptedAt)
	reasonAt, derr := nanoseconds(s.ReasonAt)
	if err := errors.Join(rerr, aerr, derr); err != nil {
		return nil, err
	}
	var judgedBy []byte
	if s.JudgedBy != [16]byte{} {
		judgedBy = s.JudgedBy[:]
	}
	return []any{s.State, registered, accepted, string(s.Reason), reasonAt, s.Strikes, judgedBy}, nil
}

// remove removes an installation.
func (a *Audience) remove(ctx context.Context, app audience.AppNumber, i *enrolled) error {
	if err := a.putTags(ctx, app, i.Ordinal, i.Tags, nil); err != nil {
		return err
	}
	err := a.carryOut(
		ctx,
		change{a.written.removeDestinations, []any{app, i.Ordinal}},
		change{a.written.remove, []any{app, i.Ordinal}},
	)
	if err != nil {
		return err
	}
	return a.forgetAliases(ctx, app, i, nil)
}

// Undo implements audience.Store.
func (a *Audience) Undo(ctx context.Context, app audience.AppNumber, message [16]byte) (int, error) {
	return a.affected(ctx, change{a.written.undo, []any{app, message[:]}})
}

// Sweep implements audience.Store.
func (a *Audience) Sweep(ctx context.Context, before time.Time, limit int) (int, error) {
	at, err := nanoseconds(before)
	if err != nil {
		return 0, err
	}
	return a.affected(ctx, change{a.written.sweep, []any{at, limit}})
}

// affected carries out a change, and returns how many rows it has changed.
func (a *Audience) affected(ctx context.Context, c change) (n int, err error) {
	err = a.db.writer.change(ctx, func(ctx context.Context) error {
		done, err := c.stmt.ExecContext(ctx, c.args...)
		if err != nil {
			return fault(a.db.path, err)
		}
		rows, err := done.RowsAffected()
		n = int(rows)
		return fault(a.db.path, err)
	})
	return n, err
}
