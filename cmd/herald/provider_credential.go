package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
	"github.com/heraldpush/herald/platform/dev"
	"github.com/heraldpush/herald/provider/account"
	"github.com/heraldpush/herald/provider/api"
)

// providerCredentialCmd is about credentials.
type providerCredentialCmd struct {
	Add    providerCredentialAddCmd    `cmd:"" help:"Upload a push certificate or a key, and see whether the push service takes it."`
	List   providerCredentialListCmd   `cmd:"" help:"List the credentials, and say which expire soon."`
	Check  providerCredentialCheckCmd  `cmd:"" help:"Ask the push service whether it takes a credential."`
	Delete providerCredentialDeleteCmd `cmd:"" help:"Delete a credential, with its private key."`
}

// appFlag says which app is meant.
type appFlag struct {
	App account.AppID `placeholder:"APP" help:"The app. Needed if there are several."`
}

// providerCredentialAddCmd uploads a credential.
type providerCredentialAddCmd struct {
	File     string               `arg:"" optional:"" help:"The .p12, .pem or .p8 file; - is standard input."`
	Env      []apns.Environment   `placeholder:"ENV" help:"sandbox or production; may be repeated. Without it, all that it is good for."`
	Topic    []apns.Topic         `sep:"none" placeholder:"TOPIC" help:"Topic that a key is for; may be repeated. Without it, all of the app."`
	Replaces account.CredentialID `placeholder:"ID" help:"Credential that is deleted when this one has proved itself wherever that one is used."`
	Dev      string               `placeholder:"DIR" help:"A running herald dev, its folder or dev.json: the key of its team."`
	keyIDs
	passwordFlags
	appFlag
	providerAt
}

// Help says more than the line in the list of verbs.
func (providerCredentialAddCmd) Help() string {
	return `It is kept sealed, and checked at once with a push that reaches nobody.

    herald provider credential add AuthKey_2X9R4HXF34.p8 --team ABCDE12345
    herald provider credential add aps.p12 --password-file password.txt

Exit status: 0 the push service takes it, 1 it does not, or did not answer.`
}

// Run implements the verb.
func (c providerCredentialAddCmd) Run(ctx context.Context, s streams) error {
	u, err := c.upload(ctx, s)
	if err != nil {
		return err
	}
	return c.doFor(ctx, c.App, func(ctx context.Context, at *providerAPI, app account.AppID) error {
		var made api.Credential
		if err := at.call(ctx, http.MethodPost, endpoint("v1", "apps", string(app), "credentials"), u, &made); err != nil {
			return err
		}
		err := c.print(s, made, func(w io.Writer) error {
			if _, err := fmt.Fprintf(w, "Credential %s (%s) is kept, for %s.\n", made.ID, plain(made.Name), usedIn(made)); err != nil {
				return err
			}
			return findingsTable(w, made)
		})
		return errors.Join(err, judgeFindings(made, c.again()))
	})
}

// upload reads the file, and asks for its password if it has one.
func (c *providerCredentialAddCmd) upload(ctx context.Context, s streams) (u account.Upload, err error) {
	switch {
	case c.Dev != "" && c.File != "":
		return u, usageError("--dev knows the key: it goes without a file")
	case c.Dev != "":
		v, err := readDevValues(c.Dev)
		if err != nil {
			return u, err
		}
		c.File, c.KeyID, c.Team = v[dev.KeyKey], apns.KeyID(v[dev.KeyKeyID]), apns.TeamID(v[dev.KeyTeamID])
	case c.File == "":
		return u, withHint(usageError("which file?"), "the .p8, .p12 or .pem of the credential; or --dev DIR for that of a running herald dev.")
	}
	in, err := readInput(c.File)
	if err != nil {
		return u, err
	}
	if len(in.Data) > account.MaxFileBytes {
		return u, unreadable(fmt.Errorf("%s has more than %d bytes: this is no credential", plain(c.File), account.MaxFileBytes))
	}
	p := c.open(ctx)
	f := inspect(in, p)
	problems := f.report.Problems
	if stops(problems) {
		return u, tell(s, problems)
	}
	if f.isProviderKey() && c.Team == "" {
		return u, withHint(usageError("%s is a provider key: --team is needed with it", f.report.Name), "it stands on the membership page of the developer account.")
	}
	if err := tell(s, exposedOnly(problems)); err != nil {
		return u, err
	}
	u = account.Upload{
		File: in.Data, FileName: filepath.Base(c.File), TeamID: c.Team, KeyID: c.KeyID, Topics: c.Topic, Replaces: c.Replaces,
	}
	if p.asked {
		u.Password = p.last
	}
	for _, e := range c.Env {
		u.Environments = append(u.Environments, e.String())
	}
	return u, nil
}

