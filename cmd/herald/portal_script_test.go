package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"strconv"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/heraldpush/herald/admin"
	"github.com/heraldpush/herald/platform/folder"
)

// capture sets an environment variable to what the parentheses of a regular
// expression match in the last standard output.
func capture(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: capture NAME REGEXP")
	}
	m := regexp.MustCompile("(?m)" + args[1]).FindStringSubmatch(ts.ReadFile("stdout"))
	if len(m) != 2 {
		ts.Fatalf("%s does not match once, with one pair of parentheses", args[1])
	}
	ts.Setenv(args[0], m[1])
}

// mode checks the permissions of a file.
func mode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: mode 0600 FILE")
	}
	want, err := strconv.ParseUint(args[0], 8, 32)
	ts.Check(err)
	info, err := os.Stat(ts.MkAbs(args[1]))
	ts.Check(err)
	if got := info.Mode().Perm(); uint64(got) != want {
		ts.Fatalf("%s: got mode %04o, want %04o", args[1], got, want)
	}
}

// servePortal is a platform that serves nothing but the API over a folder,
// until an interrupt.
func servePortal() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := serveFolder(ctx, os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1) //nolint:gocritic // stop is of no matter any more
	}
}

func serveFolder(ctx context.Context, dir string) (err error) {
	p, f, err := openPlatformFolder(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	key := rand.Text()
	api := admin.New(admin.Config{Portal: p, Key: key, Logger: slog.New(slog.NewTextHandler(os.Stderr, nil))})
	server := &http.Server{
		Handler: api, ReadTimeout: time.Minute,
	}
	closing := context.AfterFunc(ctx, func() { _ = server.Close() }) // what is open ends with it
	defer closing()
	if err := f.WriteRun("http://"+l.Addr().String(), key); err != nil {
		return err
	}
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// status checks the exit status of a program.
func status(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status N PROGRAM ARGUMENT...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("got status %d, want %d", got, want)
	}
}

// readRun sets URL and writes key.txt from what a platform says of itself.
func readRun(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: read-run DIR")
	}
	run, err := folder.ReadRun(ts.MkAbs(args[0]))
	ts.Check(err)
	ts.Setenv("URL", run.URL)
	ts.Check(os.WriteFile(ts.MkAbs("key.txt"), []byte(run.AdminKey+"\n"), 0o600))
}
