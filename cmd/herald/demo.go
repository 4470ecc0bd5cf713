package main

import (
	"context"
	"log/slog"

	"github.com/heraldpush/herald/platform/demo"
)

// demoCmd runs the demo.
type demoCmd struct{}

// Run implements the verb.
func (demoCmd) Run(ctx context.Context, s streams, log *slog.Logger) error {
	return demo.Run(ctx, s.out, log)
}
