package api

import (
	"context"
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/provider/account"
	"github.com/heraldpush/herald/provider/audience"
)

// Installation is what is known of an app on a device. A publishable key is shown of it
// only what says nothing of others: its ID, sequence and times.
type Installation struct {
	ID           audience.InstallationID `json:"id"`
	DeviceTokens []DeviceToken           `json:"device_tokens,omitempty"`
	Person       map[string]string       `json:"person,omitempty" about:"The aliases of who uses it, by label."`
	Tags         []string                `json:"tags,omitempty"`
	Locale       string                  `json:"locale,omitempty"`
	TimeZone     string                  `json:"time_zone,omitempty"`
	AppVersion   string                  `json:"app_version,omitempty"`
	Sequence     uint64                  `json:"sequence,omitempty" about:"That of the last registration."`
	CreatedAt    time.Time               `json:"created_at"`
	UpdatedAt    time.Time               `json:"updated_at" about:"When it was last registered; it lags by up to an hour."`
}

// DeviceToken is where notifications go, with what the push service's answers have made
// of it.
type DeviceToken struct {
	Kind         audience.Kind    `json:"kind"`
	Name         string           `json:"name,omitempty" about:"The activity that it is for."`
	Environment  apns.Environment `json:"environment"`
	Value        hexToken         `json:"value"`
	State        string           `json:"state" about:"active, quarantined (in doubt: tried once a day) or gone (not pushed to)."`
	RegisteredAt time.Time        `json:"registered_at" about:"When the app last said that it has it; it lags by up to an hour."`
	AcceptedAt   time.Time        `json:"accepted_at,omitzero" about:"When a push was last accepted; it lags by up to a week. Missing: never."`
	Reason       apns.Reason      `json:"reason,omitempty" about:"Why it is quarantined or gone."`
	ReasonAt     time.Time        `json:"reason_at,omitzero"`
	Strikes      int              `json:"strikes,omitempty" about:"How often it was called bad since it was last accepted."`
}

// hexToken is a device token in hex.
type hexToken string

func installationOf(i audience.Installation) Installation {
	shown := Installation{
		ID: i.ID, Tags: i.Tags, Locale: i.Locale, TimeZone: i.TimeZone, AppVersion: i.AppVersion,
		Sequence: i.Sequence, CreatedAt: i.CreatedAt, UpdatedAt: i.UpdatedAt,
	}
	for _, d := range i.Destinations {
		shown.DeviceTokens = append(shown.DeviceTokens, DeviceToken{
			d.Kind, d.Name, d.Environment, hexToken(d.DeviceToken.Hex()), d.Standing.State.String(), d.Standing.RegisteredAt,
			d.Standing.AcceptedAt, d.Standing.Reason, d.Standing.ReasonAt, int(d.Standing.Strikes),
		})
	}
	for _, a := range i.Person {
		if shown.Person == nil {
			shown.Person = map[string]string{}
		}
		shown.Person[a.Label] = a.ID
	}
	return shown
}

// shown returns an installation as the key of a request may see it.
func (q *request) shown(i audience.Installation) Installation {
	if q.key.Kind == account.Publishable {
		return Installation{ID: i.ID, Sequence: i.Sequence, CreatedAt: i.CreatedAt, UpdatedAt: i.UpdatedAt}
	}
	return installationOf(i)
}

