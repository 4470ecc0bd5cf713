package main

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/provider/account"
	"github.com/heraldpush/herald/provider/api"
)

// providerAppCmd is about apps.
type providerAppCmd struct {
	Add  providerAppAddCmd  `cmd:"" help:"Enter an app."`
	List providerAppListCmd `cmd:"" help:"List the apps."`
}

// providerAppAddCmd enters an app.
type providerAppAddCmd struct {
	ID       account.AppID `arg:"" help:"What the app is called in the API, such as shop."`
	BundleID apns.Topic    `arg:"" help:"Its bundle ID, such as com.example.shop."`
	Name     string        `help:"Its name, for people."`
	providerAt
}

// Run implements the verb.
func (c providerAppAddCmd) Run(ctx context.Context, s streams) error {
	return c.do(ctx, func(ctx context.Context, at *providerAPI) error {
		var made api.App
		err := at.call(ctx, http.MethodPost, endpoint("v1", "apps"), account.AppSpec{ID: c.ID, BundleID: c.BundleID, Name: c.Name}, &made)
		if err != nil {
			return err
		}
		return c.print(s, made, func(w io.Writer) error {
			_, err := fmt.Fprintf(w, "App %s is entered, for %s.\nNext: herald provider credential add FILE --app %s%s\n", made.ID, made.BundleID, made.ID, c.again())
			return err
		})
	})
}

// providerAppListCmd lists apps.
type providerAppListCmd struct{ providerAt }

// Run implements the verb.
func (c providerAppListCmd) Run(ctx context.Context, s streams) error {
	return c.do(ctx, func(ctx context.Context, at *providerAPI) error {
		apps, err := listAll[api.App](ctx, at, endpoint("v1", "apps"), maxShown)
		if err != nil {
			return err
		}
		return c.print(s, apps, func(w io.Writer) error {
			if len(apps) == 0 {
				_, err := fmt.Fprintln(w, "No apps. herald provider app add ID BUNDLEID enters one.")
				return err
			}
			rows := [][]string{{"APP", "BUNDLE ID", "NAME", "ENTERED"}}
			for _, a := range apps {
				rows = append(rows, []string{string(a.ID), string(a.BundleID), a.Name, day(a.CreatedAt)})
			}
			return table(w, rows...)
		})
	})
}
