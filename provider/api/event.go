package api

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/heraldpush/herald/provider/account"
	"github.com/heraldpush/herald/provider/event"
)

// Event is something that happened.
type Event struct {
	Sequence uint64          `json:"sequence" about:"Its place in the log, which counts from 1 without gaps. 0 in a test of a webhook."`
	ID       event.ID        `json:"id" about:"An event that is told twice has the same."`
	Time     time.Time       `json:"time" about:"When it happened."`
	App      account.AppID   `json:"app,omitempty" about:"The app that it is about. Missing: none."`
	Kind     event.Kind      `json:"kind"`
	Subject  string          `json:"subject,omitempty" about:"The ID of the message, credential or webhook that it is about."`
	Body     json.RawMessage `json:"body" about:"More of it, by its kind: see the page on webhooks."`
}

// maxWaitSeconds is how long a request may wait for an event.
const maxWaitSeconds = 20

// errNoEvents is the problem of a provider that keeps no log of events.
func errNoEvents() *Problem { return newProblem(CodeNotFound, "this provider keeps no events") }

func eventOperations() []operation {
	return []operation{{
		id: "listEvents", method: http.MethodGet, path: "/v1/events", group: "events",
		summary: "List what happened",
		about: "The oldest first. There is always a link to the next page: what happens later will be there. " +
			"With `wait`, a request for it is answered as soon as there is something. A page may be empty and still not the last, where an app or kinds are asked for.",
		scope: account.ScopeRead,
		app: func(_ *API, q *request) (account.AppID, error) {
			return account.AppID(q.URL.Query().Get("app")), nil
		},
		query: append(
			pageParameters(),
			parameter{name: "after", about: "Begin after this sequence number, where there is no cursor. 0: with the oldest that is kept.", form: schema{"type": "integer", "minimum": 0, "default": 0}},
			parameter{name: "app", about: "Only events about this app. A key that is for some apps alone has to name one.", form: schemaOfText(appIDType)},
			parameter{name: "kinds", about: "Only events of these kinds, such as `message.done,device_token.gone`.", form: schema{"type": "string", "minLength": 1}},
			parameter{
				name: "wait", about: "How many seconds to wait for an event, if there is none.",
				form: schema{"type": "integer", "minimum": 0, "maximum": maxWaitSeconds, "default": 0},
			},
		),
		out: []outcome{gives[list[Event]](http.StatusOK, "A page of the log.", linkHeader)},
		run: (*API).listEvents,
	}}
}

func (a *API) listEvents(ctx context.Context, q *request) (answer, error) {
	if a.events == nil {
		return answer{}, errNoEvents()
	}
	p, err := q.page()
	if err != nil {
		return answer{}, err
	}
	after, err := q.number("after", 1<<63-1)
	if err != nil {
		return answer{}, err
	}
	if p.after != "" {
		if after, err = strconv.ParseUint(p.after, 10, 63); err != nil {
			return answer{}, errCursor()
		}
	}
	wait, err := q.number("wait", maxWaitSeconds)
	if err != nil {
		return answer{}, err
	}
	filter, err := q.filter()
	if err != nil {
		return answer{}, err
	}
	read, err := a.events.ReadSoon(ctx, after, filter, p.limit, time.Duration(wait)*time.Second)
	if err != nil {
		return answer{}, err
	}
	var all []Event
	for _, e := range read.Events {
		all = append(all, Event(e))
	}
	return pageOf(q, all, strconv.FormatUint(read.Next, 10))
}

// filter returns which events a request wants.
func (q *request) filter() (f event.Filter, err error) {
	if q.app.ID != "" {
		f.Apps = []account.AppID{q.app.ID}
	}
	if !q.given.Has("kinds") {
		return f, nil
	}
	for word := range strings.SplitSeq(q.given.Get("kinds"), ",") {
		k := event.Kind(word)
		if !k.Known() {
			return f, wrongParameter("kinds", "unknown", "no kind of event, such as "+string(event.MessageDone))
		}
		if len(f.Kinds) == len(event.Kinds) {
			return f, wrongParameter("kinds", "too_many", "more than there are")
		}
		f.Kinds = append(f.Kinds, k)
	}
	return f, nil
}

// number returns a parameter of the query that is a number up to a bound; 0 if it is
// not there.
func (q *request) number(name string, most uint64) (uint64, error) {
	if !q.given.Has(name) {
		return 0, nil
	}
	n, err := strconv.ParseUint(q.given.Get(name), 10, 64)
	if err != nil || n > most {
		return 0, wrongParameter(name, "malformed", "a number from 0 to "+strconv.FormatUint(most, 10))
	}
	return n, nil
}
