package bench

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/heraldpush/herald/internal/load"
	"github.com/heraldpush/herald/wire"
)

// Phase is a part of what RunDevices measures.
type Phase string

// The phases, in their order.
const (
	PhaseConnect   Phase = "connect"   // handshakes, beside a bare TLS accept loop
	PhaseIdle      Phase = "idle"      // memory
	PhasePaced     Phase = "paced"     // pushes at a rate, to all devices
	PhaseDeliver   Phase = "deliver"   // pushes at full speed, to BusyDevices of them
	PhaseAway      Phase = "away"      // pushes at full speed, to devices that are away
	PhaseReconnect Phase = "reconnect" // all devices come back to a service that was killed
)

// Phases are all phases, in their order.
var Phases = []Phase{PhaseConnect, PhaseIdle, PhasePaced, PhaseDeliver, PhaseAway, PhaseReconnect}

// SpoolKind says where the spool keeps what waits.
type SpoolKind string

// The kinds.
const (
	SpoolMemory  SpoolKind = "memory"
	SpoolDurable SpoolKind = "durable" // on the disk before a push is accepted
)

// SpoolKinds are all kinds.
var SpoolKinds = []SpoolKind{SpoolMemory, SpoolDurable}

// Transport is how a courier moves bytes.
type Transport string

// The transports.
const (
	TransportEpoll    Transport = "epoll"    // on Linux alone
	TransportPortable Transport = "portable" // a goroutine for each connection
)

// defaultTransport is the one that a courier takes by itself.
func defaultTransport() Transport {
	if runtime.GOOS == "linux" {
		return TransportEpoll
	}
	return TransportPortable
}

// Limits of a DevicesConfig, beyond those of the load.
const (
	// MaxDevices is how many devices may be connected at once.
	MaxDevices = 100_000
	// MaxDevicesPerProcess is how many of them one child process is, at most.
	MaxDevicesPerProcess = 19_000
	// BusyDevices is how many devices get pushes at full speed.
	BusyDevices = 1000
)

// maxProcesses bounds how many processes the devices are.
const maxProcesses = 32

// spareFiles is how many files a process needs beside its connections.
const spareFiles = 300

// DevicesConfig says what RunDevices measures. What is zero has the default
// given.
type DevicesConfig struct {
	// Part makes the command that runs a part of the bench: this program, such
	// that it calls RunPart with the name. Required.
	Part func(ctx context.Context, name string) *exec.Cmd
	// Count is how many devices are connected. Default: 2,000.
	Count int
	// Away is how many further devices are not. Default: 10,000.
	Away int
	// Phases are what is measured. Devices connect in any case. Default: all.
	Phases []Phase
	// Spool is where the spool keeps what waits. Default: SpoolMemory.
	Spool SpoolKind
	// Transport is how the courier moves bytes. Default: as it does by itself,
	// which is TransportEpoll on Linux.
	Transport Transport
	// ALPN is by which protocol devices log in: wire.ALPNSecurityV3 or
	// wire.ALPNHerald. Default: the former.
	ALPN string
	// Rate is how many pushes a second PhasePaced sends. Default: 2,000.
	Rate int
	// PacedFor is for how long it does so. Default: 5 s.
	PacedFor time.Duration
	// Pushes is how many PhaseDeliver and PhaseAway send. Default: 100,000.
	Pushes int64
	// Payload is the size of a payload in bytes. Default: 220.
	Payload int
	// Connections are those of the sender, and Streams the pushes in flight on
	// each; AwayStreams are those of PhaseAway. Default: 8, 100 and 500.
	Connections, Streams, AwayStreams int
	// PerProcess is how many devices one child process is, at most. Default:
	// MaxDevicesPerProcess, or as many as its open files allow.
	PerProcess int
	// Settle is how long nothing happens before memory is read. Default: 1.5 s.
	Settle time.Duration
	// Rounds is how often everything is measured, each time with a service that
	// was started anew. Default: 1.
	Rounds int
	// Pinned gives the service a core of its own, and the load another one.
	// Without it they share all cores.
	Pinned bool
	// Profile is a file for a CPU profile of the service. Empty means none.
	Profile string
	// Progress gets a line for each thing that was measured. Nil means none.
	Progress func(line string)
}

// withDefaults returns c with a value in each field that has a default.
func (c DevicesConfig) withDefaults() DevicesConfig {
	setDefault(&c.Count, 2000)
	setDefault(&c.Away, 10_000)
	setDefault(&c.Spool, SpoolMemory)
	setDefault(&c.Transport, defaultTransport())
	setDefault(&c.ALPN, wire.ALPNSecurityV3)
	setDefault(&c.Rate, 2000)
	setDefault(&c.PacedFor, 5*time.Second)
	setDefault(&c.Pushes, 100_000)
	setDefault(&c.Payload, 220)
	setDefault(&c.Connections, 8)
	setDefault(&c.Streams, 100)
	setDefault(&c.AwayStreams, 500)
	setDefault(&c.PerProcess, MaxDevicesPerProcess)
	setDefault(&c.Settle, 1500*time.Millisecond)
	setDefault(&c.Rounds, 1)
	if len(c.Phases) == 0 {
		c.Phases = Phases
	}
	if c.Progress == nil {
		c.Progress = func(string) {}
	}
	return c
}

