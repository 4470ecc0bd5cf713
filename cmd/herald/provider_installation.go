package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnsclient"
	"github.com/heraldpush/herald/platform/dev"
	"github.com/heraldpush/herald/provider/account"
	"github.com/heraldpush/herald/provider/api"
	"github.com/heraldpush/herald/provider/audience"
)

// providerInstallationCmd is about installations.
type providerInstallationCmd struct {
	Add    providerInstallationAddCmd    `cmd:"" help:"Register an installation, as the app itself does at every launch."`
	List   providerInstallationListCmd   `cmd:"" help:"List installations."`
	Show   providerInstallationShowCmd   `cmd:"" help:"Show an installation with its device tokens."`
	Delete providerInstallationDeleteCmd `cmd:"" help:"Delete an installation."`
}

// providerInstallationAddCmd registers an installation.
type providerInstallationAddCmd struct {
	ID          audience.InstallationID `arg:"" help:"What the app calls itself there, such as a UUID that it made."`
	DeviceToken string                  `arg:"" optional:"" help:"Its device token in hex, or as an app logged it."`
	Sandbox     bool                    `xor:"env" help:"The device token is of the sandbox, as those of apps from Xcode are."`
	Production  bool                    `xor:"env" help:"It is of production, as those of apps from TestFlight and the App Store are."`
	Kind        audience.Kind           `placeholder:"KIND" help:"What the device token is for, such as voip. Without it, alert."`
	Person      string                  `placeholder:"ID" help:"Who uses it: the external_id of the person, or LABEL=ID."`
	Tag         []string                `sep:"none" placeholder:"TAG" help:"A tag; may be repeated."`
	Locale      string                  `help:"Such as de-CH."`
	TimeZone    string                  `help:"Such as Europe/Zurich."`
	AppVersion  string                  `help:"Such as 5.2.0."`
	Dev         string                  `placeholder:"DIR" help:"A running herald dev, its folder or dev.json: its virtual device."`
	appFlag
	providerAt
}

// Help says more than the line in the list of verbs.
func (providerInstallationAddCmd) Help() string {
	return `It says all that there is to say of the installation: what it said before and is
not given again is gone.

    herald provider installation add phone 740f4707… --sandbox --person u42 --tag news

An app does the same with PUT /v1/apps/APP/installations/ID and a publishable key:
herald provider key add --publishable --app APP makes one.`
}

// Run implements the verb.
func (c providerInstallationAddCmd) Run(ctx context.Context, s streams) error {
	r, err := c.registration()
	if err != nil {
		return err
	}
	return c.doFor(ctx, c.App, func(ctx context.Context, at *providerAPI, app account.AppID) error {
		var is api.Installation
		if err := at.call(ctx, http.MethodPut, endpoint("v1", "apps", string(app), "installations", string(c.ID)), r, &is); err != nil {
			return err
		}
		return c.print(s, is, func(w io.Writer) error {
			_, err := fmt.Fprintf(w, "Installation %s of %s is registered.\nNext: herald provider send --to %s --title Hello --wait%s\n",
				plain(string(is.ID)), plain(string(app)), shellWord(string(is.ID)), c.again())
			return err
		})
	})
}

// registration returns what is to be said of the installation.
func (c providerInstallationAddCmd) registration() (r audience.Registration, err error) {
	r = audience.Registration{Tags: c.Tag, Locale: c.Locale, TimeZone: c.TimeZone, AppVersion: c.AppVersion}
	if c.Person != "" {
		alias := personOf(c.Person)
		r.Person = map[string]string{alias.Label: alias.ID}
	}
	token := audience.RegisteredToken{Kind: c.Kind, Value: c.DeviceToken}
	switch {
	case c.Dev != "" && (c.DeviceToken != "" || c.Sandbox || c.Production):
		return r, usageError("--dev knows the device token: it goes without one, and without --sandbox and --production")
	case c.Dev != "":
		v, err := readDevValues(c.Dev)
		if err != nil {
			return r, err
		}
		token.Environment, token.Value = apns.Sandbox.String(), v[dev.KeyDeviceToken]
	case c.DeviceToken == "":
		return r, nil
	case !c.Sandbox && !c.Production:
		return r, whichEnvironment()
	default:
		token.Environment = environmentFlag(c.Sandbox).String()
	}
	if _, err := apnsclient.ParseDeviceToken(token.Value); err != nil {
		problem, remedy := deviceTokenProblem(err)
		return r, withHint(usageError("the device token: %s", problem), "%s.", remedy)
	}
	r.DeviceTokens = []audience.RegisteredToken{token}
	return r, nil
}

// environmentFlag returns the environment of --sandbox or --production.
func environmentFlag(sandbox bool) apns.Environment {
	if sandbox {
		return apns.Sandbox
	}
	return apns.Production
}

// whichEnvironment asks for --sandbox or --production.
func whichEnvironment() error {
	return withHint(usageError("--sandbox or --production?"),
		"device tokens are of one of them: those of apps from Xcode are of the sandbox, those of apps from TestFlight and the App Store of production.")
}

// personOf reads LABEL=ID; without a label it is the app's own.
func personOf(s string) audience.Alias {
	if label, id, ok := strings.Cut(s, "="); ok {
		return audience.Alias{Label: label, ID: id}
	}
	return audience.Alias{Label: "external_id", ID: s}
}

