package sqlite

import (
	"context"
	"errors"

	"github.com/heraldpush/herald/provider/audience"
)

// ChangePerson implements audience.Store. It is a turn of the writer of its own, which
// takes back all of it if one of the changes is not possible.
func (a *Audience) ChangePerson(ctx context.Context, app audience.AppNumber, alias audience.Alias, f func(audience.Installation) (audience.Installation, bool, error)) (all []audience.Installation, _ error) {
	err := a.db.writer.change(ctx, func(ctx context.Context) error {
		used, err := a.usedBy(ctx, app, alias)
		if err != nil {
			return err
		}
		c, err := a.numbers(ctx, app)
		if err != nil {
			return err
		}
		for _, id := range used {
			p := &pending{app: app, id: id, f: f, stays: true}
			if err := a.carryOutOne(ctx, p, c); err != nil {
				return err
			}
			if p.err != nil {
				return p.err
			}
			if !p.after.IsZero() {
				all = append(all, p.after)
			}
		}
		return a.putNumbers(ctx, app, c)
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// usedBy returns the IDs of the installations that a person uses, by ordinal.
func (a *Audience) usedBy(ctx context.Context, app audience.AppNumber, alias audience.Alias) (all []audience.InstallationID, err error) {
	rows, err := a.written.used.QueryContext(ctx, app, alias.Label, alias.ID, audience.MaxOfPerson+1)
	if err != nil {
		return nil, fault(a.db.path, err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var id audience.InstallationID
		if err := rows.Scan(&id); err != nil {
			return nil, fault(a.db.path, err)
		}
		all = append(all, id)
	}
	switch err := rows.Err(); {
	case err != nil:
		return nil, fault(a.db.path, err)
	case len(all) == 0:
		return nil, audience.ErrNotFound
	case len(all) > audience.MaxOfPerson:
		return nil, audience.ErrManyInstallations
	}
	return all, nil
}
