package api

import (
	"context"
	"net/http"
)

// Health is how a provider is.
type Health struct {
	// OK says that messages are sent.
	OK bool `json:"ok" about:"Whether messages are sent."`
	// OldestUnsentSeconds is how long the message has been waiting that has waited
	// longest though it could be sent.
	OldestUnsentSeconds float64 `json:"oldest_unsent_seconds,omitempty" about:"How long the message has been waiting that has waited longest though it could be sent."`
}

func healthOperation() operation {
	return operation{
		id: "getHealth", method: http.MethodGet, path: "/healthz", group: "about",
		summary: "How the provider is", about: "For load balancers and monitors. Takes no key.",
		out: []outcome{
			gives[Health](http.StatusOK, "It is well."),
			gives[Health](http.StatusServiceUnavailable, "It is not."),
		},
		run: func(a *API, ctx context.Context, q *request) (answer, error) {
			health := Health{OK: true}
			if a.health != nil {
				health = a.health(ctx)
			}
			if !health.OK {
				return answer{status: http.StatusServiceUnavailable, body: health}, nil
			}
			return ok(health)
		},
	}
}
