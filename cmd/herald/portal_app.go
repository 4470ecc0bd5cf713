package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/heraldpush/herald/admin"
	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
	"github.com/heraldpush/herald/portal"
)

// portalAppCmd is about App IDs.
type portalAppCmd struct {
	Add  portalAppAddCmd  `cmd:"" help:"Enter an App ID."`
	List portalAppListCmd `cmd:"" help:"List the App IDs and how far each has come with push."`
	Show portalAppShowCmd `cmd:"" help:"Show an App ID with its active certificates."`

	Broadcast portalAppBroadcastCmd `cmd:"" help:"Switch the capability to broadcast on or off."`
}

// portalAppAddCmd enters an App ID.
type portalAppAddCmd struct {
	BundleID string `arg:"" help:"Such as com.example.app. A wildcard such as com.example.* cannot have push."`
	Name     string `help:"Its name, for people."`
	Team     string `placeholder:"TEAMID" help:"Team it belongs to. Needed if there are several."`
	portalAt
}

// Run implements the verb.
func (c portalAppAddCmd) Run(ctx context.Context, s streams) error {
	return c.do(ctx, func(ctx context.Context, at admin.Target) error {
		team, err := teamOf(ctx, at, c.Team)
		if err != nil {
			return err
		}
		a, err := admin.RegisterApp.Call(ctx, at, admin.AppRequest{Team: team, BundleID: apns.Topic(c.BundleID), Name: c.Name})
		if err != nil {
			return err
		}
		return c.print(s, a, func(w io.Writer) error {
			if _, err := fmt.Fprintf(w, "App ID %s is entered for team %s.\n", a.BundleID, a.Team); err != nil {
				return err
			}
			next := fmt.Sprintf("Next: herald portal cert issue --app %s --kind %s --csr Push.certSigningRequest%s",
				a.BundleID, credential.PushKindOf(a.BundleID), c.again())
			if a.Wildcard() {
				next = "It is a wildcard and cannot have push: that needs an explicit App ID."
			}
			_, err := fmt.Fprintln(w, next)
			return err
		})
	})
}

// portalAppListCmd lists App IDs.
type portalAppListCmd struct{ portalAt }

// Run implements the verb.
func (c portalAppListCmd) Run(ctx context.Context, s streams) error {
	return c.do(ctx, func(ctx context.Context, at admin.Target) error {
		apps, err := admin.All(ctx, at, admin.ListApps, "")
		if err != nil {
			return err
		}
		return c.print(s, apps, func(w io.Writer) error {
			if len(apps) == 0 {
				_, err := fmt.Fprintln(w, "No App IDs. herald portal app add BUNDLEID enters one.")
				return err
			}
			rows := [][]string{{"APP ID", "NAME", "TEAM", "PUSH"}}
			for _, a := range apps {
				rows = append(rows, []string{string(a.BundleID), a.Name, string(a.Team), pushOf(a)})
			}
			return table(w, rows...)
		})
	})
}

// pushOf says how far an App ID has come with push.
func pushOf(a portal.AppStatus) string {
	switch a.Push {
	case portal.PushNone:
		return "none: it is a wildcard"
	case portal.PushConfigurable:
		return "configurable"
	case portal.PushEnabled:
		var first time.Time
		for _, c := range a.Active {
			if first.IsZero() || c.NotAfter.Before(first) {
				first = c.NotAfter
			}
		}
		return fmt.Sprintf("enabled: %s, next expires %s", count(len(a.Active), "certificate", "certificates"), day(first))
	}
	return string(a.Push)
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

// portalAppShowCmd shows an App ID.
type portalAppShowCmd struct {
	BundleID string `arg:"" help:"The App ID."`
	portalAt
}

// Run implements the verb.
func (c portalAppShowCmd) Run(ctx context.Context, s streams) error {
	return c.do(ctx, func(ctx context.Context, at admin.Target) error {
		a, err := admin.GetApp.Call(ctx, at, admin.AppID{BundleID: apns.Topic(c.BundleID)})
		if err != nil {
			return err
		}
		return c.print(s, a, func(w io.Writer) error {
			err := table(w,
				[]string{"App ID", string(a.BundleID)}, []string{"Name", a.Name}, []string{"Team", string(a.Team)},
				[]string{"Entered", day(a.Created)}, []string{"Push", pushOf(a)}, []string{"Broadcast", onOff(a.Broadcast.On)})
			if err != nil || len(a.Active) == 0 {
				return err
			}
			if _, err := fmt.Fprintln(w); err != nil {
				return err
			}
			return certificateTable(w, a.Active)
		})
	})
}
