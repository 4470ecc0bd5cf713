// Package e2e proves Herald against programs that nobody here wrote: it builds
// the herald binary, starts `herald dev` as a person would, and drives it with
// curl, openssl, Node, the JDK, PHP and provider libraries, all unmodified. It
// also has them read the files that herald writes, and herald theirs.
//
// It holds tests only, and imports nothing of Herald: whatever these tests know
// of a running platform they read from its dev.json and notifications.jsonl.
//
// A test that lacks a program says so and skips. HERALD_E2E=require makes that
// a failure, so that a full run cannot pass by testing nothing.
package e2e
