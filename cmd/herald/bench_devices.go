package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"github.com/heraldpush/herald/platform/bench"
)

// benchDevicesCmd measures the courier, and the road from end to end.
type benchDevicesCmd struct {
	Count       int             `default:"2000" help:"Devices that are connected, as many as a process may have files."`
	Away        int             `default:"10000" help:"Further devices that are not."`
	Phases      []bench.Phase   `default:"connect,idle,paced,deliver,away,reconnect" enum:"connect,idle,paced,deliver,away,reconnect" help:"What to measure: connect, idle, paced, deliver, away, reconnect."`
	Spool       bench.SpoolKind `default:"memory" enum:"memory,durable" help:"Where the spool keeps what waits: memory, or durable, on the disk before a push is accepted."`
	Transport   string          `default:"auto" enum:"auto,epoll,portable" help:"How the courier moves bytes: epoll, on Linux, portable, or auto, as it does by itself."`
	ALPN        string          `name:"alpn" default:"v3" enum:"v3,herald" help:"How devices log in: v3 (apns-security-v3) or herald (with Herald's items)."`
	Rate        int             `default:"2000" help:"Pushes a second in the phase paced."`
	Duration    time.Duration   `default:"5s" help:"Time for it, a minute at most."`
	Pushes      int64           `default:"100000" help:"Pushes in each of deliver and away, ten million at most."`
	Payload     int             `default:"220" help:"Bytes of a payload, from 39 to 4096."`
	Connections int             `default:"8" help:"Connections of the sender, 256 at most."`
	Streams     int             `default:"100" help:"Pushes in flight on each, 1000 at most."`
	AwayStreams int             `default:"500" help:"The same in the phase away."`
	Rounds      int             `default:"1" help:"How often everything is measured, 100 at most."`
	Pinned      bool            `help:"Give the service one core, and the load another one."`
	Profile     string          `placeholder:"FILE" help:"Write a CPU profile of the service; not with reconnect."`

	printFlags
}

// Help says more than the line in the list of verbs.
func (benchDevicesCmd) Help() string {
	return `Everything runs on this machine, in child processes that end with this one:
the push service over a data folder of its own, the devices, and the load. There
is no way to aim it elsewhere. Figures of different runs do not compare; ratios
to the bare TLS accept loop in the same run do. docs/performance.md says what is
what.`
}

// alpns are the protocols by which devices log in.
var alpns = map[string]string{"v3": "apns-security-v3", "herald": "herald-courier-1"}

// Validate refuses what is out of bounds, before anything is started.
func (c benchDevicesCmd) Validate() error {
	for name, n := range map[string]int{
		"count": c.Count, "away": c.Away, "rate": c.Rate, "payload": c.Payload, "connections": c.Connections,
		"streams": c.Streams, "away-streams": c.AwayStreams, "rounds": c.Rounds, "pushes": int(c.Pushes), "phases": len(c.Phases),
	} {
		if n < 1 {
			return fmt.Errorf("%s: %d is not at least 1", name, n)
		}
	}
	if c.Duration <= 0 {
		return fmt.Errorf("duration: %v is not more than 0", c.Duration)
	}
	return c.config("", io.Discard).Check()
}

// config returns what is to be measured by the program, which tells of its
// progress to w.
func (c benchDevicesCmd) config(program string, w io.Writer) bench.DevicesConfig {
	var transport bench.Transport
	if c.Transport != "auto" {
		transport = bench.Transport(c.Transport)
	}
	return bench.DevicesConfig{
		Part:  benchPart(program),
		Count: c.Count, Away: c.Away, Phases: c.Phases, Spool: c.Spool, Transport: transport, ALPN: alpns[c.ALPN], Rate: c.Rate, PacedFor: c.Duration,
		Pushes: c.Pushes, Payload: c.Payload, Connections: c.Connections, Streams: c.Streams, AwayStreams: c.AwayStreams,
		Rounds: c.Rounds, Pinned: c.Pinned, Profile: c.Profile,
		Progress: func(line string) { _, _ = fmt.Fprintln(w, line) },
	}
}

// benchPart returns how the program is started as a part of a bench.
func benchPart(program string) func(context.Context, string) *exec.Cmd {
	return func(ctx context.Context, name string) *exec.Cmd {
		cmd := exec.CommandContext(ctx, program, "bench", "part", name)
		cmd.Args[0] = os.Args[0] // by which the program may know itself
		return cmd
	}
}

// Run implements the verb.
func (c benchDevicesCmd) Run(ctx context.Context, s streams) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	report, err := bench.RunDevices(ctx, c.config(program, s.err))
	if err != nil {
		return err
	}
	return c.print(s, report, func(w io.Writer) error {
		_, err := report.WriteTo(w)
		return err
	})
}
