package admin

import (
	"context"
	"net/http"

	"github.com/heraldpush/herald/portal"
)

// TeamRequest is a team to be.
type TeamRequest struct {
	Name string `json:"name"`
}

// The operations on teams.
var (
	ListTeams = &Operation[Page, List[portal.Team]]{
		Row: Row{http.MethodGet, "/v1/portal/teams", "Lists the teams."},
		run: func(ctx context.Context, p *portal.Portal, in Page) (List[portal.Team], error) {
			all, err := p.Teams(ctx)
			return page(all, in, func(t portal.Team) string { return string(t.ID) }), err
		},
	}
	CreateTeam = &Operation[TeamRequest, portal.Team]{
		Row: Row{http.MethodPost, "/v1/portal/teams", "Enters a team under a new Team ID."},
		run: func(ctx context.Context, p *portal.Portal, in TeamRequest) (portal.Team, error) {
			return p.CreateTeam(ctx, in.Name)
		},
	}
)
