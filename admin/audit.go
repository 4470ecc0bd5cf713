package admin

import (
	"context"
	"net/http"
	"strconv"

	"github.com/heraldpush/herald/portal"
)

// ListAudit lists the audit log, oldest first. Its Page.After is a sequence
// number.
var ListAudit = &Operation[Page, List[portal.Entry]]{
	Row: Row{http.MethodGet, "/v1/portal/audit", "Lists the audit log, oldest first, after a sequence number."},
	run: func(ctx context.Context, p *portal.Portal, in Page) (List[portal.Entry], error) {
		var after uint64
		if in.After != "" {
			var err error
			if after, err = strconv.ParseUint(in.After, 10, 64); err != nil {
				return List[portal.Entry]{}, newProblem(http.StatusBadRequest, CodeArgument, "", "after is not a sequence number")
			}
		}
		all, err := p.Audit(ctx, after)
		return page(all, Page{}, func(e portal.Entry) string { return strconv.FormatUint(e.Sequence, 10) }), err
	},
}