// exposedOnly leaves out what only says how the file looks.
func exposedOnly(problems []credential.Problem) (all []credential.Problem) {
	for _, p := range problems {
		if p.Code == credential.WarnPermissions {
			all = append(all, p)
		}
	}
	return all
}

func usedIn(c api.Credential) string {
	var all []string
	for _, e := range c.Environments {
		all = append(all, e.String())
	}
	return strings.Join(all, " and ")
}

// findingsTable says what the push service said.
func findingsTable(w io.Writer, c api.Credential) error {
	var rows [][]string
	for _, f := range c.Findings {
		rows = append(rows, []string{"  " + f.Environment.String(), verdictOf(f)})
	}
	return table(w, rows...)
}

func verdictOf(f api.Finding) string {
	switch string(f.Verdict) {
	case account.Taken.String():
		return "the push service takes it"
	case account.Refused.String():
		return "refused: " + string(f.Reason)
	}
	return "not clear: " + f.Detail
}

// judgeFindings returns an error for a credential that nobody takes, or of which
// that is not known.
func judgeFindings(c api.Credential, again string) error {
	taken := 0
	for _, f := range c.Findings {
		switch string(f.Verdict) {
		case account.Taken.String():
			taken++
		case account.Refused.String():
			if f.Reason == apns.BadEnvironmentKeyInToken {
				continue // a key may be bound to the other
			}
			hint := remedies[f.Reason]
			if hint == "" {
				hint = "see the reasons in the documentation of the provider protocol."
			}
			return withHint(fmt.Errorf("%s refuses it: %s", f.Environment, f.Reason), "%s", hint)
		}
	}
	if taken == 0 {
		return withHint(errors.New("the push service did not say that it takes it"), "herald provider credential check %s%s asks again.", c.ID, again)
	}
	return nil
}

// providerCredentialListCmd lists credentials.
type providerCredentialListCmd struct {
	CheckExpiry int `placeholder:"DAYS" default:"-1" help:"End with status 1 if one that is needed expires within so many days: 30, 14, 7, 1, or 0 for one that has."`
	appFlag
	providerAt
}

// Help says more than the line in the list of verbs.
func (providerCredentialListCmd) Help() string {
	return `Without --app it lists those of all apps. For a monitor:

    herald provider credential list --check-expiry 30

ends with status 1 if a credential expires within 30 days and no other could take
over, and names it on standard error. Keys do not expire.`
}

// appCredential is a credential with its app.
type appCredential struct {
	App account.AppID `json:"app"`
	api.Credential
}

// Run implements the verb.
func (c providerCredentialListCmd) Run(ctx context.Context, s streams) error {
	if c.CheckExpiry < -1 || c.CheckExpiry > 3650 {
		return usageError("--check-expiry %d: want a number of days, from 0 on", c.CheckExpiry)
	}
	return c.do(ctx, func(ctx context.Context, at *providerAPI) error {
		all, err := c.list(ctx, at)
		if err != nil {
			return err
		}
		err = c.print(s, all, func(w io.Writer) error {
			if len(all) == 0 {
				_, err := fmt.Fprintf(w, "No credentials. herald provider credential add FILE%s uploads one.\n", c.again())
				return err
			}
			rows := [][]string{{"APP", "CREDENTIAL", "NAME", "FOR", "EXPIRES", "PUSH SERVICE"}}
			for _, a := range all {
				rows = append(rows, []string{string(a.App), string(a.ID), a.Name, usedIn(a.Credential), expiryOf(a.Credential), standingOf(a.Credential)})
			}
			return table(w, rows...)
		})
		if err != nil || c.CheckExpiry < 0 {
			return err
		}
		return expiring(all, time.Now(), c.CheckExpiry)
	})
}

func (c providerCredentialListCmd) list(ctx context.Context, at *providerAPI) ([]appCredential, error) {
	apps := []account.AppID{c.App}
	if c.App == "" {
		entered, err := listAll[api.App](ctx, at, endpoint("v1", "apps"), maxShown)
		if err != nil {
			return nil, err
		}
		apps = apps[:0]
		for _, a := range entered {
			apps = append(apps, a.ID)
		}
	}
	all := []appCredential{}
	for _, app := range apps {
		var some page[api.Credential] // it is all of them
		if err := at.call(ctx, http.MethodGet, endpoint("v1", "apps", string(app), "credentials"), nil, &some); err != nil {
			return nil, err
		}
		for _, x := range some.Data {
			all = append(all, appCredential{app, x})
		}
	}
	return all, nil
}

