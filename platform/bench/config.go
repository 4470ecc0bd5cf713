package bench

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"time"

	"github.com/heraldpush/herald/internal/load"
)

// Auth is how the sender proves itself.
type Auth string

// The ways.
const (
	AuthToken       Auth = "token"
	AuthCertificate Auth = "certificate"
)

// Names of the servers.
const (
	Gateway = "gateway"  // the platform's
	NetHTTP = "net/http" // a handler that reads the body and answers 200
	Nghttpd = "nghttpd"  // static empty files
)

// Config says what is measured. What is zero has the default given.
type Config struct {
	// Part makes the command that runs a part of the bench: this program, such
	// that it calls RunPart with the name. Required.
	Part func(ctx context.Context, name string) *exec.Cmd
	// Peers are the servers beside the gateway. Those that are not installed are
	// reported as absent.
	Peers []string
	// Shapes are how header fields are encoded. Default: Literal and Indexed.
	Shapes []load.Shape
	// Auth is how the sender proves itself. Default: AuthToken.
	Auth Auth
	// Connections and Streams on each. Default: 8 and 100.
	Connections, Streams int
	// Unbatched adds 32 connections with one stream.
	Unbatched bool
	// Rate, in pushes a second over all connections, adds a run at that rate.
	Rate int
	// Payload is the size of a payload in bytes. Default: 220.
	Payload int
	// BadShare is which part of the pushes is bad, from 0 to 1.
	BadShare float64
	// Rounds is how often everything is measured. Default: 5.
	Rounds int
	// Pushes is how many a round sends to a server. Default: 100,000. At a
	// rate, it is as many as fall due in three seconds.
	Pushes int64
	// Duration, if it is given, takes the place of Pushes.
	Duration time.Duration
	// Tokens is how many device tokens there are, and Attached how many of the
	// devices are connected. Default: 1,000 and none.
	Tokens, Attached int
	// Unstored asks that nothing be stored: apns-expiration 0.
	Unstored bool
	// H2load has h2load drive the rounds, in shape Literal.
	H2load bool
	// Profile is a file for a CPU profile of the gateway. Empty means none.
	Profile string
	// Progress gets a line for each thing that was measured. Nil means none.
	Progress func(line string)
}

// Limits of a Config, beyond those of the load.
const (
	MaxRounds = 100
	MaxTokens = load.MaxPaths
	// MaxRun is how long a run may take: less than a provider token is good for.
	MaxRun = 45 * time.Minute

	minPayload   = 20
	warmupPushes = 2000
	pacedFor     = 3 * time.Second
)

// withDefaults returns c with a value in each field that has a default.
func (c Config) withDefaults() Config {
	setDefault(&c.Auth, AuthToken)
	setDefault(&c.Connections, 8)
	setDefault(&c.Streams, 100)
	setDefault(&c.Payload, 220)
	setDefault(&c.Rounds, 5)
	setDefault(&c.Tokens, 1000)
	if c.Pushes == 0 && c.Duration == 0 {
		c.Pushes = 100_000
	}
	if len(c.Shapes) == 0 {
		c.Shapes = []load.Shape{load.Literal, load.Indexed}
	}
	if c.H2load {
		c.Shapes = []load.Shape{load.Literal}
	}
	if c.Progress == nil {
		c.Progress = func(string) {}
	}
	return c
}

func setDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// Check reports what is wrong with a configuration: what Run would refuse
// before it starts anything.
func (c Config) Check() error {
	c = c.withDefaults()
	switch {
	case c.Part == nil:
		return errors.New("bench: Part is required")
	case c.Rounds < 1 || c.Rounds > MaxRounds:
		return fmt.Errorf("rounds: %d is not from 1 to %d", c.Rounds, MaxRounds)
	case c.Payload < minPayload || c.Payload > load.MaxPayloadBytes:
		return fmt.Errorf("payload: %d bytes is not from %d to %d", c.Payload, minPayload, load.MaxPayloadBytes)
	case c.Tokens < 1 || c.Tokens > MaxTokens:
		return fmt.Errorf("tokens: %d is not from 1 to %d", c.Tokens, MaxTokens)
	case c.Attached < 0 || c.Attached > c.Tokens:
		return fmt.Errorf("attached: %d is not from 0 to the %d device tokens", c.Attached, c.Tokens)
	case c.Connections < 1 || c.Connections > load.MaxConnections:
		return fmt.Errorf("connections: %d is not from 1 to %d", c.Connections, load.MaxConnections)
	case c.Streams < 1 || c.Streams > load.MaxStreams:
		return fmt.Errorf("streams: %d is not from 1 to %d", c.Streams, load.MaxStreams)
	case c.Pushes < 0 || c.Pushes > load.MaxPushes:
		return fmt.Errorf("pushes: %d is not from 1 to %d", c.Pushes, load.MaxPushes)
	case c.Duration < 0 || c.Duration > load.MaxDuration:
		return fmt.Errorf("duration: %v is not from 0 to %v", c.Duration, load.MaxDuration)
	case c.Pushes > 0 && c.Duration > 0:
		return errors.New("pushes and duration: one of them")
	case c.Rate < 0 || c.Rate > load.MaxRate:
		return fmt.Errorf("rate: %d is not from 0 to %d", c.Rate, load.MaxRate)
	case !(c.BadShare >= 0 && c.BadShare <= 0.5):
		return fmt.Errorf("share of bad pushes: %v is not from 0 to 0.5", c.BadShare)
	case c.Auth != AuthToken && c.Auth != AuthCertificate:
		return fmt.Errorf("no way %q to prove oneself", c.Auth)
	case c.H2load && (c.Auth != AuthToken || c.BadShare > 0 || c.Duration > 0):
		return errors.New("h2load sends a count of good pushes with a provider token, and nothing else")
	}
	for _, peer := range c.Peers {
		if !slices.Contains([]string{NetHTTP, Nghttpd}, peer) {
			return fmt.Errorf("no peer %q", peer)
		}
	}
	return nil
}

// scenario is one way to send: a line of rows in the report.
type scenario struct {
	shape                load.Shape
	connections, streams int
	rate                 int
}

func (s scenario) String() string {
	name := fmt.Sprintf("%s %dx%d", s.shape, s.connections, s.streams)
	if s.rate > 0 {
		name += fmt.Sprintf(" at %d/s", s.rate)
	}
	return name
}

// unbatched is how many connections there are where each has one stream.
const unbatched = 32

// scenarios returns all that are measured.
func (c *Config) scenarios() (all []scenario) {
	for _, shape := range c.Shapes {
		all = append(all, scenario{shape: shape, connections: c.Connections, streams: c.Streams})
		if c.Unbatched {
			all = append(all, scenario{shape: shape, connections: unbatched, streams: 1})
		}
		if c.Rate > 0 {
			all = append(all, scenario{shape: shape, connections: c.Connections, streams: c.Streams, rate: c.Rate})
		}
	}
	return all
}
