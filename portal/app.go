package portal

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/heraldpush/herald/apns"
)

// App is an App ID.
type App struct {
	// BundleID is explicit, such as "com.example.demo", or a wildcard, such as
	// "com.example.*".
	BundleID  apns.Topic  `json:"bundle_id"`
	Team      apns.TeamID `json:"team"`
	Name      string      `json:"name"`
	Created   time.Time   `json:"created"`
	Broadcast Broadcast   `json:"broadcast"`
}

// Wildcard reports whether a stands for many bundle IDs. Such an App ID cannot
// have push: a topic is one bundle ID.
func (a App) Wildcard() bool { return strings.HasSuffix(string(a.BundleID), "*") }

// errWildcard refuses push for a wildcard App ID.
func errWildcard(bundleID apns.Topic) *Refusal {
	return refuse(CodeWildcard, "Add an explicit App ID.", "%s cannot have push: a topic is one bundle ID", bundleID)
}

// RegisterApp enters an App ID for a team. It returns a Refusal for a bundle
// ID that is malformed or taken, an unknown team, or a name that is longer than
// 100 bytes or not fit to be printed. The name may be empty.
func (p *Portal) RegisterApp(ctx context.Context, team apns.TeamID, bundleID apns.Topic, name string) (App, error) {
	name, err := cleanName("an app", name)
	if err != nil {
		return App{}, fmt.Errorf("registering app: %w", err)
	}
	a := App{BundleID: bundleID, Team: team, Name: name, Created: time.Now().UTC()}
	explicit := apns.Topic(strings.TrimSuffix(strings.TrimSuffix(string(bundleID), "*"), "."))
	switch {
	case bundleID != "*" && !explicit.Valid(), a.Wildcard() && bundleID != "*" && bundleID != explicit+".*":
		return App{}, refuse(CodeBundleID, "Letters, digits, hyphens and dots, such as com.example.demo.", "%q is not a bundle ID", bundleID)
	case bundleID.BundleID() != bundleID:
		return App{}, refuse(CodeBundleID, "The topics of all push types come with the App ID.", "%s ends in the suffix of a push type; register %s", bundleID, bundleID.BundleID())
	}
	err = p.change(ctx, func(tx Tx) error {
		if _, err := getTeam(tx, team); err != nil {
			return err
		}
		switch err := get(tx, kindApp, string(bundleID), new(App)); {
		case err == nil:
			return refuse(CodeTaken, "", "%s is registered already", bundleID)
		case !isNotFound(err):
			return err
		}
		if err := note(ctx, tx, "app.register", string(bundleID), "team %s", team); err != nil {
			return err
		}
		return put(tx, kindApp, string(bundleID), a)
	}, func() {
		p.apps[a.BundleID] = &a
	})
	if err != nil {
		return App{}, fmt.Errorf("registering app: %w", err)
	}
	return a, nil
}

// Push says how far an App ID has come with push, as the portal's column does.
type Push string

// The states of an App ID's push.
const (
	// PushNone is a wildcard's: it cannot have push.
	PushNone Push = "none"
	// PushConfigurable has no active certificate.
	PushConfigurable Push = "configurable"
	// PushEnabled has one at least.
	PushEnabled Push = "enabled"
)

// AppStatus is an App ID with its certificates.
type AppStatus struct {
	App
	Push Push `json:"push"`
	// Active are the certificates that are neither expired nor revoked.
	Active []Certificate `json:"active"`
}

// Apps returns all App IDs, by bundle ID, with the state of their push.
func (p *Portal) Apps(ctx context.Context) (apps []AppStatus, err error) {
	now := time.Now()
	err = p.store.View(ctx, func(tx Tx) error {
		active := make(map[apns.Topic][]Certificate)
		err := each(tx, kindCertificate, func(c *Certificate) error {
			if c.Active(now) {
				active[c.App] = append(active[c.App], *c)
			}
			return nil
		})
		if err != nil {
			return err
		}
		return each(tx, kindApp, func(a *App) error {
			s := AppStatus{App: *a, Push: PushConfigurable, Active: active[a.BundleID]}
			switch {
			case a.Wildcard():
				s.Push = PushNone
			case len(s.Active) > 0:
				s.Push = PushEnabled
			}
			apps = append(apps, s)
			return nil
		})
	})
	return apps, err
}

// App returns one App ID, or a Refusal.
func (p *Portal) App(ctx context.Context, bundleID apns.Topic) (AppStatus, error) {
	apps, err := p.Apps(ctx)
	if err != nil {
		return AppStatus{}, err
	}
	for _, a := range apps {
		if a.BundleID == bundleID {
			return a, nil
		}
	}
	return AppStatus{}, errNoApp(bundleID)
}

func errNoApp(bundleID apns.Topic) *Refusal {
	return refuse(CodeApp, "`herald portal app add` enters one.", "there is no App ID %q", bundleID)
}

// certified is what an App ID's certificates of one kind are limited by.
type certified struct {
	app  App
	team Team
}

// getCertified returns an App ID that may have certificates, and its team.
func getCertified(tx Tx, bundleID apns.Topic) (c certified, err error) {
	if err := get(tx, kindApp, string(bundleID), &c.app); isNotFound(err) {
		if strings.Contains(string(bundleID), "*") {
			return c, errWildcard(bundleID)
		}
		return c, errNoApp(bundleID)
	} else if err != nil {
		return c, err
	}
	if c.app.Wildcard() {
		return c, errWildcard(bundleID)
	}
	c.team, err = getTeam(tx, c.app.Team)
	return c, err
}