// expiring returns an error if a credential expires within so many days that no
// other could take over from.
func expiring(all []appCredential, now time.Time, days int) error {
	until := now.Add(time.Duration(days) * 24 * time.Hour)
	var near []string
	for i := range all {
		c := &all[i]
		if !c.NotAfter.IsZero() && !c.NotAfter.After(until) && !hasSuccessor(c, all, until) {
			near = append(near, fmt.Sprintf("%s, %s (%s) expires %s", c.App, c.ID, plain(c.Name), expires(c.NotAfter)))
		}
	}
	if len(near) == 0 {
		return nil
	}
	return withHint(errors.New(strings.Join(near, "\n  ")),
		"upload its successor: herald provider credential add FILE --app APP --replaces ID. A key (.p8) does not expire.")
}

// hasSuccessor reports whether other credentials that last longer were taken by the
// push service in all environments of one, for all its topics.
func hasSuccessor(c *appCredential, all []appCredential, until time.Time) bool {
	for _, e := range c.Environments {
		covered := false
		for i := range all {
			o := &all[i]
			lasts := o.NotAfter.IsZero() || o.NotAfter.After(until)
			covered = covered || o.App == c.App && o.ID != c.ID && lasts && covers(&o.Credential, &c.Credential) && provenIn(&o.Credential, e)
		}
		if !covered {
			return false
		}
	}
	return len(c.Environments) > 0
}

// covers reports whether a is for all topics of b.
func covers(a, b *api.Credential) bool {
	if len(a.Topics) == 0 {
		return true
	}
	if len(b.Topics) == 0 {
		return false
	}
	have := make(map[apns.Topic]bool)
	for _, t := range a.Topics {
		have[t] = true
	}
	for _, t := range b.Topics {
		if !have[t] {
			return false
		}
	}
	return true
}

// provenIn reports whether the push service took a credential in an environment.
func provenIn(c *api.Credential, e apns.Environment) bool {
	for _, s := range c.Standings {
		if s.Environment == e {
			return s.Proven()
		}
	}
	return false
}

func expiryOf(c api.Credential) string {
	if c.NotAfter.IsZero() {
		return "never"
	}
	return expires(c.NotAfter)
}

// standingOf says what the push service has said of a credential so far.
func standingOf(c api.Credential) string {
	var all []string
	for _, e := range c.Environments {
		text := "not asked in " + e.String()
		for _, s := range c.Standings {
			switch {
			case s.Environment != e:
			case s.Proven():
				text = "takes it in " + e.String()
			default:
				text = fmt.Sprintf("refuses it in %s (%s)", e, s.Reason)
			}
		}
		all = append(all, text)
	}
	return strings.Join(all, ", ")
}

// providerCredentialCheckCmd checks a credential.
type providerCredentialCheckCmd struct {
	ID account.CredentialID `arg:"" help:"The credential."`
	appFlag
	providerAt
}

// Run implements the verb.
func (c providerCredentialCheckCmd) Run(ctx context.Context, s streams) error {
	return c.doFor(ctx, c.App, func(ctx context.Context, at *providerAPI, app account.AppID) error {
		var checked api.Credential
		if err := at.call(ctx, http.MethodPost, endpoint("v1", "apps", string(app), "credentials", string(c.ID))+":check", nil, &checked); err != nil {
			return err
		}
		err := c.print(s, checked, func(w io.Writer) error {
			if _, err := fmt.Fprintf(w, "Credential %s (%s):\n", checked.ID, plain(checked.Name)); err != nil {
				return err
			}
			return findingsTable(w, checked)
		})
		return errors.Join(err, judgeFindings(checked, c.again()))
	})
}

// providerCredentialDeleteCmd deletes a credential.
type providerCredentialDeleteCmd struct {
	ID    account.CredentialID `arg:"" help:"The credential."`
	Force bool                 `help:"Also if it is the only one that the push service takes for something."`
	appFlag
	providerAt
}

// Run implements the verb.
func (c providerCredentialDeleteCmd) Run(ctx context.Context, s streams) error {
	return c.doFor(ctx, c.App, func(ctx context.Context, at *providerAPI, app account.AppID) error {
		to := endpoint("v1", "apps", string(app), "credentials", string(c.ID))
		if c.Force {
			to += "?force=true"
		}
		err := at.call(ctx, http.MethodDelete, to, nil, nil)
		if r, ok := errors.AsType[*refusedError](err); ok && r.Code == api.CodeConflict {
			return withHint(err, "--force deletes it all the same.")
		}
		if err != nil {
			return err
		}
		return c.print(s, map[string]account.CredentialID{"deleted": c.ID}, func(w io.Writer) error {
			_, err := fmt.Fprintf(w, "Credential %s is deleted.\n", plain(string(c.ID)))
			return err
		})
	})
}
