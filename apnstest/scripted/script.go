package scripted

import (
	"time"

	"golang.org/x/net/http2"
)

// Script says how one connection goes. The zero value is a gateway at its best:
// 1,000 streams, PINGs answered, no end.
type Script struct {
	// Refuse closes the connection as soon as it was accepted.
	Refuse bool
	// Handshake is how that of TLS goes. Zero is well.
	Handshake Handshake
	// Streams is the MAX_CONCURRENT_STREAMS of the first SETTINGS. Zero stands for
	// 1,000; for none at all take NoStreams.
	Streams int
	// Window is the INITIAL_WINDOW_SIZE in bytes. Zero stands for 65,535, the
	// protocol's own.
	Window int
	// NoCredit means that there is never a WINDOW_UPDATE, neither for a stream nor
	// for the connection: it can carry 65,535 bytes of payloads in all.
	NoCredit bool
	// Settings are further ones for the first SETTINGS.
	Settings []http2.Setting
	// SettingsDelay is how long the first SETTINGS is held back. Until then nothing
	// else is written either, for SETTINGS comes first.
	SettingsDelay time.Duration
	// NoSettings means that the first SETTINGS never comes, and so nothing does.
	NoSettings bool
	// Read is how fast is read, from the handshake on. Zero is as fast as it goes.
	Read Pace
	// PongDelay is how long the answer to a PING is held back. Negative: there is
	// none.
	PongDelay time.Duration
	// Steps are what happens on the way.
	Steps []Step
}

// NoStreams is a limit of 0, as opposed to none given.
const NoStreams = -1

// defaultStreams is what the service grants at its best.
const defaultStreams = 1000

// defaultWindow is the size of a window unless SETTINGS say otherwise (RFC 9113
// section 6.9.2).
const defaultWindow = 65535

// streams returns what a limit of n streams in a script stands for.
func streams(n int) int {
	switch {
	case n < 0:
		return 0
	case n == 0:
		return defaultStreams
	}
	return n
}

// Handshake is how the TLS handshake of a connection goes.
type Handshake uint8

// The handshakes.
const (
	// HandshakeDone is one that goes well.
	HandshakeDone Handshake = iota
	// HandshakeAlert is one that the gateway ends with the alert bad_certificate
	// in place of its first message: dialling fails.
	HandshakeAlert
	// HandshakeRefused is one that the gateway ends with the alert bad_certificate
	// when it has seen the client's certificate, or that there is none. With TLS
	// 1.3 the client takes the handshake as done, and finds the alert when it reads
	// its first frame: so it goes with a certificate that the service does not
	// take.
	HandshakeRefused
	// HandshakeNever is one that the gateway never answers.
	HandshakeNever
)

// Pace is how fast is read: Bytes at a time, and then not before Every has passed.
// The zero value is as fast as it goes.
type Pace struct {
	Bytes int
	Every time.Duration
}

// Step is something that happens once on the way of a connection, as soon as all
// that it waits for has come. A step that waits for nothing happens at the
// beginning. Steps that come at once happen in their order.
type Step struct {
	// Begun waits until that many pushes have arrived with their headers.
	Begun int
	// Pushes waits until that many pushes have arrived whole, and what is to
	// be answered at once was answered.
	Pushes int
	// Accepted waits until that many pushes were accepted and answered.
	Accepted int
	// After waits for a time since the handshake.
	After time.Duration
	// Do is what happens.
	Do Action
}

// Action is something that the gateway does to a connection: [Streams],
// [GoAway], [Pings], [Credit], [Pace] or a [Fault].
type Action interface {
	// do is called with the lock of the gateway held.
	do(c *conn)
}

// Streams sends SETTINGS with another MAX_CONCURRENT_STREAMS. Zero is none.
type Streams int

func (n Streams) do(c *conn) { c.settings(setLimit(max(int(n), 0))) }

// Window sends SETTINGS with another INITIAL_WINDOW_SIZE, in bytes.
type Window int

func (n Window) do(c *conn) { c.settings(setWindow(max(int(n), 0))) }

// Pings sends that many PINGs, each with other data.
type Pings int

func (n Pings) do(c *conn) {
	for range int(n) {
		c.ping()
	}
}

// Credit grants the connection that many bytes more, also where the script
// has NoCredit.
type Credit int

func (n Credit) do(c *conn) {
	if n > 0 {
		c.grant(0, int(n))
	}
}

func (p Pace) do(c *conn) { c.nc.set(pacing{Pace: p}) }

// Fault is something that breaks at a connection.
type Fault uint8

// The faults.
const (
	// Close ends the connection: the TLS close_notify and the end of the stream
	// of bytes, behind what is already on its way.
	Close Fault = iota
	// HalfClose ends what the gateway writes in the same way, but goes on
	// reading; nothing more is answered.
	HalfClose
	// CutFrame ends the connection in the middle of a frame, without a close_notify.
	CutFrame
	// Reset ends the connection with a TCP reset; in memory, without a
	// close_notify.
	Reset
	// StopReading stops to read. What was read goes on and is answered. A Pace
	// begins again.
	StopReading
	// Vanish neither reads nor writes any more, and does not close either: so
	// looks a connection that a firewall has forgotten.
	Vanish
	// StopPongs leaves PINGs unanswered from now on.
	StopPongs
	// RefuseOpen resets all pushes that are in progress with REFUSED_STREAM.
	RefuseOpen
)

func (f Fault) do(c *conn) {
	switch f {
	case Close, HalfClose, Reset:
		c.stop(f)
	case CutFrame:
		c.cutFrame()
	case StopReading:
		c.nc.set(pacing{stopped: true})
	case Vanish:
		c.nc.set(pacing{stopped: true})
		c.vanished = true
	case StopPongs:
		c.script.PongDelay = -1
	case RefuseOpen:
		c.refuseOpen()
	}
}
