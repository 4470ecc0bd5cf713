package main

import (
	"context"
	"io"
	"strconv"

	"github.com/heraldpush/herald/admin"
)

// portalAuditCmd shows the audit log.
type portalAuditCmd struct {
	After uint64 `placeholder:"N" help:"Only what came after entry N."`
	portalAt
}

// Run implements the verb.
func (c portalAuditCmd) Run(ctx context.Context, s streams) error {
	return c.do(ctx, func(ctx context.Context, at admin.Target) error {
		log, err := admin.All(ctx, at, admin.ListAudit, strconv.FormatUint(c.After, 10))
		if err != nil {
			return err
		}
		return c.print(s, log, func(w io.Writer) error {
			rows := [][]string{{"N", "TIME", "WHO", "WHAT", "TO", "DETAIL"}}
			for _, e := range log {
				rows = append(rows, []string{strconv.FormatUint(e.Sequence, 10), minute(e.Time), e.Actor, e.Action, e.Subject, e.Detail})
			}
			return table(w, rows...)
		})
	})
}
