package main

import (
	"context"
	"fmt"
	"io"

	"github.com/heraldpush/herald/admin"
	"github.com/heraldpush/herald/credential"
)

// portalCRLCmd writes a certificate revocation list.
type portalCRLCmd struct {
	Of  credential.Purpose `arg:"" optional:"" default:"providers" enum:"providers,devices" help:"providers (the default) or devices."`
	Out string             `placeholder:"FILE" help:"Where to write it, DER. Default: providers.crl or devices.crl."`
	portalAt
}

// writtenCRL is what the verb prints as JSON.
type writtenCRL struct {
	admin.CRL
	File string `json:"file"`
}

// Run implements the verb.
func (c portalCRLCmd) Run(ctx context.Context, s streams) error {
	if c.Out == "" {
		c.Out = string(c.Of) + ".crl"
	}
	return c.do(ctx, func(ctx context.Context, at admin.Target) error {
		list, err := admin.GetCRL.Call(ctx, at, admin.CRLRequest{Purpose: c.Of})
		if err != nil {
			return err
		}
		if err := writeFile(c.Out, list.DER, public, false); err != nil {
			return err
		}
		return c.print(s, writtenCRL{list, c.Out}, func(w io.Writer) error {
			_, err := fmt.Fprintf(w, "Wrote %s: %s revoked, good until %s. Write it anew each day.\n",
				plain(c.Out), count(list.Revoked, "certificate", "certificates"), minute(list.NextUpdate))
			return err
		})
	})
}
