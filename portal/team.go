package portal

import (
	"context"
	"fmt"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
)

// Team is a developer team: who apps, keys and certificates belong to.
type Team struct {
	ID apns.TeamID `json:"id"`
	// Name is written into certificates as their organization.
	Name    string    `json:"name"`
	Created time.Time `json:"created"`
}

// CreateTeam enters a team under a new ID. It returns a Refusal for a name that
// is empty, longer than 100 bytes or not fit to be printed.
func (p *Portal) CreateTeam(ctx context.Context, name string) (Team, error) {
	name, err := cleanName("a team", name)
	if err != nil {
		return Team{}, fmt.Errorf("creating team: %w", err)
	}
	if name == "" {
		return Team{}, refuse(CodeName, "It is written into certificates.", "a team needs a name")
	}
	t := Team{ID: credential.NewTeamID(), Name: name, Created: time.Now().UTC()}
	err = p.store.Update(ctx, func(tx Tx) error {
		if err := note(ctx, tx, "team.create", string(t.ID), "%s", name); err != nil {
			return err
		}
		return put(tx, kindTeam, string(t.ID), t)
	})
	if err != nil {
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

func getTeam(tx Tx, id apns.TeamID) (t Team, err error) {
	if err := get(tx, kindTeam, string(id), &t); isNotFound(err) {
		return t, refuse(CodeTeam, "`herald portal team list` names them.", "there is no team %q", id)
	} else if err != nil {
		return t, err
	}
	return t, nil
}
