package main

import (
	"context"
	"os"

	"github.com/heraldpush/herald/platform/bench"
)

// benchCmd is the verbs that measure.
type benchCmd struct {
	Gateway  benchGatewayCmd  `cmd:"" help:"What it costs the gateway to accept a push, beside servers that check nothing."`
	Devices  benchDevicesCmd  `cmd:"" help:"What devices cost the courier, and how soon they have a push."`
	Push     benchPushCmd     `cmd:"" help:"What a push costs the client library, beside net/http."`
	Provider benchProviderCmd `cmd:"" help:"What the push server of an app takes: registrations, single sends, a queue, a broadcast."`
	Part     benchPartCmd     `cmd:"" hidden:""`
}

// benchPartCmd is a child process of a bench.
type benchPartCmd struct {
	Name string `arg:""`
}

// Run implements the verb.
func (c benchPartCmd) Run(ctx context.Context, s streams) error {
	return bench.RunPart(ctx, c.Name, os.Stdin, s.out)
}
