package api

import (
	"context"
	"net/http"
	"time"

	"github.com/heraldpush/herald/provider/account"
	"github.com/heraldpush/herald/provider/event"
)

// Webhook is a place where events are posted, without its secret.
type Webhook struct {
	ID        event.WebhookID `json:"id"`
	URL       string          `json:"url" about:"Where events are posted."`
	Name      string          `json:"name,omitempty" about:"For people."`
	Kinds     []event.Kind    `json:"kinds,omitempty" about:"The kinds of events. None: all."`
	Apps      []account.AppID `json:"apps,omitempty" about:"The apps that the events are about. None: all, and what is of no app."`
	CreatedAt time.Time       `json:"created_at"`
	State     event.State     `json:"state"`
	Why       string          `json:"why,omitempty" about:"Why it is paused: asked; failing, for three days; or gone, as its receiver answered 410."`
	Progress  WebhookProgress `json:"progress"`
}

// WebhookProgress is how far the delivery to a webhook has come.
type WebhookProgress struct {
	Cursor       uint64    `json:"cursor" about:"All events up to this sequence number were taken, or are not wanted."`
	Delivered    uint64    `json:"delivered" about:"How many events were taken in all."`
	DeliveredAt  time.Time `json:"delivered_at,omitzero" about:"When some were last taken."`
	Missed       uint64    `json:"missed,omitempty" about:"How many events were removed from the log before it came to them."`
	Failures     int       `json:"failures,omitempty" about:"Deliveries in a row that were not taken."`
	FailingSince time.Time `json:"failing_since,omitzero"`
	NextAt       time.Time `json:"next_at,omitzero" about:"When it is tried again."`
	LastStatus   int       `json:"last_status,omitempty" about:"The status of the last answer that was none of success; missing where there was no answer."`
	LastError    string    `json:"last_error,omitempty" about:"The last failure in words. It stays when it is over."`
}

func webhookOf(w event.Webhook) Webhook {
	p := w.Progress
	return Webhook{
		ID: w.ID, URL: w.URL, Name: w.Name, Kinds: w.Kinds, Apps: w.Apps, CreatedAt: w.CreatedAt, State: p.State, Why: p.Why,
		Progress: WebhookProgress{
			Cursor: p.Cursor, Delivered: p.Delivered, DeliveredAt: p.DeliveredAt, Missed: p.Missed, Failures: p.Failures,
			FailingSince: p.FailingSince, NextAt: p.Next, LastStatus: p.LastStatus, LastError: p.LastError,
		},
	}
}

// secretWebhook is a webhook when its secret is made.
type secretWebhook struct {
	Webhook
	Secret string `json:"secret" about:"What deliveries are signed with. It is shown this once."`
}

// replay says from where on a webhook is to have events again.
type replay struct {
	After uint64 `json:"after" about:"The sequence number of the last event that is not wanted. 0: all that are kept."`
}

