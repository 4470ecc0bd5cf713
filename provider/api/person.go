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
			about:   "A merge patch (RFC 7396), which goes to all of their installations or, if it is answered with an error, to none.",
			scope:   account.ScopeDevices, in: takesPatch[personPatch](),
			out: []outcome{gives[Person](http.StatusOK, "The person as they are now.")},
			run: (*API).patchPerson,
		},
		{
			id: "deletePerson", method: http.MethodDelete, path: path, group: "people",
			summary: "Forget a person", about: "Deletes all their installations or, if it is answered with an error, none.",
			scope: account.ScopeDevices,
			out:   []outcome{nothing("Nothing is known of them any more.")},
			run:   (*API).deletePerson,
		},
	}
}

// alias returns the alias that the path names.
func (q *request) alias() (audience.Alias, error) {
	alias := audience.Alias{Label: q.path["label"], ID: q.path["person"]}
	return alias, inPath("person", alias.Check())
}

func (a *API) getPerson(ctx context.Context, q *request) (answer, error) {
	alias, err := q.alias()
	if err != nil {
		return answer{}, err
	}
	all, err := a.server.Person(ctx, q.app.ID, alias)
	if err != nil {
		return answer{}, personFault(err)
	}
	return ok(personOf(q, all))
}

// personFault returns the error of what was to be done with a person.
func personFault(err error) error {
	switch {
	case errors.Is(err, audience.ErrNotFound):
		return newProblem(CodeNotFound, "nobody has this alias")
	case errors.Is(err, audience.ErrManyInstallations):
		p := newProblem(CodeConflict, "%v", err)
		p.Errors = []ProblemFault{{Parameter: "person", Code: string(audience.TooMany), Detail: err.Error()}}
		return p
	}
	return err
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
	if change.Aliases == nil {
		return a.getPerson(ctx, q)
	}
	alias, err := q.alias()
	if err != nil {
		return answer{}, err
	}
	patch, err := json.Marshal(map[string]json.RawMessage{"person": change.Aliases})
	if err != nil {
		return answer{}, err
	}
	all, err := a.server.PatchPerson(ctx, q.app.ID, alias, patch)
	if err != nil {
		return answer{}, aliasFault(personFault(err))
	}
	return ok(personOf(q, all))
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
	alias, err := q.alias()
	if err != nil {
		return answer{}, err
	}
	if err := a.server.ForgetPerson(ctx, q.app.ID, alias); err != nil {
		return answer{}, personFault(err)
	}
	return noContent()
}
