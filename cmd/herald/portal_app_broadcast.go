package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/heraldpush/herald/admin"
	"github.com/heraldpush/herald/apns"
)

// portalAppBroadcastCmd switches an App ID's capability to broadcast.
type portalAppBroadcastCmd struct {
	BundleID string `arg:"" help:"The App ID."`
	State    string `arg:"" enum:"on,off" help:"on or off. Off deletes every channel of the app, in both environments, for good."`
	Yes      bool   `short:"y" help:"Do not ask before channels are deleted."`
	portalAt
}

// Run implements the verb.
func (c portalAppBroadcastCmd) Run(ctx context.Context, s streams) error {
	return c.do(ctx, func(ctx context.Context, at admin.Target) error {
		before, err := admin.GetApp.Call(ctx, at, admin.AppID{BundleID: apns.Topic(c.BundleID)})
		if err != nil {
			return err
		}
		on := c.State == "on"
		if !on && before.Broadcast.On && !c.Yes {
			if err := c.confirm(ctx); err != nil {
				return err
			}
		}
		a, err := admin.SetBroadcast.Call(ctx, at, admin.BroadcastSwitch{BundleID: before.BundleID, On: &on})
		if err != nil {
			return err
		}
		return c.print(s, a, func(w io.Writer) error {
			text := "App ID %s can broadcast.\n"
			switch {
			case before.Broadcast.On == on && on:
				text = "App ID %s can broadcast already.\n"
			case before.Broadcast.On == on:
				text = "App ID %s cannot broadcast anyway.\n"
			case !on:
				text = "App ID %s can no longer broadcast. Its channels are deleted.\n"
			}
			_, err := fmt.Fprintf(w, text, a.BundleID)
			return err
		})
	})
}

// confirm has a person say that the channels may go.
func (c portalAppBroadcastCmd) confirm(ctx context.Context) error {
	typed, err := confirmTerminal(ctx, fmt.Sprintf("This deletes every channel of %s for good. Type the App ID to go on: ", plain(c.BundleID)))
	switch {
	case errors.Is(err, errNoTerminal):
		return withHint(usageError("this deletes every channel of %s for good, and there is no terminal to ask at", plain(c.BundleID)), "--yes does it without asking.")
	case err != nil:
		return err
	case typed != c.BundleID:
		return errors.New("nothing was changed: another App ID was typed")
	}
	return nil
}