// providerInstallationListCmd lists installations.
type providerInstallationListCmd struct {
	Person string `placeholder:"ID" help:"Only those that a person uses: an external_id, or LABEL=ID."`
	Limit  int    `default:"100" help:"How many at most. Default: ${default}."`
	appFlag
	providerAt
}

// Run implements the verb.
func (c providerInstallationListCmd) Run(ctx context.Context, s streams) error {
	if c.Limit < 1 {
		return usageError("--limit %d: want at least 1", c.Limit)
	}
	return c.doFor(ctx, c.App, func(ctx context.Context, at *providerAPI, app account.AppID) error {
		all, err := c.list(ctx, at, app)
		if err != nil {
			return err
		}
		return c.print(s, all, func(w io.Writer) error {
			if len(all) == 0 {
				_, err := fmt.Fprintln(w, "No installations.")
				return err
			}
			rows := [][]string{{"INSTALLATION", "PERSON", "DEVICE TOKENS", "TAGS", "REGISTERED"}}
			for _, i := range all {
				rows = append(rows, []string{string(i.ID), personText(i.Person), tokensText(i.DeviceTokens), strings.Join(i.Tags, " "), minute(i.UpdatedAt)})
			}
			return table(w, rows...)
		})
	})
}

func (c providerInstallationListCmd) list(ctx context.Context, at *providerAPI, app account.AppID) ([]api.Installation, error) {
	if c.Person == "" {
		return listAll[api.Installation](ctx, at, endpoint("v1", "apps", string(app), "installations"), c.Limit)
	}
	alias := personOf(c.Person)
	var person api.Person
	err := at.call(ctx, http.MethodGet, endpoint("v1", "apps", string(app), "people", alias.Label, alias.ID), nil, &person)
	return person.Installations[:min(len(person.Installations), c.Limit)], err
}

func personText(person map[string]string) string {
	var all []string
	for label, id := range person {
		all = append(all, label+"="+id)
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// tokensText says which device tokens there are, and which are no good.
func tokensText(tokens []api.DeviceToken) string {
	var all []string
	for _, t := range tokens {
		text := string(t.Kind) + " " + t.Environment.String()
		if t.State != "" && t.State != "active" {
			text += " (" + t.State + ")"
		}
		all = append(all, text)
	}
	return strings.Join(all, ", ")
}

// providerInstallationShowCmd shows an installation.
type providerInstallationShowCmd struct {
	ID audience.InstallationID `arg:"" help:"The installation."`
	appFlag
	providerAt
}

// Run implements the verb.
func (c providerInstallationShowCmd) Run(ctx context.Context, s streams) error {
	return c.doFor(ctx, c.App, func(ctx context.Context, at *providerAPI, app account.AppID) error {
		var i api.Installation
		if err := at.call(ctx, http.MethodGet, endpoint("v1", "apps", string(app), "installations", string(c.ID)), nil, &i); err != nil {
			return err
		}
		return c.print(s, i, func(w io.Writer) error {
			err := table(w,
				[]string{"Installation", string(i.ID)}, []string{"Person", personText(i.Person)}, []string{"Tags", strings.Join(i.Tags, " ")},
				[]string{"Locale", i.Locale}, []string{"Time zone", i.TimeZone}, []string{"App version", i.AppVersion},
				[]string{"First seen", minute(i.CreatedAt)}, []string{"Last change", minute(i.UpdatedAt)})
			if err != nil || len(i.DeviceTokens) == 0 {
				return err
			}
			if _, err := fmt.Fprintln(w); err != nil {
				return err
			}
			return tokenTable(w, i.DeviceTokens)
		})
	})
}

func tokenTable(w io.Writer, tokens []api.DeviceToken) error {
	rows := [][]string{{"KIND", "ENVIRONMENT", "STATE", "ACCEPTED", "WHY", "DEVICE TOKEN"}}
	for _, t := range tokens {
		kind, accepted, why := string(t.Kind), "never", ""
		if t.Name != "" {
			kind += " " + t.Name
		}
		if !t.AcceptedAt.IsZero() {
			accepted = minute(t.AcceptedAt)
		}
		if t.Reason != "" {
			why = string(t.Reason) + ", " + minute(t.ReasonAt)
		}
		rows = append(rows, []string{kind, t.Environment.String(), t.State, accepted, why, string(t.Value)})
	}
	return table(w, rows...)
}

// providerInstallationDeleteCmd deletes an installation.
type providerInstallationDeleteCmd struct {
	ID audience.InstallationID `arg:"" help:"The installation."`
	appFlag
	providerAt
}

// Run implements the verb.
func (c providerInstallationDeleteCmd) Run(ctx context.Context, s streams) error {
	return c.doFor(ctx, c.App, func(ctx context.Context, at *providerAPI, app account.AppID) error {
		if err := at.call(ctx, http.MethodDelete, endpoint("v1", "apps", string(app), "installations", string(c.ID)), nil, nil); err != nil {
			return err
		}
		return c.print(s, map[string]audience.InstallationID{"deleted": c.ID}, func(w io.Writer) error {
			_, err := fmt.Fprintf(w, "Installation %s is deleted.\n", plain(string(c.ID)))
			return err
		})
	})
}
