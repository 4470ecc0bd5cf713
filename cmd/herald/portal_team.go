package main

import (
	"context"
	"fmt"
	"io"

	"github.com/heraldpush/herald/admin"
)

// portalTeamCmd is about teams.
type portalTeamCmd struct {
	Add  portalTeamAddCmd  `cmd:"" help:"Enter a team; its Team ID is made up."`
	List portalTeamListCmd `cmd:"" help:"List the teams."`
}

// portalTeamAddCmd enters a team.
type portalTeamAddCmd struct {
	Name string `arg:"" help:"Its name, as in the organization of its certificates."`
	portalAt
}

// Run implements the verb.
func (c portalTeamAddCmd) Run(ctx context.Context, s streams) error {
	return c.do(ctx, func(ctx context.Context, at admin.Target) error {
		t, err := admin.CreateTeam.Call(ctx, at, admin.TeamRequest{Name: c.Name})
		if err != nil {
			return err
		}
		return c.print(s, t, func(w io.Writer) error {
			_, err := fmt.Fprintf(w, "Team %s is entered under the Team ID %s.\nNext: herald portal app add com.example.app --team %s%s\n", plain(t.Name), t.ID, t.ID, c.again())
			return err
		})
	})
}

// portalTeamListCmd lists teams.
type portalTeamListCmd struct{ portalAt }

// Run implements the verb.
func (c portalTeamListCmd) Run(ctx context.Context, s streams) error {
	return c.do(ctx, func(ctx context.Context, at admin.Target) error {
		teams, err := admin.All(ctx, at, admin.ListTeams, "")
		if err != nil {
			return err
		}
		return c.print(s, teams, func(w io.Writer) error {
			if len(teams) == 0 {
				_, err := fmt.Fprintln(w, "No teams. herald portal team add NAME enters one.")
				return err
			}
			rows := [][]string{{"TEAM ID", "NAME", "ENTERED"}}
			for _, t := range teams {
				rows = append(rows, []string{string(t.ID), t.Name, day(t.Created)})
			}
			return table(w, rows...)
		})
	})
}
