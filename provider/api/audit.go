package api

import (
	"context"
	"net/http"
	"strconv"

	"github.com/heraldpush/herald/provider/account"
)

func auditOperations() []operation {
	return []operation{{
		id: "listAudit", method: http.MethodGet, path: "/v1/audit", group: "audit",
		summary: "List what was changed", about: "Who did what to what, and when; the oldest first.",
		scope: account.ScopeRead, query: pageParameters(),
		out: []outcome{gives[list[account.Entry]](http.StatusOK, "A page of the audit log.", linkHeader)},
		run: func(a *API, ctx context.Context, q *request) (answer, error) {
			p, err := q.page()
			if err != nil {
				return answer{}, err
			}
			var after uint64
			if p.after != "" {
				if after, err = strconv.ParseUint(p.after, 10, 64); err != nil {
					return answer{}, errCursor()
				}
			}
			all, err := a.book.Audit(ctx, after, p.limit+1)
			if err != nil {
				return answer{}, err
			}
			all, next := cut(all, p.limit, func(e account.Entry) string { return strconv.FormatUint(e.Sequence, 10) })
			return pageOf(q, all, next)
		},
	}}
}
