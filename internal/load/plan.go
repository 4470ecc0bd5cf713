package load

import (
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// Shape is how a sender encodes its header fields, which costs a gateway
// different amounts.
type Shape string

// The shapes.
const (
	// Literal is what h2load and other senders on nghttp2 do: the authorization
	// never enters the header table, and is sent in Huffman code with every
	// request, as the path is. The apns-id is always the same.
	Literal Shape = "L"
	// Indexed is what a thrifty sender does: the authorization is one byte, from
	// the header table; path and apns-id are literals without Huffman code. Each
	// apns-id is another one.
	Indexed Shape = "P"
)

// Limits of a Plan. They bound what a mistake can do to a machine.
const (
	MaxConnections  = 256
	MaxStreams      = 1000
	MaxPushes       = 10_000_000
	MaxDuration     = time.Minute
	MaxRate         = 1_000_000
	MaxPayloadBytes = 4096
	MaxPaths        = 100_000
)

// runTimeout is how long a run may take in all.
const runTimeout = 2 * time.Minute

// stallTimeout is how long a connection may wait for an answer.
const stallTimeout = 10 * time.Second

// Plan says what is sent, where to, and how much of it. All fields are plain
// values, so that a plan can be handed to another process.
type Plan struct {
	// Address is where to connect to: a loopback address with its port.
	Address string
	// ServerName is the name that the server's certificate has to be valid for.
	ServerName string
	// Roots are the authorities to trust, in PEM.
	Roots []byte
	// Certificate is the chain and the key to prove oneself by, in PEM. Empty
	// means none.
	Certificate []byte

	// Shape is how header fields are encoded. Required.
	Shape Shape
	// Connections is how many there are, and Streams how many pushes may be in
	// flight on each.
	Connections, Streams int
	// Warmup is how many pushes are sent before those that count.
	Warmup int64
	// Pushes is how many are sent, over all connections. Zero means as many as
	// Duration allows; one of the two is required.
	Pushes int64
	// Duration is for how long pushes are sent.
	Duration time.Duration
	// Rate is how many pushes a second fall due, over all connections. Zero
	// means as many as are answered.
	Rate int

	// Push is the push that is sent.
	Push Push
	// Paths are the request paths, taken in turn.
	Paths []string
	// Bad are the bad pushes, taken in turn, and BadShare which part of all
	// pushes is bad: from 0 to 1.
	Bad      []Bad
	BadShare float64
}

// Push is what the pushes have in common. A header field that is empty is not
// sent.
type Push struct {
	Authorization, Topic, PushType, Priority, Expiration string

	Payload []byte
	// StampAt is where in Payload the time of sending is written, as StampDigits
	// digits: nanoseconds since the epoch. Zero means nowhere. The first push of
	// a connection has none.
	StampAt int
}

// StampDigits is how many digits the time of sending has.
const StampDigits = 19

// Bad is a push that the gateway has to refuse, and how. What is empty is as in
// a good one.
type Bad struct {
	Path, Topic, Priority string

	Payload []byte
	Status  int    // of the answer that is expected
	Reason  string // the same
}

// check reports what is wrong with a plan.
func (p *Plan) check() error {
	addr, err := netip.ParseAddrPort(p.Address)
	switch {
	case err != nil:
		return fmt.Errorf("address %q: %w", p.Address, err)
	case !addr.Addr().IsLoopback():
		return fmt.Errorf("%v is not a loopback address: load goes to this machine alone", addr)
	case p.Shape != Literal && p.Shape != Indexed:
		return fmt.Errorf("no shape %q", p.Shape)
	case p.Connections < 1 || p.Connections > MaxConnections:
		return fmt.Errorf("connections: %d is not from 1 to %d", p.Connections, MaxConnections)
	case p.Streams < 1 || p.Streams > MaxStreams:
		return fmt.Errorf("streams: %d is not from 1 to %d", p.Streams, MaxStreams)
	case p.Pushes < 0 || p.Pushes > MaxPushes || p.Warmup < 0 || p.Warmup > MaxPushes:
		return fmt.Errorf("pushes: more than %d, or less than none", MaxPushes)
	case p.Duration < 0 || p.Duration > MaxDuration:
		return fmt.Errorf("duration: %v is not from 0 to %v", p.Duration, MaxDuration)
	case p.Pushes == 0 && p.Duration == 0:
		return errors.New("neither pushes nor duration")
	case p.Rate < 0 || p.Rate > MaxRate:
		return fmt.Errorf("rate: %d is not from 0 to %d", p.Rate, MaxRate)
	case len(p.Push.Payload) > MaxPayloadBytes:
		return fmt.Errorf("payload: %d bytes are more than %d", len(p.Push.Payload), MaxPayloadBytes)
	case p.Push.StampAt < 0 || p.Push.StampAt > 0 && p.Push.StampAt > len(p.Push.Payload)-StampDigits:
		return fmt.Errorf("stamp: no room for it at %d in a payload of %d bytes", p.Push.StampAt, len(p.Push.Payload))
	case len(p.Paths) == 0 || len(p.Paths) > MaxPaths:
		return fmt.Errorf("paths: %d is not from 1 to %d", len(p.Paths), MaxPaths)
	case !(p.BadShare >= 0 && p.BadShare <= 1):
		return fmt.Errorf("share of bad pushes: %v is not from 0 to 1", p.BadShare)
	case p.BadShare > 0 && len(p.Bad) == 0:
		return errors.New("a share of bad pushes, and none to send")
	}
	return nil
}
