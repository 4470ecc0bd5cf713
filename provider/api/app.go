package api

import (
	"context"
	"net/http"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/provider/account"
)

// App is an app that the provider sends to.
type App struct {
	ID        account.AppID `json:"id"`
	BundleID  apns.Topic    `json:"bundle_id" about:"The app's own; no other app has it."`
	Name      string        `json:"name,omitempty" about:"For people."`
	CreatedAt time.Time     `json:"created_at"`
}

func appOf(a account.App) App { return App{a.ID, a.BundleID, a.Name, a.CreatedAt} }

// appPatch is what can be changed of an app.
type appPatch struct {
	Name string `json:"name,omitempty" about:"For people."`
}

func appOperations() []operation {
	return []operation{
		{
			id: "listApps", method: http.MethodGet, path: "/v1/apps", group: "apps",
			summary: "List the apps", about: "By ID. A key that is for some apps lists these.",
			scope: account.ScopeRead, query: pageParameters(), app: anyApp,
			out: []outcome{gives[list[App]](http.StatusOK, "A page of apps.", linkHeader)},
			run: (*API).listApps,
		},
		{
			id: "createApp", method: http.MethodPost, path: "/v1/apps", group: "apps",
			summary: "Enter an app", scope: account.ScopeAdmin,
			in:  takes[account.AppSpec](0),
			out: []outcome{gives[App](http.StatusCreated, "It was entered.", locationHeader)},
			run: func(a *API, ctx context.Context, q *request) (answer, error) {
				var s account.AppSpec
				if err := q.decode(&s); err != nil {
					return answer{}, err
				}
				made, err := a.book.CreateApp(ctx, s)
				if err != nil {
					return answer{}, err
				}
				return created(address("v1", "apps", string(made.ID)), appOf(made))
			},
		},
		{
			id: "getApp", method: http.MethodGet, path: "/v1/apps/{app}", group: "apps",
			summary: "Show an app", scope: account.ScopeRead,
			out: []outcome{gives[App](http.StatusOK, "The app.")},
			run: func(_ *API, _ context.Context, q *request) (answer, error) { return ok(appOf(q.app)) },
		},
		{
			id: "patchApp", method: http.MethodPatch, path: "/v1/apps/{app}", group: "apps",
			summary: "Rename an app", about: "A merge patch (RFC 7396). Nothing but the name can change.", scope: account.ScopeAdmin,
			in:  takesPatch[appPatch](),
			out: []outcome{gives[App](http.StatusOK, "The app as it is now.")},
			run: (*API).patchApp,
		},
	}
}

func (a *API) listApps(_ context.Context, q *request) (answer, error) {
	p, err := q.page()
	if err != nil {
		return answer{}, err
	}
	var all []App
	for after := account.AppID(p.after); len(all) <= p.limit; {
		some := a.book.Apps(after, p.limit+1)
		for _, app := range some {
			if after = app.ID; q.key.Allows(account.ScopeRead, app.ID) {
				all = append(all, appOf(app))
			}
		}
		if len(some) <= p.limit {
			break
		}
	}
	all, next := cut(all, p.limit, func(app App) string { return string(app.ID) })
	return pageOf(q, all, next)
}

func (a *API) patchApp(ctx context.Context, q *request) (answer, error) {
	change := appPatch{Name: q.app.Name}
	if err := q.decodePatch(&change); err != nil {
		return answer{}, err
	}
	after, err := a.book.RenameApp(ctx, q.app.ID, change.Name)
	if err != nil {
		return answer{}, err
	}
	return ok(appOf(after))
}

// anyApp is the app of an operation on many, of which a key may have some.
func anyApp(_ *API, q *request) (account.AppID, error) {
	if len(q.key.Apps) > 0 {
		return q.key.Apps[0], nil
	}
	return "", nil
}
