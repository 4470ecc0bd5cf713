package portal

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
)

// Team is a developer team: who apps, keys and certificates belong to.
type Team struct {
	ID apns.TeamID
	// Name is written into certificates as their organization.
	Name    string
	Created time.Time
}

// CreateTeam enters a team under a new ID.
func (p *Portal) CreateTeam(ctx context.Context, name string) (Team, error) {
	if strings.TrimSpace(name) == "" {
		return Team{}, refuse("a team needs a name")
	}
	t := Team{ID: credential.NewTeamID(), Name: name, Created: time.Now().UTC()}
	if err := p.store.Update(ctx, func(tx Tx) error { return put(tx, kindTeam, string(t.ID), t) }); err != nil {
		return Team{}, fmt.Errorf("creating team: %w", err)
	}
	return t, nil
}

// Teams returns all teams, by ID.
func (p *Portal) Teams(ctx context.Context) (teams []Team, err error) {
	err = p.store.View(ctx, func(tx Tx) error {
		return each(tx, kindTeam, func(t *Team) error { teams = append(teams, *t); return nil })
	})
	return teams, err
}

// App is an App ID that may receive pushes.
type App struct {
	// BundleID is explicit, such as "com.example.demo".
	BundleID apns.Topic
	Team     apns.TeamID
	Name     string
	Created  time.Time
}

// RegisterApp enters an App ID for a team. It returns a Refusal for a bundle
// ID that is a wildcard, malformed or taken, or an unknown team.
func (p *Portal) RegisterApp(ctx context.Context, team apns.TeamID, bundleID apns.Topic, name string) (App, error) {
	a := App{BundleID: bundleID, Team: team, Name: name, Created: time.Now().UTC()}
	switch {
	case strings.Contains(string(bundleID), "*"):
		return App{}, refuse("%s cannot have push: a topic is one bundle ID; register an explicit App ID", bundleID)
	case !bundleID.Valid():
		return App{}, refuse("%q is not a bundle ID: letters, digits, hyphens and dots, such as com.example.demo", bundleID)
	case bundleID.BundleID() != bundleID:
		return App{}, refuse("%s ends in the suffix of a push type; register %s", bundleID, bundleID.BundleID())
	}
	err := p.store.Update(ctx, func(tx Tx) error {
		if err := get(tx, kindTeam, string(team), new(Team)); err != nil {
			return refuse("team %q: %w", team, err)
		}
		switch err := get(tx, kindApp, string(bundleID), new(App)); {
		case err == nil:
			return refuse("%s is registered already", bundleID)
		case !errors.Is(err, ErrNotFound):
			return err
		}
		return put(tx, kindApp, string(bundleID), a)
	})
	if err != nil {
		return App{}, fmt.Errorf("registering app: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.apps[a.BundleID] = &a
	return a, nil
}

// Apps returns all App IDs, by bundle ID.
func (p *Portal) Apps(ctx context.Context) (apps []App, err error) {
	err = p.store.View(ctx, func(tx Tx) error {
		return each(tx, kindApp, func(a *App) error { apps = append(apps, *a); return nil })
	})
	return apps, err
}
