package provider

import (
	"context"
	"errors"

	"github.com/heraldpush/herald/provider/account"
	"github.com/heraldpush/herald/provider/audience"
)

// Person returns the installations that a person uses, at most audience.MaxOfPerson.
// The error may be an *audience.InvalidError, or wrap account.ErrNotFound, or
// audience.ErrNotFound if nobody has the alias.
func (p *PushServer) Person(ctx context.Context, app account.AppID, alias audience.Alias) ([]audience.Installation, error) {
	a, err := p.appOf(app, alias)
	if err != nil {
		return nil, err
	}
	ordinals, err := p.audience.Person(ctx, a.Number, alias, audience.MaxOfPerson)
	if err != nil {
		return nil, err
	}
	var all []audience.Installation
	for _, o := range ordinals {
		i, err := p.installationAt(ctx, a.Number, o)
		if errors.Is(err, audience.ErrNotFound) {
			continue // it was removed meanwhile
		}
		if err != nil {
			return nil, err
		}
		all = append(all, i)
	}
	if len(all) == 0 {
		return nil, audience.ErrNotFound
	}
	return all, nil
}

// PatchPerson changes all installations that a person uses by a JSON merge patch (RFC
// 7396) of what was said of each, all or none, and returns them. The error is as that of
// Person, or wraps audience.ErrPersons or audience.ErrManyInstallations.
func (p *PushServer) PatchPerson(ctx context.Context, app account.AppID, alias audience.Alias, patch []byte) ([]audience.Installation, error) {
	return p.changePerson(ctx, app, alias, func(was audience.Installation) (audience.Installation, bool, error) {
		return patched(was, patch)
	})
}

// ForgetPerson removes all installations that a person uses, all or none. The error is
// as that of Person, or wraps audience.ErrManyInstallations.
func (p *PushServer) ForgetPerson(ctx context.Context, app account.AppID, alias audience.Alias) error {
	_, err := p.changePerson(ctx, app, alias, func(audience.Installation) (audience.Installation, bool, error) {
		return audience.Installation{}, true, nil
	})
	return err
}

func (p *PushServer) changePerson(ctx context.Context, app account.AppID, alias audience.Alias, f func(audience.Installation) (audience.Installation, bool, error)) ([]audience.Installation, error) {
	a, err := p.appOf(app, alias)
	if err != nil {
		return nil, err
	}
	return p.audience.ChangePerson(ctx, a.Number, alias, f)
}

// appOf returns the app of which somebody is named by an alias.
func (p *PushServer) appOf(app account.AppID, alias audience.Alias) (account.App, error) {
	a, err := p.book.App(app)
	if err != nil {
		return a, err
	}
	return a, alias.Check()
}