// measures reports whether a phase is asked for.
func (c *DevicesConfig) measures(p Phase) bool { return slices.Contains(c.Phases, p) }

// Check reports what is wrong with a configuration, or keeps this machine from
// carrying it out: what RunDevices would refuse before it starts anything.
func (c DevicesConfig) Check() error {
	c = c.withDefaults()
	switch {
	case c.Part == nil:
		return errors.New("bench: Part is required")
	case c.Count < 1 || c.Count > MaxDevices:
		return fmt.Errorf("count: %d devices is not from 1 to %d", c.Count, MaxDevices)
	case c.Away < 1 || c.Away > load.MaxPaths:
		return fmt.Errorf("away: %d devices is not from 1 to %d", c.Away, load.MaxPaths)
	case !slices.Contains(SpoolKinds, c.Spool):
		return fmt.Errorf("no spool %q", c.Spool)
	case c.Transport != TransportPortable && c.Transport != defaultTransport():
		return fmt.Errorf("no transport %q on this system", c.Transport)
	case c.ALPN != wire.ALPNSecurityV3 && c.ALPN != wire.ALPNHerald:
		return fmt.Errorf("no protocol %q: %s or %s", c.ALPN, wire.ALPNSecurityV3, wire.ALPNHerald)
	case c.Rate < 1 || c.Rate > load.MaxRate:
		return fmt.Errorf("rate: %d is not from 1 to %d", c.Rate, load.MaxRate)
	case c.PacedFor < 0 || c.PacedFor > load.MaxDuration:
		return fmt.Errorf("time at a rate: %v is not from 0 to %v", c.PacedFor, load.MaxDuration)
	case c.Pushes < 1 || c.Pushes > load.MaxPushes:
		return fmt.Errorf("pushes: %d is not from 1 to %d", c.Pushes, load.MaxPushes)
	case c.Payload < minStamped || c.Payload > load.MaxPayloadBytes:
		return fmt.Errorf("payload: %d bytes is not from %d to %d", c.Payload, minStamped, load.MaxPayloadBytes)
	case c.Connections < 1 || c.Connections > load.MaxConnections:
		return fmt.Errorf("connections: %d is not from 1 to %d", c.Connections, load.MaxConnections)
	case min(c.Streams, c.AwayStreams) < 1 || max(c.Streams, c.AwayStreams) > load.MaxStreams:
		return fmt.Errorf("streams: %d and %d are not from 1 to %d", c.Streams, c.AwayStreams, load.MaxStreams)
	case c.Rounds < 1 || c.Rounds > MaxRounds:
		return fmt.Errorf("rounds: %d is not from 1 to %d", c.Rounds, MaxRounds)
	case c.PerProcess < 1 || c.PerProcess > MaxDevicesPerProcess || c.Count > maxProcesses*c.PerProcess:
		return fmt.Errorf("devices in a process: %d is not from 1 to %d, or makes more than %d processes", c.PerProcess, MaxDevicesPerProcess, maxProcesses)
	case c.Settle < 0 || c.Settle > load.MaxDuration:
		return fmt.Errorf("time to settle: %v is not from 0 to %v", c.Settle, load.MaxDuration)
	case c.Profile != "" && (c.Rounds > 1 || c.measures(PhaseReconnect)):
		return fmt.Errorf("a profile needs one round without the phase %s, which kills the service", PhaseReconnect)
	}
	for _, p := range c.Phases {
		if !slices.Contains(Phases, p) {
			return fmt.Errorf("no phase %q", p)
		}
	}
	return c.checkFiles(fileLimit())
}

// checkFiles reports that a process may not have as many files open as the
// service has connections. A limit of 0 is not known.
func (c *DevicesConfig) checkFiles(limit uint64) error {
	if need := uint64(c.Count + c.Connections + spareFiles); limit > 0 && limit < need {
		return fmt.Errorf("count: %d devices need %d open files in the service, and a process may have %d here; "+
			"raise that with `ulimit -Hn %d` as root, or measure fewer with --count %d",
			c.Count, need, limit, need, max(1, int(limit)-c.Connections-spareFiles))
	}
	return nil
}

// crowdSizes returns how many devices each child process is, where one may have
// so many files; 0 if that is not known.
func (c *DevicesConfig) crowdSizes(limit uint64) (sizes []int) {
	most := c.PerProcess
	if limit > 0 {
		most = min(most, max(1, int(min(limit, MaxDevices))-spareFiles/2))
	}
	for left := c.Count; left > 0; left -= sizes[len(sizes)-1] {
		sizes = append(sizes, min(left, most))
	}
	return sizes
}

// stampAt is where in a payload the time of sending is.
const stampAt = len(payloadBegin)

// minStamped is the size of the smallest payload with room for that.
const minStamped = stampAt + load.StampDigits + len(payloadEnd)

// stamped returns a payload of so many bytes, minStamped at least, whose time of
// sending is yet to be written, and the rest of it such that it shows.
func stamped(n int) []byte {
	b := payload(n)
	copy(b[stampAt:], strings.Repeat("0", load.StampDigits))
	return b
}
