package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/heraldpush/herald/provider/account"
	"github.com/heraldpush/herald/provider/audience"
)

// Person is somebody who uses installations of an app.
type Person struct {
	Aliases       map[string]string `json:"aliases" about:"By label."`
	Installations []Installation    `json:"installations" about:"Up to 1,000."`
}

// personPatch is what can be changed of a person.
type personPatch struct {
	Aliases map[string]string `json:"aliases,omitempty" about:"By label; null takes one away."`
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
			id: "patchPerson", method: http.MethodPatch, path: path, group: "people",
			summary: "Change a person's aliases",
			about:   "A merge patch (RFC 7396), which goes to each of their installations. If it is answered with an error, some may not have it: do it again.",
			scope:   account.ScopeDevices, in: takesPatch[personPatch](),
			out: []outcome{gives[Person](http.StatusOK, "The person as they are now.")},
			run: (*API).patchPerson,
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
	return ok(personOf(q, all))
}

// personOf returns a person by their installations.
func personOf(q *request, all []audience.Installation) Person {
	p := Person{Aliases: map[string]string{}, Installations: []Installation{}}
	for _, i := range all {
		p.Installations = append(p.Installations, q.shown(i))
		for _, alias := range i.Person {
			p.Aliases[alias.Label] = alias.ID
		}
	}
	return p
}

func (a *API) patchPerson(ctx context.Context, q *request) (answer, error) {
	if err := q.checkPatch(); err != nil {
		return answer{}, err
	}
	var change struct {
		Aliases json.RawMessage `json:"aliases,omitempty"`
	}
	if err := json.Unmarshal(q.body, &change); err != nil {
		return answer{}, fmt.Errorf("reading a patch that was checked: %w", err)
	}
	all, err := a.person(ctx, q)
	if err != nil {
		return answer{}, err
	}
	if change.Aliases == nil {
		return ok(personOf(q, all))
	}
	patch, err := json.Marshal(map[string]json.RawMessage{"person": change.Aliases})
	if err != nil {
		return answer{}, err
	}
	var after []audience.Installation
	for _, i := range all {
		i, err := a.server.Patch(ctx, q.app.ID, i.ID, patch)
		switch {
		case errors.Is(err, audience.ErrNotFound): // it was deleted meanwhile
		case err != nil:
			return answer{}, aliasFault(err)
		default:
			after = append(after, i)
		}
	}
	return ok(personOf(q, after))
}

// aliasFault returns the error of a patch with its pointers into the request, in which
// the aliases are not below person.
func aliasFault(err error) error {
	p := asProblem(err)
	if p == nil {
		return err
	}
	for n := range p.Errors {
		f := &p.Errors[n]
		if f.Pointer == nil {
			continue
		}
		if below, ok := strings.CutPrefix(*f.Pointer, "/person"); ok {
			at := "/aliases" + below
			f.Pointer = &at
		}
	}
	p.Detail = strings.ReplaceAll(p.Detail, "/person", "/aliases")
	return p
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
