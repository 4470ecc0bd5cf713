package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/heraldpush/herald/platform/bench"
)

// benchPushCmd measures the client library.
type benchPushCmd struct {
	Phases      []bench.PushPhase `default:"blocking,bulk,delayed,unbatched,silent" enum:"blocking,bulk,delayed,unbatched,silent" help:"What to measure: blocking, bulk, delayed, unbatched, silent."`
	Rounds      int               `default:"5" help:"How often everything is measured, 100 at most."`
	Count       int64             `default:"100000" help:"Pushes of each sender in a round of a phase, ten million at most."`
	Goroutines  int               `default:"100" help:"How many push at the same time in the phase blocking, 10000 at most."`
	Streams     int               `default:"1000" help:"Pushes in flight in the phases bulk and delayed, 1000 at most."`
	Delay       time.Duration     `default:"20ms" help:"How long an answer takes in the phase delayed, a second at most."`
	Connections int               `default:"32" help:"Connections in the phase unbatched, 256 at most."`
	Timeout     time.Duration     `default:"1s" help:"Time for a push in the phase silent, a minute at most."`
	Payload     int               `default:"220" help:"Bytes of a payload, from 20 to 4096."`
	Peers       []string          `default:"net/http" enum:"net/http,none" help:"Senders to measure beside the library: net/http, none."`
	Profile     string            `placeholder:"FILE" help:"Write a CPU profile of the library, for one phase and one round."`

	printFlags
}

// Help says more than the line in the list of verbs.
func (benchPushCmd) Help() string {
	return `Everything runs on this machine, in child processes that end with this one:
a gateway that checks nothing, and the senders. There is no way to aim it
elsewhere. Figures of different runs do not compare; ratios to a peer in the same
run do. docs/performance.md says what is what, and how to measure the library
beside others that Herald itself does not contain.`
}

// Validate refuses what is out of bounds, before anything is started.
func (c benchPushCmd) Validate() error {
	for name, n := range map[string]int{
		"rounds": c.Rounds, "count": int(c.Count), "goroutines": c.Goroutines, "streams": c.Streams,
		"connections": c.Connections, "payload": c.Payload, "phases": len(c.Phases),
	} {
		if n < 1 {
			return fmt.Errorf("%s: %d is not at least 1", name, n)
		}
	}
	if c.Delay <= 0 || c.Timeout <= 0 {
		return fmt.Errorf("delay and timeout: %v and %v are not more than 0", c.Delay, c.Timeout)
	}
	return c.config("", io.Discard).Check()
}

// config returns what is to be measured by the program, which tells of its
// progress to w.
func (c benchPushCmd) config(program string, w io.Writer) bench.PushConfig {
	cfg := bench.PushConfig{
		Part:   benchPart(program),
		Phases: c.Phases, Rounds: c.Rounds, Count: c.Count, Goroutines: c.Goroutines, Streams: c.Streams, Delay: c.Delay,
		Connections: c.Connections, Timeout: c.Timeout, Payload: c.Payload, Profile: c.Profile,
		Progress: func(line string) { _, _ = fmt.Fprintln(w, line) },
	}
	for _, peer := range c.Peers {
		if peer != "none" {
			cfg.Peers = append(cfg.Peers, peer)
		}
	}
	return cfg
}

// Run implements the verb.
func (c benchPushCmd) Run(ctx context.Context, s streams) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	report, err := bench.RunPush(ctx, c.config(program, s.err))
	if err != nil {
		return err
	}
	return c.print(s, report, func(w io.Writer) error {
		_, err := report.WriteTo(w)
		return err
	})
}
