package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"herald": func() {
			ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
			defer stop()
			os.Exit(run(ctx, os.Args[1:], streams{out: os.Stdout, err: os.Stderr}))
		},
		"herald-on-full-disk": onFullDisk,
		"serve-portal":        servePortal,
	})
}

func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			files, err := filepath.Abs("../../credential/testdata")
			e.Setenv("CREDENTIALS", files)
			return err
		},
		// race: the detector watches, which makes keys many times slower.
		Condition: func(cond string) (bool, error) {
			if cond != "race" {
				return false, fmt.Errorf("unknown condition %q", cond)
			}
			return raceEnabled, nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"wait-for": waitFor, "wait-for-text": waitForText, "capture": capture, "mode": mode, "status": status, "read-run": readRun,
			"weak-request": weakRequest, "large": large, "issue": issue, "mangle": mangle, "join": joinFiles, "tells-nothing-of": tellsNothingOf, "json-env": jsonEnv,
			"provider-token": providerToken, "silent-port": silentPort, "push": push, "push-id": pushID, "device-tokens": deviceTokens, "long-text": longText, "new-channel": newChannel, "wait-for-agent": waitForAgent, "receive-hooks": receiveHooks, "signed-with": signedWith,
		},
	})
}

// waitLimit is how long a script waits for a file.
const waitLimit = 2 * time.Minute

// waitForText waits until a file holds a text.
func waitForText(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: wait-for-text file text")
	}
	path := ts.MkAbs(args[0])
	for limit := time.Now().Add(waitLimit); time.Now().Before(limit); time.Sleep(5 * time.Millisecond) {
		if b, err := os.ReadFile(path); err == nil && strings.Contains(string(b), args[1]) {
			return
		}
	}
	ts.Fatalf("%s did not hold %q in %v", args[0], args[1], waitLimit)
}

// waitFor waits until a file exists: what another process writes when it is
// ready.
func waitFor(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: wait-for file")
	}
	path := ts.MkAbs(args[0])
	for limit := time.Now().Add(waitLimit); time.Now().Before(limit); time.Sleep(5 * time.Millisecond) {
		if _, err := os.Stat(path); err == nil {
			return
		}
	}
	ts.Fatalf("%s did not appear in %v", args[0], waitLimit)
}
