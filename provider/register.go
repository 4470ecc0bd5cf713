package provider

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/provider/account"
	"github.com/heraldpush/herald/provider/audience"
)

// Register enters what an app says of an installation, and returns what that is
// then, and whether it is new. A registration that says nothing new costs no
// write. The error may be an *audience.InvalidError, or wrap account.ErrNotFound or
// audience.ErrPersons.
func (p *PushServer) Register(ctx context.Context, app account.AppID, id audience.InstallationID, r audience.Registration) (i audience.Installation, created bool, err error) {
	return p.register(ctx, app, id, func(audience.Installation) audience.Registration { return r })
}

// register enters what is said of an installation as it was before.
func (p *PushServer) register(ctx context.Context, app account.AppID, id audience.InstallationID, said func(was audience.Installation) audience.Registration) (i audience.Installation, created bool, err error) {
	i, err = p.change(ctx, app, id, func(was audience.Installation) (audience.Installation, bool, error) {
		created = was.CreatedAt.IsZero()
		return was.Register(said(was), time.Now())
	})
	return i, created && err == nil, err
}

// ErrAnonymous says that a person was named by an app that may not.
var ErrAnonymous = errors.New("an anonymous key does not say to whom an installation belongs: leave person out, and have a key with the scope devices say it")

// RegisterAnonymous is Register by an app that may not say to whom the installation
// belongs: that stays as it is. The error may be ErrAnonymous, too.
func (p *PushServer) RegisterAnonymous(ctx context.Context, app account.AppID, id audience.InstallationID, r audience.Registration) (i audience.Installation, created bool, err error) {
	if r.Person != nil {
		return i, false, ErrAnonymous
	}
	return p.register(ctx, app, id, func(was audience.Installation) audience.Registration {
		r.Person = was.Registration().Person
		return r
	})
}

// PatchAnonymous is Patch by an app that may not say to whom the installation
// belongs. The error may be ErrAnonymous, too.
func (p *PushServer) PatchAnonymous(ctx context.Context, app account.AppID, id audience.InstallationID, patch []byte) (audience.Installation, error) {
	var members map[string]json.RawMessage
	_ = json.Unmarshal(patch, &members) // Patch says what is wrong
	for name := range members {
		if strings.EqualFold(name, "person") {
			return audience.Installation{}, ErrAnonymous
		}
	}
	return p.Patch(ctx, app, id, patch)
}

// Patch changes what an app has said of an installation by a JSON merge patch (RFC
// 7396). The error is as that of Register, or wraps audience.ErrNotFound.
func (p *PushServer) Patch(ctx context.Context, app account.AppID, id audience.InstallationID, patch []byte) (audience.Installation, error) {
	return p.change(ctx, app, id, func(was audience.Installation) (audience.Installation, bool, error) {
		if was.CreatedAt.IsZero() {
			return was, false, audience.ErrNotFound
		}
		return patched(was, patch)
	})
}

// patched returns what an installation becomes by a patch of its registration, and
// whether that is worth storing.
func patched(was audience.Installation, patch []byte) (audience.Installation, bool, error) {
	r, err := was.Registration().Patch(patch)
	if err != nil {
		return was, false, err
	}
	return was.Register(r, time.Now())
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
