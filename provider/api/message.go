package api

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/heraldpush/herald/provider"
	"github.com/heraldpush/herald/provider/account"
	"github.com/heraldpush/herald/provider/audience"
	"github.com/heraldpush/herald/provider/outbox"
)

const (
	messagesPath = "/v1/apps/{app}/messages"
	messagePath  = messagesPath + "/{message}"
)

func messageOperations() []operation {
	all := []operation{
		listMessagesOperation(),
		{
			id: "sendMessage", method: http.MethodPost, path: messagesPath, group: "messages",
			summary: "Send a message",
			about: "With 202 it is durable: it reaches everyone it is for, or the failures say why not. With `mode` `validate` all is checked " +
				"and nothing sent, and the answer is 200 with the message as it would be.",
			scope: account.ScopeSend, door: doorSend, header: []parameter{idempotencyParameter},
			in: takes[messageRequest](largeBody),
			out: []outcome{
				gives[Message](http.StatusAccepted, "It was taken in. The answer is the message as it was then, also to a request that comes again.", locationHeader, replayedHeader),
				gives[ValidMessage](http.StatusOK, "It is in order, and was not sent."),
			},
			run: (*API).sendMessage,
		},
		{
			id: "getMessage", method: http.MethodGet, path: messagePath, group: "messages",
			summary: "Show how far a message has come", scope: account.ScopeRead,
			out: []outcome{gives[Message](http.StatusOK, "The message.")},
			run: func(a *API, ctx context.Context, q *request) (answer, error) {
				id, err := q.message()
				if err != nil {
					return answer{}, err
				}
				m, err := a.server.Message(ctx, q.app.ID, id)
				if err != nil {
					return answer{}, err
				}
				return ok(messageOf(q.app.ID, &m))
			},
		},
		{
			id: "undoMessage", method: http.MethodPost, path: messagePath + ":undo", group: "messages",
			summary: "Take back what a message did to device tokens",
			about:   "The device tokens that its answers called bad or gone are good again. What was sent stays sent.",
			scope:   account.ScopeSend,
			out:     []outcome{gives[undone](http.StatusOK, "It is taken back.")},
			run: func(a *API, ctx context.Context, q *request) (answer, error) {
				id, err := q.message()
				if err != nil {
					return answer{}, err
				}
				n, err := a.server.Undo(ctx, q.app.ID, id)
				if err != nil {
					return answer{}, err
				}
				return ok(undone{n})
			},
		},
		{
			id: "listFailures", method: http.MethodGet, path: messagePath + "/failures", group: "messages",
			summary: "List for whom a message was refused, and why", scope: account.ScopeRead, query: pageParameters(),
			out: []outcome{gives[list[Failure]](http.StatusOK, "A page of failures.", linkHeader)},
			run: (*API).listFailures,
		},
		{
			id: "getStory", method: http.MethodGet, path: messagePath + "/installations/{installation}", group: "messages",
			summary: "Tell what became of a message for one installation", scope: account.ScopeRead,
			out: []outcome{gives[Story](http.StatusOK, "What became of it.")},
			run: (*API).getStory,
		},
	}
	for _, verb := range [...]struct {
		name, summary, about string
		do                   func(*provider.PushServer, context.Context, account.AppID, outbox.MessageID) (outbox.Message, error)
	}{
		{"pause", "Pause a message", "Nothing more is sent until it is resumed; what is under way is still answered.", (*provider.PushServer).Pause},
		{"resume", "Go on with a message", "Also with one that paused itself as too many device tokens were called bad: find out why first.", (*provider.PushServer).Resume},
		{"cancel", "End a message", "Who was not sent it yet will not be.", (*provider.PushServer).Cancel},
	} {
		all = append(all, operation{
			id: verb.name + "Message", method: http.MethodPost, path: messagePath + ":" + verb.name, group: "messages",
			summary: verb.summary, about: verb.about, scope: account.ScopeSend,
			out: []outcome{gives[Message](http.StatusOK, "The message as it is now.")},
			run: func(a *API, ctx context.Context, q *request) (answer, error) {
				id, err := q.message()
				if err != nil {
					return answer{}, err
				}
				m, err := verb.do(a.server, ctx, q.app.ID, id)
				if err != nil {
					return answer{}, err
				}
				return ok(messageOf(q.app.ID, &m))
			},
		})
	}
	return all
}

// undone says what an undo did.
type undone struct {
	DeviceTokens int `json:"device_tokens" about:"How many device tokens are good again."`
}

// message returns the ID of the message that a request is about.
func (q *request) message() (outbox.MessageID, error) {
	id, err := outbox.ParseMessageID(q.path["message"])
	if err != nil {
		return id, fmt.Errorf("%w: %w", outbox.ErrNotFound, err)
	}
	return id, nil
}

func (a *API) sendMessage(ctx context.Context, q *request) (answer, error) {
	var m messageRequest
	if err := q.decode(&m); err != nil {
		return answer{}, unsendable(err)
	}
	now := time.Now()
	o, err := m.order(now)
	if err != nil {
		return answer{}, unsendable(err)
	}
	if o.Once, err = q.once(func() ([]byte, error) { return canonical(q.body) }, now); err != nil {
		return answer{}, err
	}
	sent, err := a.server.Send(ctx, q.app.ID, o)
	if err != nil {
		return answer{}, unsendable(m.point(err))
	}
	if o.ValidateOnly {
		return ok(validOf(&sent.Message))
	}
	doc := submittedOf(q.app.ID, sent.Message)
	return answer{status: http.StatusAccepted, body: doc, header: replayed(http.Header{"Location": {doc.Links["self"]}}, sent.Repeated)}, nil
}

func (a *API) listFailures(ctx context.Context, q *request) (answer, error) {
	id, err := q.message()
	if err != nil {
		return answer{}, err
	}
	p, err := q.page()
	if err != nil {
		return answer{}, err
	}
	after, err := parseFailureAt(p.after)
	if err != nil {
		return answer{}, err
	}
	failures, err := a.server.Failures(ctx, q.app.ID, id, after, p.limit+1)
	if err != nil {
		return answer{}, err
	}
	next := ""
	if len(failures) > p.limit {
		failures = failures[:p.limit]
		next = failureAt(failures[p.limit-1].At())
	}
	docs := make([]Failure, 0, len(failures))
	for n := range failures {
		docs = append(docs, messageFailureOf(&failures[n]))
	}
	return pageOf(q, docs, next)
}

// failureAt is the place of a failure in a cursor.
func failureAt(at outbox.FailureAt) string { return fmt.Sprintf("%d.%d", at.Shard, at.Next) }

// parseFailureAt reads what failureAt wrote; the empty text is the beginning.
func parseFailureAt(s string) (at outbox.FailureAt, err error) {
	if s == "" {
		return at, nil
	}
	if _, err := fmt.Sscanf(s, "%d.%d", &at.Shard, &at.Next); err != nil || failureAt(at) != s {
		return at, errCursor()
	}
	return at, nil
}

func (a *API) getStory(ctx context.Context, q *request) (answer, error) {
	id, err := q.message()
	if err != nil {
		return answer{}, err
	}
	s, err := a.server.Story(ctx, q.app.ID, id, audience.InstallationID(q.path["installation"]))
	if err != nil {
		return answer{}, err
	}
	return ok(storyOf(q.app.ID, &s))
}
