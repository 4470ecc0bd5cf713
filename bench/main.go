// Command bench measures Herald's client library beside the clients that others
// have written. It is a module of its own, so that they never are in what
// Herald is made of:
//
//	go -C bench run . push
//	go -C bench run . push --json
//
// It measures as `herald bench push` does, in the same processes and rounds, with
// one peer more. docs/performance.md says what is what.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"

	"github.com/heraldpush/herald/platform/bench"
)

const usage = `usage: go -C bench run . push [flags]

Measures what a push costs Herald's client library, and other clients in the same
run: sideshow/apns2 and a bare net/http. All of it on this machine, in child
processes. Progress goes to standard error.
`

// peers are the clients of which Herald's own bench has none.
func peers() []bench.Peer {
	return []bench.Peer{{Name: bench.Sideshow, Open: openSideshow}}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	switch {
	case err == nil:
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	default:
		_, _ = fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run carries out what the arguments say.
func run(ctx context.Context, args []string, in io.Reader, out, progress io.Writer) error {
	switch {
	case len(args) == 2 && args[0] == "part":
		return bench.RunPart(ctx, args[1], in, out, peers()...)
	case len(args) > 0 && args[0] == "push":
		return push(ctx, args[1:], out, progress)
	}
	_, _ = io.WriteString(progress, usage)
	return flag.ErrHelp
}

// push measures, and writes a table or, as its last line, a JSON object.
func push(ctx context.Context, args []string, out, progress io.Writer) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	cfg := bench.PushConfig{
		Part: func(ctx context.Context, name string) *exec.Cmd {
			return exec.CommandContext(ctx, program, "part", name)
		},
		Peers:    []string{bench.Sideshow, bench.NetHTTP},
		Progress: func(line string) { _, _ = fmt.Fprintln(progress, line) },
	}
	flags := flag.NewFlagSet("push", flag.ContinueOnError)
	flags.SetOutput(progress)
	flags.Usage = func() {
		_, _ = io.WriteString(progress, usage)
		flags.PrintDefaults()
	}
	asJSON := flags.Bool("json", false, "print a JSON object, on one line, the last")
	phases := flags.String("phases", "blocking,bulk", "what to measure: blocking, bulk, delayed, unbatched, silent")
	flags.IntVar(&cfg.Rounds, "rounds", 5, "how often everything is measured, 100 at most")
	flags.Int64Var(&cfg.Count, "count", 100_000, "pushes of each client in a round of a phase, ten million at most")
	flags.IntVar(&cfg.Goroutines, "goroutines", 100, "how many push at the same time, 10000 at most")
	flags.IntVar(&cfg.Streams, "streams", 1000, "pushes in flight in bulk and delayed, 1000 at most")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	for phase := range strings.SplitSeq(*phases, ",") {
		cfg.Phases = append(cfg.Phases, bench.PushPhase(phase))
	}
	report, err := bench.RunPush(ctx, cfg)
	if err != nil {
		return err
	}
	if *asJSON {
		return json.NewEncoder(out).Encode(report)
	}
	_, err = report.WriteTo(out)
	return err
}
