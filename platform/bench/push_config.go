package bench

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/heraldpush/herald/internal/load"
)

// PushPhase is a part of what RunPush measures.
type PushPhase string

// The phases, in their order.
const (
	PushBlocking  PushPhase = "blocking"  // one call after the other, from many goroutines on one connection
	PushBulk      PushPhase = "bulk"      // a sequence of pushes, or with a peer that knows none, as in PushBlocking
	PushDelayed   PushPhase = "delayed"   // blocking, and each answer takes a while
	PushUnbatched PushPhase = "unbatched" // blocking, on many connections with one push in flight
	PushSilent    PushPhase = "silent"    // the sink does not answer any more
)

// PushPhases are all phases, in their order.
var PushPhases = []PushPhase{PushBlocking, PushBulk, PushDelayed, PushUnbatched, PushSilent}

// Names of senders, beside NetHTTP.
const (
	Herald   = "herald"         // package apnsclient
	Sideshow = "sideshow/apns2" // of module bench, which has its source
)

// PushConfig says what RunPush measures. What is zero has the default given.
type PushConfig struct {
	// Part makes the command that runs a part of the bench: this program, such
	// that it calls RunPart with the name, and with the peers that it has.
	// Required.
	Part func(ctx context.Context, name string) *exec.Cmd
	// Peers are the senders beside the library, by name. Each is NetHTTP or what
	// the program hands to RunPart.
	Peers []string
	// Phases are what is measured. Default: all.
	Phases []PushPhase
	// Goroutines push at the same time in PushBlocking. Default: 100.
	Goroutines int
	// Streams are the pushes in flight in PushDelayed, where each has a goroutine, and the
	// most that there may be in PushBulk. Default: 1,000, what the sink allows.
	Streams int
	// Delay is how long an answer takes in PushDelayed. Default: 20 ms.
	Delay time.Duration
	// Connections are those of PushUnbatched. Default: 32.
	Connections int
	// Payload is the size of a payload in bytes. Default: 220.
	Payload int
	// Rounds is how often everything is measured; PushSilent is once. Default: 5.
	Rounds int
	// Count is how many pushes a sender sends in a round of a phase. Default:
	// 100,000. In PushUnbatched it is a quarter, in PushSilent 20,000 at
	// most.
	Count int64
	// Timeout is that of a push in PushSilent. Default: 1 s.
	Timeout time.Duration
	// Profile is a file for a CPU profile of the library, for one phase and one
	// round. Empty means none.
	Profile string
	// Progress gets a line for each thing that was measured. Nil means none.
	Progress func(line string)
}

// Limits of a PushConfig.
const (
	MaxGoroutines   = 10_000
	MaxPushDelay    = time.Second
	maxSilentPushes = 20_000
	// waitTimeout is how long a push may take where the sink answers.
	waitTimeout = 30 * time.Second
	// silentGoroutines push at once in PushSilent, twice the streams of the sink.
	silentGoroutines = 2 * sinkStreams
)

// withDefaults returns c with a value in each field that has a default.
func (c PushConfig) withDefaults() PushConfig {
	if len(c.Phases) == 0 {
		c.Phases = PushPhases
	}
	setDefault(&c.Goroutines, 100)
	setDefault(&c.Streams, sinkStreams)
	setDefault(&c.Delay, 20*time.Millisecond)
	setDefault(&c.Connections, unbatched)
	setDefault(&c.Payload, 220)
	setDefault(&c.Rounds, 5)
	setDefault(&c.Count, 100_000)
	setDefault(&c.Timeout, time.Second)
	if c.Progress == nil {
		c.Progress = func(string) {}
	}
	return c
}

// Check reports what is wrong with a configuration: what RunPush would refuse
// before it starts anything.
func (c PushConfig) Check() error {
	c = c.withDefaults()
	switch {
	case c.Part == nil:
		return errors.New("bench: Part is required")
	case c.Rounds < 1 || c.Rounds > MaxRounds:
		return fmt.Errorf("rounds: %d is not from 1 to %d", c.Rounds, MaxRounds)
	case c.Count < 1 || c.Count > load.MaxPushes:
		return fmt.Errorf("count: %d is not from 1 to %d", c.Count, load.MaxPushes)
	case c.Payload < minPayload || c.Payload > load.MaxPayloadBytes:
		return fmt.Errorf("payload: %d bytes is not from %d to %d", c.Payload, minPayload, load.MaxPayloadBytes)
	case c.Goroutines < 1 || c.Goroutines > MaxGoroutines:
		return fmt.Errorf("goroutines: %d is not from 1 to %d", c.Goroutines, MaxGoroutines)
	case c.Streams < 1 || c.Streams > sinkStreams:
		return fmt.Errorf("streams: %d is not from 1 to %d", c.Streams, sinkStreams)
	case c.Connections < 1 || c.Connections > load.MaxConnections:
		return fmt.Errorf("connections: %d is not from 1 to %d", c.Connections, load.MaxConnections)
	case c.Delay < 0 || c.Delay > MaxPushDelay:
		return fmt.Errorf("delay: %v is not from 0 to %v", c.Delay, MaxPushDelay)
	case c.Timeout < 10*time.Millisecond || c.Timeout > load.MaxDuration:
		return fmt.Errorf("timeout: %v is not from 10ms to %v", c.Timeout, load.MaxDuration)
	case c.Profile != "" && (c.Rounds != 1 || len(c.Phases) != 1):
		return errors.New("profile: a profile needs one round of one phase")
	}
	for _, phase := range c.Phases {
		if !slices.Contains(PushPhases, phase) {
			return fmt.Errorf("no phase %q: there are %v", phase, PushPhases)
		}
	}
	for i, peer := range c.Peers {
		if peer == "" || peer == Herald || strings.ContainsAny(peer, "\n\t") || slices.Contains(c.Peers[:i], peer) {
			return fmt.Errorf("peer %q: each has a name of its own", peer)
		}
	}
	return nil
}

// plan returns what a sender is to do in a phase, but for the target.
func (c *PushConfig) plan(phase PushPhase, sender string) pushPlan {
	p := pushPlan{Sender: sender, Connections: 1, Goroutines: c.Goroutines, Streams: sinkStreams, Count: c.Count, Timeout: waitTimeout}
	switch phase {
	case PushBlocking:
	case PushBulk:
		p.Bulk, p.Streams = true, c.Streams
	case PushDelayed:
		p.Goroutines, p.Streams, p.Delay = c.Streams, c.Streams, c.Delay
	case PushUnbatched:
		p.Connections, p.Goroutines, p.Count = c.Connections, c.Connections, max(c.Count/4, 1)
	case PushSilent:
		p.Goroutines, p.Count, p.Timeout = silentGoroutines, min(c.Count, maxSilentPushes), c.Timeout
		p.Watch = true
	}
	return p
}
