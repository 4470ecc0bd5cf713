package api

import (
	"context"
	"errors"
	"net/http"

	"github.com/heraldpush/herald/provider/account"
	"github.com/heraldpush/herald/provider/audience"
)

// Person is somebody who uses installations of an app.
type Person struct {
	Aliases       map[string]string `json:"aliases" about:"By label."`
	Installations []Installation    `json:"installations" about:"Up to 1,000."`
}

func personOperations() []operation {
	const path = "/v1/apps/{app}/people/{label}/{person}"
	return []operation{
		{
			id: "getPerson", method: http.MethodGet, path: path, group: "people",
			summary: "Show a person", about: "A person is there as long as an installation names an alias of theirs.", scope: account.ScopeDevices,
			out: []outcome{gives[Person](http.StatusOK, "The person, with their installations.")},
			run: (*API).getPerson,
		},
		{
			id: "deletePerson", method: http.MethodDelete, path: path, group: "people",
			summary: "Forget a person", about: "Deletes all their installations. If it is answered with an error, some may be left: do it again.",
			scope: account.ScopeDevices,
			out:   []outcome{nothing("Nothing is known of them any more.")},
			run:   (*API).deletePerson,
		},
	}
}

// person returns the installations of the person that the path names.
func (a *API) person(ctx context.Context, q *request) ([]audience.Installation, error) {
	alias := audience.Alias{Label: q.path["label"], ID: q.path["person"]}
	if err := alias.Check(); err != nil {
		return nil, inPath("person", err)
	}
	all, err := a.server.Person(ctx, q.app.ID, alias)
	if errors.Is(err, audience.ErrNotFound) {
		return nil, newProblem(CodeNotFound, "nobody has this alias")
	}
	return all, err
}

func (a *API) getPerson(ctx context.Context, q *request) (answer, error) {
	all, err := a.person(ctx, q)
	if err != nil {
		return answer{}, err
	}
	p := Person{Aliases: map[string]string{}, Installations: []Installation{}}
	for _, i := range all {
		p.Installations = append(p.Installations, q.shown(i))
		for _, alias := range i.Person {
			p.Aliases[alias.Label] = alias.ID
		}
	}
	return ok(p)
}

func (a *API) deletePerson(ctx context.Context, q *request) (answer, error) {
	all, err := a.person(ctx, q)
	for err == nil {
		for _, i := range all {
			if err := a.server.Forget(ctx, q.app.ID, i.ID); err != nil && !errors.Is(err, audience.ErrNotFound) {
				return answer{}, err
			}
		}
		alias := audience.Alias{Label: q.path["label"], ID: q.path["person"]}
		all, err = a.server.Person(ctx, q.app.ID, alias) // there may have been more
		if errors.Is(err, audience.ErrNotFound) {
			return noContent()
		}
	}
	return answer{}, err
}
