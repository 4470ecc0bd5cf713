package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/heraldpush/herald/admin"
	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
	"github.com/heraldpush/herald/portal"
)

// portalKeyCmd is about signing keys.
type portalKeyCmd struct {
	New    portalKeyNewCmd    `cmd:"" help:"Make a signing key and write its .p8 file, this once."`
	List   portalKeyListCmd   `cmd:"" help:"List the signing keys."`
	Revoke portalKeyRevokeCmd `cmd:"" help:"Revoke a signing key, now and for good."`
}

// portalKeyNewCmd makes a signing key.
type portalKeyNewCmd struct {
	Team    string           `placeholder:"TEAMID" help:"Team it belongs to. Needed if there are several."`
	Name    string           `default:"Push key" help:"Its name, for people."`
	Scope   portal.KeyScope  `default:"team" enum:"team,topic" help:"team: for all apps of the team. topic: for those that --topic names."`
	Env     apns.Environment `placeholder:"ENV" help:"sandbox or production. Without it both, which scope team alone can have."`
	Topic   []apns.Topic     `placeholder:"BUNDLEID" sep:"none" help:"App ID that it is for; may be repeated. For scope topic."`
	Related apns.KeyID       `placeholder:"KEYID" help:"Another key of scope topic, to send on the same connections."`
	Out     string           `placeholder:"FILE" help:"Where to write it. Default: AuthKey_<KEYID>.p8."`
	Force   bool             `help:"Replace the file if it exists."`
	portalAt
}

// newKeyResult is what the verb prints as JSON.
type newKeyResult struct {
	portal.Key
	File string `json:"file"`
}

// Run implements the verb.
func (c portalKeyNewCmd) Run(ctx context.Context, s streams) error {
	return c.do(ctx, func(ctx context.Context, at admin.Target) (err error) {
		team, err := teamOf(ctx, at, c.Team)
		if err != nil {
			return err
		}
		path := c.Out
		if path == "" {
			path = "AuthKey.p8" // until its ID is known
		}
		file, err := newFileAt(path, private, c.Force || c.Out == "") // before the portal has done anything
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, file.discard()) }()
		file.replace = c.Force
		made, err := admin.CreateKey.Call(ctx, at, portal.KeySpec{
			Team: team, Name: c.Name, Scope: c.Scope, Environment: c.Env, Topics: c.Topic, Related: c.Related,
		})
		if err != nil {
			return err
		}
		if err := c.write(file, made); err != nil {
			return withHint(err, "the key is lost: herald portal key revoke %s", made.Key.ID)
		}
		return c.print(s, newKeyResult{made.Key, file.path}, func(w io.Writer) error { return c.tell(w, made.Key, file.path) })
	})
}

func (c portalKeyNewCmd) write(f *newFile, made admin.NewKey) error {
	if c.Out == "" {
		if err := f.moveTo(credential.P8FileName(made.Key.ID)); err != nil {
			return err
		}
	}
	return f.keepAll([]byte(made.P8))
}

func (c portalKeyNewCmd) tell(w io.Writer, k portal.Key, path string) error {
	err := table(w,
		[]string{"Key ID", string(k.ID)}, []string{"Team ID", string(k.Team)},
		[]string{"Scope", scopeOf(k)}, []string{"Environment", environmentOf(k)})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "Wrote %s (mode 0600). The portal keeps no copy: it cannot be downloaded again.\nNext: give %s, the Key ID and the Team ID to your server.\n",
		plain(path), plain(filepath.Base(path)))
	return err
}

// scopeOf says how far a key reaches.
func scopeOf(k portal.Key) string {
	if k.Scope == portal.ScopeTeam {
		return "team"
	}
	topics := make([]string, len(k.Topics))
	for i, t := range k.Topics {
		topics[i] = string(t)
	}
	const shown = 3
	text := "topic: " + strings.Join(topics[:min(shown, len(topics))], ", ")
	if len(topics) > shown {
		text += fmt.Sprintf(" and %d more", len(topics)-shown)
	}
	return text
}

// environmentOf says where a key is good.
func environmentOf(k portal.Key) string {
	if k.Environment == 0 {
		return "sandbox and production"
	}
	return k.Environment.String()
}

// portalKeyListCmd lists signing keys.
type portalKeyListCmd struct{ portalAt }

// Run implements the verb.
func (c portalKeyListCmd) Run(ctx context.Context, s streams) error {
	return c.do(ctx, func(ctx context.Context, at admin.Target) error {
		keys, err := admin.All(ctx, at, admin.ListKeys, "")
		if err != nil {
			return err
		}
		return c.print(s, keys, func(w io.Writer) error {
			if len(keys) == 0 {
				_, err := fmt.Fprintln(w, "No keys. herald portal key new makes one.")
				return err
			}
			rows := [][]string{{"KEY ID", "NAME", "TEAM", "ENVIRONMENT", "SCOPE", "RELATED", "CREATED", "STATE"}}
			for _, k := range keys {
				state := "active"
				if !k.Revoked.IsZero() {
					state = "revoked " + day(k.Revoked)
				}
				rows = append(rows, []string{string(k.ID), k.Name, string(k.Team), environmentOf(k), scopeOf(k), string(k.Related), day(k.Created), state})
			}
			return table(w, rows...)
		})
	})
}

// portalKeyRevokeCmd revokes a signing key.
type portalKeyRevokeCmd struct {
	KeyID string `arg:"" name:"keyid" help:"Its Key ID."`
	portalAt
}

// Run implements the verb.
func (c portalKeyRevokeCmd) Run(ctx context.Context, s streams) error {
	return c.do(ctx, func(ctx context.Context, at admin.Target) error {
		k, err := admin.RevokeKey.Call(ctx, at, admin.KeyID{ID: apns.KeyID(c.KeyID)})
		if err != nil {
			return err
		}
		return c.print(s, k, func(w io.Writer) error {
			_, err := fmt.Fprintf(w, "Key %s (%s) is revoked since %s: provider tokens it signed are refused.\n", k.ID, plain(k.Name), minute(k.Revoked))
			return err
		})
	})
}