func webhookOperations() []operation {
	const path, one = "/v1/webhooks", "/v1/webhooks/{webhook}"
	shows := []outcome{gives[Webhook](http.StatusOK, "The webhook as it is now.")}
	return []operation{
		{
			id: "listWebhooks", method: http.MethodGet, path: path, group: "webhooks",
			summary: "List the webhooks", about: "By ID.", scope: account.ScopeAdmin, query: pageParameters(),
			out: []outcome{gives[list[Webhook]](http.StatusOK, "A page of webhooks.", linkHeader)},
			run: withRoll(func(_ context.Context, r *event.Roll, q *request) (answer, error) {
				p, err := q.page()
				if err != nil {
					return answer{}, err
				}
				var all []Webhook
				for _, w := range r.List(event.WebhookID(p.after), p.limit+1) {
					all = append(all, webhookOf(w))
				}
				all, next := cut(all, p.limit, func(w Webhook) string { return string(w.ID) })
				return pageOf(q, all, next)
			}),
		},
		{
			id: "createWebhook", method: http.MethodPost, path: path, group: "webhooks",
			summary: "Make a webhook",
			about: "Events that happen from now on are posted there, up to 100 at once and in their order, signed as Standard Webhooks has it " +
				"(`webhook-id`, `webhook-timestamp`, `webhook-signature`). What is not answered with 2xx is tried again for three days.",
			scope: account.ScopeAdmin, in: takes[event.WebhookSpec](0),
			out: []outcome{gives[secretWebhook](http.StatusCreated, "The webhook, with its secret.", locationHeader)},
			run: withRoll(func(ctx context.Context, r *event.Roll, q *request) (answer, error) {
				var s event.WebhookSpec
				if err := q.decode(&s); err != nil {
					return answer{}, err
				}
				w, secret, err := r.Create(ctx, s)
				if err != nil {
					return answer{}, err
				}
				return created(address("v1", "webhooks", string(w.ID)), secretWebhook{webhookOf(w), secret.Reveal()})
			}),
		},
		{
			id: "getWebhook", method: http.MethodGet, path: one, group: "webhooks",
			summary: "Show a webhook", about: "With how far its delivery has come.", scope: account.ScopeAdmin, out: shows,
			run: withRoll(func(_ context.Context, r *event.Roll, q *request) (answer, error) {
				return shown(r.Webhook(q.webhook()))
			}),
		},
		{
			id: "deleteWebhook", method: http.MethodDelete, path: one, group: "webhooks",
			summary: "Delete a webhook", scope: account.ScopeAdmin, out: []outcome{nothing("It is deleted, with its secret.")},
			run: withRoll(func(ctx context.Context, r *event.Roll, q *request) (answer, error) {
				if err := r.Delete(ctx, q.webhook()); err != nil {
					return answer{}, err
				}
				return noContent()
			}),
		},
		{
			id: "pauseWebhook", method: http.MethodPost, path: one + ":pause", group: "webhooks",
			summary: "Pause a webhook", about: "Nothing is posted there until it is resumed.", scope: account.ScopeAdmin, out: shows,
			run: withRoll(func(ctx context.Context, r *event.Roll, q *request) (answer, error) {
				return shown(r.Pause(ctx, q.webhook()))
			}),
		},
		{
			id: "resumeWebhook", method: http.MethodPost, path: one + ":resume", group: "webhooks",
			summary: "Resume a webhook", about: "It goes on where it stopped, at once, also one that is to be tried again later.",
			scope: account.ScopeAdmin, out: shows,
			run: withRoll(func(ctx context.Context, r *event.Roll, q *request) (answer, error) {
				return shown(r.Resume(ctx, q.webhook()))
			}),
		},
		{
			id: "replayWebhook", method: http.MethodPost, path: one + ":replay", group: "webhooks",
			summary: "Replay a webhook", about: "Posts the events again that came after one, as far as they are kept, and resumes it. They have the IDs that they had.",
			scope: account.ScopeAdmin, in: takes[replay](0), out: shows,
			run: withRoll(func(ctx context.Context, r *event.Roll, q *request) (answer, error) {
				var from replay
				if err := q.decode(&from); err != nil {
					return answer{}, err
				}
				return shown(r.Replay(ctx, q.webhook(), from.After))
			}),
		},
		{
			id: "rotateWebhook", method: http.MethodPost, path: one + ":rotate", group: "webhooks",
			summary: "Give a webhook another secret", about: "For 24 hours, deliveries are signed with the former one as well, so that the receiver can be changed.",
			scope: account.ScopeAdmin,
			out:   []outcome{gives[secretWebhook](http.StatusOK, "The webhook, with its new secret.")},
			run: withRoll(func(ctx context.Context, r *event.Roll, q *request) (answer, error) {
				w, secret, err := r.Rotate(ctx, q.webhook())
				if err != nil {
					return answer{}, err
				}
				return ok(secretWebhook{webhookOf(w), secret.Reveal()})
			}),
		},
		{
			id: "testWebhook", method: http.MethodPost, path: one + ":test", group: "webhooks",
			summary: "Try a webhook", about: "Posts one event of the kind `webhook.test`, whatever its state, and says what came of it. It changes nothing.",
			scope: account.ScopeAdmin,
			out:   []outcome{gives[event.Trial](http.StatusOK, "What the receiver said.")},
			run:   (*API).testWebhook,
		},
	}
}

// errNoWebhooks is the problem of a provider without webhooks.
func errNoWebhooks() *Problem { return newProblem(CodeNotFound, "this provider has no webhooks") }

func (a *API) testWebhook(ctx context.Context, q *request) (answer, error) {
	if a.webhooks == nil {
		return answer{}, errNoWebhooks()
	}
	t, err := a.webhooks.Try(ctx, q.webhook())
	if err != nil {
		return answer{}, err
	}
	return ok(t)
}

// withRoll returns what carries out an operation on webhooks, if there are any.
func withRoll(run func(ctx context.Context, r *event.Roll, q *request) (answer, error)) func(*API, context.Context, *request) (answer, error) {
	return func(a *API, ctx context.Context, q *request) (answer, error) {
		if a.webhooks == nil {
			return answer{}, errNoWebhooks()
		}
		return run(ctx, a.webhooks.Roll(), q)
	}
}

// webhook is the one that a request is about.
func (q *request) webhook() event.WebhookID { return event.WebhookID(q.path["webhook"]) }

// shown answers with a webhook.
func shown(w event.Webhook, err error) (answer, error) {
	if err != nil {
		return answer{}, err
	}
	return ok(webhookOf(w))
}
