package main

import (
	"context"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/heraldpush/herald/device/agent"
)

// waitForAgent waits until the agent of a folder is connected and each of its
// apps, at least one, has a device token.
func waitForAgent(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: wait-for-agent DIR")
	}
	dir := ts.MkAbs(args[0])
	ctx, cancel := context.WithTimeout(context.Background(), waitLimit)
	defer cancel()
	var err error
	for ; ctx.Err() == nil; time.Sleep(5 * time.Millisecond) {
		var r *agent.Remote
		if r, err = agent.Connect(ctx, dir); err != nil {
			continue
		}
		var s agent.Status
		if s, err = r.Status(ctx); err == nil && ready(s) {
			return
		}
	}
	ts.Fatalf("the agent of %s was not ready in %v: %v", args[0], waitLimit, err)
}

func ready(s agent.Status) bool {
	for _, app := range s.Apps {
		if app.DeviceToken == "" {
			return false
		}
	}
	return s.Connected && len(s.Apps) > 0
}