func installationOperations() []operation {
	const path = "/v1/apps/{app}/installations"
	return []operation{
		{
			id: "listInstallations", method: http.MethodGet, path: path, group: "installations",
			summary: "List the installations of an app", about: "In the order in which they were first registered.",
			scope: account.ScopeDevices, query: pageParameters(),
			out: []outcome{gives[list[Installation]](http.StatusOK, "A page of installations.", linkHeader)},
			run: (*API).listInstallations,
		},
		{
			id: "getInstallation", method: http.MethodGet, path: path + "/{installation}", group: "installations",
			summary: "Show an installation", scope: account.ScopeDevices,
			out: []outcome{gives[Installation](http.StatusOK, "The installation.")},
			run: func(a *API, ctx context.Context, q *request) (answer, error) {
				return a.installation(q, func(app account.AppID, id audience.InstallationID) (audience.Installation, bool, error) {
					i, err := a.server.Installation(ctx, app, id)
					return i, false, err
				})
			},
		},
		{
			id: "putInstallation", method: http.MethodPut, path: path + "/{installation}", group: "installations",
			summary: "Register an installation",
			about: "Replaces all that was said of it. It may be repeated as often as the app likes, best at every launch: " +
				"what says nothing new costs nothing. A registration with a lower `sequence` than the last changes nothing.",
			scope: account.ScopeRegister, door: doorRegister, in: takes[audience.Registration](0),
			out: []outcome{
				gives[Installation](http.StatusOK, "It was known, and is as it was said."),
				gives[Installation](http.StatusCreated, "It is new.", locationHeader),
			},
			run: func(a *API, ctx context.Context, q *request) (answer, error) {
				var r audience.Registration
				if err := q.decode(&r); err != nil {
					return answer{}, err
				}
				return a.installation(q, func(app account.AppID, id audience.InstallationID) (audience.Installation, bool, error) {
					if q.key.Anonymous {
						return a.server.RegisterAnonymous(ctx, app, id, r)
					}
					return a.server.Register(ctx, app, id, r)
				})
			},
		},
		{
			id: "patchInstallation", method: http.MethodPatch, path: path + "/{installation}", group: "installations",
			summary: "Change an installation",
			about:   "A merge patch (RFC 7396) of what was said of it: null takes something away, a list is replaced as a whole.",
			scope:   account.ScopeRegister, door: doorRegister, in: takesPatch[audience.Registration](),
			out: []outcome{gives[Installation](http.StatusOK, "The installation as it is now.")},
			run: func(a *API, ctx context.Context, q *request) (answer, error) {
				if err := q.checkPatch(); err != nil {
					return answer{}, err
				}
				return a.installation(q, func(app account.AppID, id audience.InstallationID) (audience.Installation, bool, error) {
					patch := a.server.Patch
					if q.key.Anonymous {
						patch = a.server.PatchAnonymous
					}
					i, err := patch(ctx, app, id, q.body)
					return i, false, err
				})
			},
		},
		{
			id: "deleteInstallation", method: http.MethodDelete, path: path + "/{installation}", group: "installations",
			summary: "Delete an installation", about: "Nothing is sent to it any more, until the app registers it again.", scope: account.ScopeDevices,
			out: []outcome{nothing("It is deleted.")},
			run: func(a *API, ctx context.Context, q *request) (answer, error) {
				if err := a.server.Forget(ctx, q.app.ID, audience.InstallationID(q.path["installation"])); err != nil {
					return answer{}, inPath("installation", err)
				}
				return noContent()
			},
		},
	}
}

// installation answers with the installation that the path names, after f, which says
// whether it is new.
func (a *API) installation(q *request, f func(account.AppID, audience.InstallationID) (audience.Installation, bool, error)) (answer, error) {
	id := audience.InstallationID(q.path["installation"])
	if err := id.Check(); err != nil {
		return answer{}, inPath("installation", err)
	}
	i, isNew, err := f(q.app.ID, id)
	if err != nil {
		return answer{}, err
	}
	if isNew {
		return created(address("v1", "apps", string(q.app.ID), "installations", string(id)), q.shown(i))
	}
	return ok(q.shown(i))
}

// inPath returns the error for a parameter of the path, if it is about that.
func inPath(name string, err error) error {
	if invalid, ok := errors.AsType[*audience.InvalidError](err); ok {
		f := invalid.Faults[0]
		return wrongParameter(name, string(f.Code), f.Detail)
	}
	return err
}

func (a *API) listInstallations(ctx context.Context, q *request) (answer, error) {
	p, err := q.page()
	if err != nil {
		return answer{}, err
	}
	var from audience.Ordinal
	if p.after != "" {
		after, err := strconv.ParseUint(p.after, 10, 32)
		if err != nil || after == math.MaxUint32 {
			return answer{}, errCursor()
		}
		from = audience.Ordinal(after) + 1
	}
	some, err := a.server.Installations(ctx, q.app.ID, from, p.limit+1)
	if err != nil {
		return answer{}, err
	}
	some, next := cut(some, p.limit, func(i audience.Installation) string { return strconv.FormatUint(uint64(i.Ordinal), 10) })
	var all []Installation
	for _, i := range some {
		all = append(all, q.shown(i))
	}
	return pageOf(q, all, next)
}
