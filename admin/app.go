package admin

import (
	"context"
	"net/http"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/portal"
)

// AppRequest is an App ID to be.
type AppRequest struct {
	Team     apns.TeamID `json:"team"`
	BundleID apns.Topic  `json:"bundle_id"`
	Name     string      `json:"name,omitempty"`
}

// AppID names an App ID.
type AppID struct {
	BundleID apns.Topic `json:"bundle_id"`
}

// The operations on App IDs.
var (
	ListApps = &Operation[Page, List[portal.AppStatus]]{
		Row: Row{http.MethodGet, "/v1/portal/apps", "Lists the App IDs, with the state of push and the active certificates."},
		run: func(ctx context.Context, p *portal.Portal, in Page) (List[portal.AppStatus], error) {
			all, err := p.Apps(ctx)
			l := page(all, in, func(a portal.AppStatus) string { return string(a.BundleID) })
			for i := range l.Items {
				l.Items[i] = listable(l.Items[i])
			}
			return l, err
		},
	}
	GetApp = &Operation[AppID, portal.AppStatus]{
		Row: Row{http.MethodGet, "/v1/portal/apps/{bundle_id}", "Shows an App ID."},
		run: func(ctx context.Context, p *portal.Portal, in AppID) (portal.AppStatus, error) {
			a, err := p.App(ctx, in.BundleID)
			return listable(a), err
		},
	}
	RegisterApp = &Operation[AppRequest, portal.App]{
		Row: Row{http.MethodPost, "/v1/portal/apps", "Enters an App ID for a team."},
		run: func(ctx context.Context, p *portal.Portal, in AppRequest) (portal.App, error) {
			return p.RegisterApp(ctx, in.Team, in.BundleID, in.Name)
		},
	}
)

// BroadcastSwitch is how an App ID's capability to broadcast is to be.
type BroadcastSwitch struct {
	BundleID apns.Topic `json:"bundle_id"`
	// On is required.
	On *bool `json:"on"`
}

// SetBroadcast is the operation on an App ID's capability to broadcast.
var SetBroadcast = &Operation[BroadcastSwitch, portal.App]{
	Row: Row{http.MethodPost, "/v1/portal/apps/{bundle_id}/broadcast", "Switches an App ID's capability to broadcast on, or off, which deletes all its channels for good."},
	run: func(ctx context.Context, p *portal.Portal, in BroadcastSwitch) (portal.App, error) {
		if in.On == nil {
			return portal.App{}, newProblem(http.StatusBadRequest, CodeArgument, "", "on is missing")
		}
		return p.SetBroadcast(ctx, in.BundleID, *in.On)
	},
}

// listable returns a with a list of certificates even if there are none.
func listable(a portal.AppStatus) portal.AppStatus {
	if a.Active == nil {
		a.Active = []portal.Certificate{}
	}
	return a
}
