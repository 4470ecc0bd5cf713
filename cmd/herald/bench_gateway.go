package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/heraldpush/herald/internal/load"
	"github.com/heraldpush/herald/platform/bench"
)

// benchGatewayCmd measures the gateway.
type benchGatewayCmd struct {
	Shape       string        `default:"both" enum:"L,P,both" help:"L: as h2load sends, the provider token spelled out each time; P: as a thrifty sender, the provider token from the header table."`
	Auth        bench.Auth    `default:"token" enum:"token,certificate" help:"How the sender proves itself: token or certificate."`
	Connections int           `default:"8" help:"Connections, 256 at most."`
	Streams     int           `default:"100" help:"Pushes in flight on each, 1000 at most."`
	Unbatched   bool          `help:"Measure 32 connections with one push in flight as well."`
	Rate        int           `help:"Measure at so many pushes a second as well."`
	Payload     int           `default:"220" help:"Bytes of a payload, from 20 to 4096."`
	Bad         float64       `help:"Share of bad pushes, from 0 to 0.5."`
	Rounds      int           `default:"5" help:"How often everything is measured, 100 at most."`
	Pushes      int64         `placeholder:"100000" xor:"long" help:"Pushes to each server in a round, ten million at most."`
	Duration    time.Duration `xor:"long" help:"Time for each server in a round instead, a minute at most."`
	Tokens      int           `default:"1000" help:"Device tokens."`
	Attached    int           `help:"How many of their devices are connected."`
	Unstored    bool          `help:"Ask that nothing be stored: apns-expiration 0."`
	Peers       []string      `default:"net/http,nghttpd" enum:"net/http,nghttpd,none" help:"Servers to measure beside the gateway: net/http, nghttpd, none."`
	H2load      bool          `name:"h2load" help:"Have h2load send, in shape L."`
	Profile     string        `placeholder:"FILE" help:"Write a CPU profile of the gateway."`

	printFlags
}

// Help says more than the line in the list of verbs.
func (benchGatewayCmd) Help() string {
	return `Everything runs on this machine, in child processes that end with this one:
the gateway with all its checks over stores in memory, its peers, and the load.
There is no way to aim it elsewhere. Figures of different runs do not compare;
ratios to a peer in the same run do. docs/performance.md says what is what.`
}

// Validate refuses what is out of bounds, before anything is started.
func (c benchGatewayCmd) Validate() error {
	for name, n := range map[string]int{
		"rounds": c.Rounds, "connections": c.Connections, "streams": c.Streams, "payload": c.Payload, "tokens": c.Tokens,
	} {
		if n < 1 {
			return fmt.Errorf("%s: %d is not at least 1", name, n)
		}
	}
	return c.config("", io.Discard).Check()
}

// config returns what is to be measured by the program, which tells of its
// progress to w.
func (c benchGatewayCmd) config(program string, w io.Writer) bench.Config {
	cfg := bench.Config{
		Part: benchPart(program),
		Auth: c.Auth, Connections: c.Connections, Streams: c.Streams, Unbatched: c.Unbatched, Rate: c.Rate, Payload: c.Payload,
		BadShare: c.Bad, Rounds: c.Rounds, Pushes: c.Pushes, Duration: c.Duration, Tokens: c.Tokens, Attached: c.Attached,
		Unstored: c.Unstored, H2load: c.H2load, Profile: c.Profile,
		Progress: func(line string) { _, _ = fmt.Fprintln(w, line) },
	}
	if c.Shape != "both" {
		cfg.Shapes = []load.Shape{load.Shape(c.Shape)}
	}
	for _, peer := range c.Peers {
		if peer != "none" {
			cfg.Peers = append(cfg.Peers, peer)
		}
	}
	return cfg
}

// Run implements the verb.
func (c benchGatewayCmd) Run(ctx context.Context, s streams) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	report, err := bench.Run(ctx, c.config(program, s.err))
	if err != nil {
		return err
	}
	return c.print(s, report, func(w io.Writer) error {
		_, err := report.WriteTo(w)
		return err
	})
}
