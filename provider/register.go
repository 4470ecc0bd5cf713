package provider

import (
	"context"
	"errors"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/provider/account"
	"github.com/heraldpush/herald/provider/audience"
)

// maxOfPerson is how many installations of a person are looked at: they are the
// devices of one.
const maxOfPerson = 1000

// Register enters what an app says of an installation, and returns what that is
// then, and whether it is new. A registration that says nothing new costs no
// write. The error may be an *audience.InvalidError, or wrap account.ErrNotFound or
// audience.ErrPersons.
func (p *PushServer) Register(ctx context.Context, app account.AppID, id audience.InstallationID, r audience.Registration) (i audience.Installation, created bool, err error) {
	i, err = p.change(ctx, app, id, func(was audience.Installation) (audience.Installation, bool, error) {
		created = was.CreatedAt.IsZero()
		return was.Register(r, time.Now())
	})
	return i, created && err == nil, err
}

// Patch changes what an app has said of an installation by a JSON merge patch (RFC
// 7396). The error is as that of Register, or wraps audience.ErrNotFound.
func (p *PushServer) Patch(ctx context.Context, app account.AppID, id audience.InstallationID, patch []byte) (audience.Installation, error) {
	return p.change(ctx, app, id, func(was audience.Installation) (audience.Installation, bool, error) {
		if was.CreatedAt.IsZero() {
			return was, false, audience.ErrNotFound
		}
		r, err := was.Registration().Patch(patch)
		if err != nil {
			return was, false, err
		}
		return was.Register(r, time.Now())
	})
}

// Forget removes an installation: nothing is sent to it any more. The error may
// wrap account.ErrNotFound or audience.ErrNotFound.
func (p *PushServer) Forget(ctx context.Context, app account.AppID, id audience.InstallationID) error {
	_, err := p.change(ctx, app, id, func(was audience.Installation) (audience.Installation, bool, error) {
		if was.CreatedAt.IsZero() {
			return was, false, audience.ErrNotFound
		}
		return audience.Installation{}, true, nil
	})
	return err
}

func (p *PushServer) change(ctx context.Context, app account.AppID, id audience.InstallationID, f func(audience.Installation) (audience.Installation, bool, error)) (audience.Installation, error) {
	a, err := p.book.App(app)
	if err != nil {
		return audience.Installation{}, err
	}
	if err := id.Check(); err != nil {
		return audience.Installation{}, err
	}
	return p.audience.Change(ctx, a.Number, id, f)
}

// Installation returns an installation. The error may wrap account.ErrNotFound or
// audience.ErrNotFound.
func (p *PushServer) Installation(ctx context.Context, app account.AppID, id audience.InstallationID) (audience.Installation, error) {
	a, err := p.book.App(app)
	if err != nil {
		return audience.Installation{}, err
	}
	return p.audience.Installation(ctx, a.Number, id)
}

// Installations returns up to limit installations of an app, by ordinal, from one
// on. The error may wrap account.ErrNotFound.
func (p *PushServer) Installations(ctx context.Context, app account.AppID, from audience.Ordinal, limit int) ([]audience.Installation, error) {
	a, err := p.book.App(app)
	if err != nil {
		return nil, err
	}
	return p.audience.List(ctx, a.Number, from, limit)
}

// DeviceToken returns where an app has a device token, whatever has become of it. The
// error may wrap account.ErrNotFound, or audience.ErrNotFound if no installation has
// it.
func (p *PushServer) DeviceToken(ctx context.Context, app account.AppID, e apns.Environment, t apns.DeviceToken) (audience.Destination, error) {
	a, err := p.book.App(app)
	if err != nil {
		return audience.Destination{}, err
	}
	found, err := p.audience.Find(ctx, a.Number, e, t)
	return found.Destination, err
}

// Person returns the installations that a person uses. The error may be an
// *audience.InvalidError, or wrap account.ErrNotFound, or audience.ErrNotFound if
// nobody has the alias.
func (p *PushServer) Person(ctx context.Context, app account.AppID, alias audience.Alias) ([]audience.Installation, error) {
	a, err := p.book.App(app)
	if err != nil {
		return nil, err
	}
	if err := alias.Check(); err != nil {
		return nil, err
	}
	ordinals, err := p.audience.Person(ctx, a.Number, alias, maxOfPerson)
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

// installationAt returns the installation with an ordinal, or audience.ErrNotFound.
func (p *PushServer) installationAt(ctx context.Context, app audience.AppNumber, o audience.Ordinal) (audience.Installation, error) {
	return installationAt(ctx, p.audience, app, o)
}

func installationAt(ctx context.Context, s audience.Store, app audience.AppNumber, o audience.Ordinal) (audience.Installation, error) {
	some, err := s.List(ctx, app, o, 1)
	if err != nil {
		return audience.Installation{}, err
	}
	if len(some) == 0 || some[0].Ordinal != o {
		return audience.Installation{}, audience.ErrNotFound
	}
	return some[0], nil
}
