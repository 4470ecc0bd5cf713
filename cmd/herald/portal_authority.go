package main

import (
	"context"
	"fmt"
	"io"

	"github.com/heraldpush/herald/admin"
)

// portalAuthorityCmd shows the certificate authority.
type portalAuthorityCmd struct {
	Out string `placeholder:"FILE" help:"Write the root certificate there, PEM, for clients to trust."`
	portalAt
}

// Run implements the verb.
func (c portalAuthorityCmd) Run(ctx context.Context, s streams) error {
	return c.do(ctx, func(ctx context.Context, at admin.Target) error {
		a, err := admin.GetAuthority.Call(ctx, at, admin.None{})
		if err != nil {
			return err
		}
		if c.Out != "" {
			if err := writeFile(c.Out, []byte(a.Root.PEM), public, false); err != nil {
				return err
			}
		}
		return c.print(s, a, func(w io.Writer) error {
			rows := [][]string{{"AUTHORITY", "FOR", "EXPIRES", "SHA-256"}}
			for _, i := range append([]admin.Issuer{a.Root}, a.Intermediates...) {
				purpose := string(i.Purpose)
				if purpose == "" {
					purpose = "the others"
				}
				rows = append(rows, []string{i.Name, purpose, expires(i.NotAfter), i.SHA256})
			}
			if err := table(w, rows...); err != nil || c.Out == "" {
				return err
			}
			_, err := fmt.Fprintf(w, "Wrote %s, the root: clients that trust it trust this platform.\n", plain(c.Out))
			return err
		})
	})
}
