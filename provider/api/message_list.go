package api

import (
	"context"
	"net/http"

	"github.com/heraldpush/herald/provider/account"
	"github.com/heraldpush/herald/provider/outbox"
)

func listMessagesOperation() operation {
	return operation{
		id: "listMessages", method: http.MethodGet, path: messagesPath, group: "messages",
		summary: "List the messages", about: "The newest first.", scope: account.ScopeRead, query: pageParameters(),
		out: []outcome{gives[list[Message]](http.StatusOK, "A page of messages.", linkHeader)},
		run: (*API).listMessages,
	}
}

func (a *API) listMessages(ctx context.Context, q *request) (answer, error) {
	p, err := q.page()
	if err != nil {
		return answer{}, err
	}
	var before outbox.MessageID
	if p.after != "" {
		if before, err = outbox.ParseMessageID(p.after); err != nil {
			return answer{}, errCursor()
		}
	}
	found, err := a.server.Messages(ctx, q.app.ID, before, p.limit+1)
	if err != nil {
		return answer{}, err
	}
	all := make([]Message, 0, len(found))
	for n := range found {
		all = append(all, messageOf(q.app.ID, &found[n]))
	}
	all, next := cut(all, p.limit, func(m Message) string { return m.ID.String() })
	return pageOf(q, all, next)
}
