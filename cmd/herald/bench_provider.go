package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/heraldpush/herald/platform/bench"
)

// benchProviderCmd measures the push server.
type benchProviderCmd struct {
	Phases        []bench.ProviderPhase `default:"register,unchanged,single,queue,broadcast,urgent" enum:"register,unchanged,single,queue,broadcast,urgent" help:"What to measure: register, unchanged, single, queue, broadcast, urgent."`
	Installations int64                 `default:"20000" help:"Installations to register, whom a broadcast is for; ten million at most."`
	Count         int64                 `default:"20000" help:"Calls in each of the phases unchanged, single and queue, ten million at most."`
	Urgent        int64                 `default:"200" help:"Urgent messages, alone and again beside broadcasts."`
	Every         time.Duration         `default:"10ms" help:"Time from one urgent message to the next, a second at most."`
	InFlight      int                   `default:"256" help:"Calls that are under way at a time, 4096 at most."`
	Rounds        int                   `default:"3" help:"How often everything is measured, 100 at most."`
	Payload       int                   `default:"220" help:"Bytes of a payload, from 45 to 4096."`
	Dir           string                `type:"existingdir" placeholder:"DIR" help:"Where to make the data folders, which are removed. Default: where temporary files go."`
	Profile       string                `placeholder:"FILE" help:"Write a CPU profile of the push server, for one phase (and register before) and one round."`

	printFlags
}

// Help says more than the line in the list of verbs.
func (benchProviderCmd) Help() string {
	return `Everything runs on this machine, in child processes that end with this one: the
push server with its API over a data folder on the disk, a gateway that accepts
everything, and who calls. There is no way to aim it elsewhere. The defaults take
about a minute; --installations 1000000 --rounds 1 is the large run, and takes up
to 2 GiB of the disk. docs/performance.md says what is what.`
}

// Validate refuses what is out of bounds, before anything is started.
func (c benchProviderCmd) Validate() error {
	for name, n := range map[string]int64{
		"installations": c.Installations, "count": c.Count, "urgent": c.Urgent, "in-flight": int64(c.InFlight), "rounds": int64(c.Rounds),
		"payload": int64(c.Payload), "phases": int64(len(c.Phases)), "every": int64(c.Every),
	} {
		if n < 1 {
			return fmt.Errorf("%s: %d is not at least 1", name, n)
		}
	}
	return c.config("", io.Discard).Check()
}

// config returns what is to be measured by the program, which tells of its
// progress to w.
func (c benchProviderCmd) config(program string, w io.Writer) bench.ProviderConfig {
	return bench.ProviderConfig{
		Part:   benchPart(program),
		Phases: c.Phases, Installations: c.Installations, Count: c.Count, Urgent: c.Urgent, Every: c.Every, InFlight: c.InFlight,
		Rounds: c.Rounds, Payload: c.Payload, Dir: c.Dir, Profile: c.Profile,
		Progress: func(line string) { _, _ = fmt.Fprintln(w, line) },
	}
}

// Run implements the verb.
func (c benchProviderCmd) Run(ctx context.Context, s streams) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	report, err := bench.RunProvider(ctx, c.config(program, s.err))
	if err != nil {
		return err
	}
	return c.print(s, report, func(w io.Writer) error {
		_, err := report.WriteTo(w)
		return err
	})
}
