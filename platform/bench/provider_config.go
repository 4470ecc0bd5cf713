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

// ProviderPhase is a part of what RunProvider measures.
type ProviderPhase string

// The phases, in their order.
const (
	ProviderRegister  ProviderPhase = "register"  // installations that are new
	ProviderUnchanged ProviderPhase = "unchanged" // the same again, which say nothing new
	ProviderSingle    ProviderPhase = "single"    // messages for one installation each
	ProviderQueue     ProviderPhase = "queue"     // the same while the gateway does not answer, and then does
	ProviderBroadcast ProviderPhase = "broadcast" // one message for everybody
	ProviderUrgent    ProviderPhase = "urgent"    // messages for one installation, alone and beside broadcasts
)

// ProviderPhases are all phases, in their order.
var ProviderPhases = []ProviderPhase{ProviderRegister, ProviderUnchanged, ProviderSingle, ProviderQueue, ProviderBroadcast, ProviderUrgent}

// ProviderConfig says what RunProvider measures. What is zero has the default given.
type ProviderConfig struct {
	// Part makes the command that runs a part of the bench: this program, such
	// that it calls RunPart with the name. Required.
	Part func(ctx context.Context, name string) *exec.Cmd
	// Phases are what is measured. Without ProviderRegister, which all others need, the
	// installations are entered all the same. Default: all.
	Phases []ProviderPhase
	// Installations are how many are registered, and whom a broadcast is for. Default:
	// 20,000.
	Installations int64
	// Count is how many calls the phases unchanged, single and queue make each.
	// Default: 20,000.
	Count int64
	// Urgent is how many calls the phase urgent makes alone, and again beside
	// broadcasts. Default: 200.
	Urgent int64
	// Every is the time from one of these to the next. Default: 10 ms.
	Every time.Duration
	// InFlight is how many calls are under way at a time, each on a connection of its
	// own. Default: 256.
	InFlight int
	// Payload is the size of a payload in bytes. Default: 220.
	Payload int
	// Rounds is how often everything is measured, each on a new data folder.
	// Default: 3.
	Rounds int
	// Profile is a file for a CPU profile of the push server, for one phase (beside
	// ProviderRegister, which may go before) and one round. Empty means none.
	Profile string
	// Dir is where the data folders are made; empty is where temporary files go. What
	// is made there is removed.
	Dir string
	// Progress gets a line for each thing that was measured. Nil means none.
	Progress func(line string)
}

// Limits of a ProviderConfig.
const (
	MaxInstallations = 10_000_000
	MaxCalls         = 10_000_000
	MaxInFlight      = 4096
	MaxEvery         = time.Second
)

// withDefaults returns c with a value in each field that has a default.
func (c ProviderConfig) withDefaults() ProviderConfig {
	if len(c.Phases) == 0 {
		c.Phases = ProviderPhases
	}
	setDefault(&c.Installations, 20_000)
	setDefault(&c.Count, 20_000)
	setDefault(&c.Urgent, 200)
	setDefault(&c.Every, 10*time.Millisecond)
	setDefault(&c.InFlight, 256)
	setDefault(&c.Payload, 220)
	setDefault(&c.Rounds, 3)
	if c.Progress == nil {
		c.Progress = func(string) {}
	}
	return c
}

// measures reports whether a phase is measured.
func (c *ProviderConfig) measures(phase ProviderPhase) bool { return slices.Contains(c.Phases, phase) }

// Check reports what is wrong with a configuration: what RunProvider would refuse
// before it starts anything.
func (c ProviderConfig) Check() error {
	c = c.withDefaults()
	switch {
	case c.Part == nil:
		return errors.New("bench: Part is required")
	case c.Rounds < 1 || c.Rounds > MaxRounds:
		return fmt.Errorf("rounds: %d is not from 1 to %d", c.Rounds, MaxRounds)
	case c.Installations < 1 || c.Installations > MaxInstallations:
		return fmt.Errorf("installations: %d is not from 1 to %d", c.Installations, MaxInstallations)
	case c.Count < 1 || c.Count > MaxCalls:
		return fmt.Errorf("count: %d is not from 1 to %d", c.Count, MaxCalls)
	case c.Every < 0 || c.Every > MaxEvery:
		return fmt.Errorf("every: %v is not from 0 to %v", c.Every, MaxEvery)
	case c.Urgent < 1 || c.Urgent > MaxCalls || time.Duration(c.Urgent)*c.Every > orderTimeout/2:
		return fmt.Errorf("urgent: %d, one every %v, is not from 1 to %d or takes longer than %v", c.Urgent, c.Every, MaxCalls, orderTimeout/2)
	case c.InFlight < 1 || c.InFlight > MaxInFlight:
		return fmt.Errorf("in flight: %d is not from 1 to %d", c.InFlight, MaxInFlight)
	case c.Payload < minMarkedPayload || c.Payload > load.MaxPayloadBytes:
		return fmt.Errorf("payload: %d bytes is not from %d to %d", c.Payload, minMarkedPayload, load.MaxPayloadBytes)
	case c.Profile != "" && c.Rounds != 1:
		return errors.New("profile: a profile needs one round of one phase")
	}
	measured := 0
	for _, phase := range c.Phases {
		if !slices.Contains(ProviderPhases, phase) {
			return fmt.Errorf("no phase %q: there are %v", phase, ProviderPhases)
		}
		if phase != ProviderRegister || len(c.Phases) == 1 {
			measured++
		}
	}
	if c.Profile != "" && measured != 1 {
		return errors.New("profile: a profile needs one round of one phase")
	}
	return nil
}
