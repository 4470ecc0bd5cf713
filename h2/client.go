package h2

import (
	"errors"
	"log/slog"
	"time"
)

// ClientConfig says how the client's side of a connection behaves. Only Finished is
// required.
type ClientConfig struct {
	// Finished gets the calls that are finished, in batches: what one gulp of
	// input finished, or the end of the connection. It is required. It is called
	// on the goroutine of Run, without a lock, and must not block: nothing is read
	// meanwhile. It may call Start, for the calls it gets too. The slice is used
	// again when it returns.
	Finished func(calls []*Call)

	// Changed is called when more calls may fit than before, other than because
	// some finished: the peer stated its settings, granted window or answered a
	// probe; and when the connection takes no more calls from now on. State says
	// which. It is called on a goroutine of Run, without a lock, never at the same
	// time as Finished, and must not block. Nil means that it is not wanted.
	Changed func()

	// Indexed names the request fields, in lower case, whose values go into the
	// dynamic table of the header compression (RFC 7541), to be sent in full
	// once and by a byte from then on: those that many calls share. Values that are
	// another each time do not belong there. The values of all other fields are
	// sent in full, and where they are sensitive, marked as never to be indexed.
	Indexed []string

	// Wanted names the answer fields, in lower case, that are kept for Call.Answer.
	// All others are dropped.
	Wanted []string

	// MaxStreams bounds how many calls may be in progress at a time, whatever
	// the peer allows. Zero means 1000.
	MaxStreams int

	// FirstStreams is how many calls may be in progress as long as the peer has
	// not stated its settings. Zero means 1.
	FirstStreams int

	// MaxBodyBytes is the largest body of an answer, in bytes, that is kept
	// whole; a longer one is cut there and flagged. Zero means 8192.
	MaxBodyBytes int

	// MaxHeaderListBytes is the largest list of header fields of an answer, in
	// bytes, counted as RFC 9113, 6.5.2 does, with 32 bytes for each field. A call
	// whose answer has more fails. Zero means 8000.
	MaxHeaderListBytes uint32

	// SettingsTimeout is how long the peer may take, from the call of Run, to
	// state its settings. Zero means 10 s.
	SettingsTimeout time.Duration

	// WriteTimeout is how long one write may be blocked by a peer that does not
	// read, before the connection is ended. Zero means 10 s.
	WriteTimeout time.Duration

	// PingAfter is how long a peer may be silent, with calls in progress,
	// before it is sent a PING to learn whether it is still there. Zero means 15 s,
	// a negative value that no such PING is sent.
	PingAfter time.Duration

	// PingTimeout is how long a PING may go unanswered, with nothing else
	// received, before the connection is ended. Zero means 15 s.
	PingTimeout time.Duration

	// IdleTimeout is how long there may be no call in progress before the
	// connection is closed in good order. Zero, or a negative value, means for ever.
	IdleTimeout time.Duration

	// ProbeAfter is how long a peer may be silent before Start trusts the
	// connection no more: it then sends a PING and returns ErrFull until that is
	// answered, so that nothing is lost on a connection that died unnoticed. Zero
	// means one minute, a negative value that Start trusts for ever.
	ProbeAfter time.Duration

	// DrainTimeout is how long the calls in progress may take after GoAway, or
	// after the peer's GOAWAY frame, before the connection is closed all the same.
	// Zero means 30 s.
	DrainTimeout time.Duration

	// Logger gets one line at level debug for each stream that is reset because
	// of what the peer sent. Nil means that nothing is logged.
	Logger *slog.Logger
}

// withDefaults returns cfg with each zero value replaced by its meaning.
func (cfg ClientConfig) withDefaults() ClientConfig {
	setDefault(&cfg.MaxStreams, 1000)
	setDefault(&cfg.FirstStreams, 1)
	setDefault(&cfg.MaxBodyBytes, 8192)
	setDefault(&cfg.MaxHeaderListBytes, 8000)
	setDefault(&cfg.SettingsTimeout, 10*time.Second)
	setDefault(&cfg.WriteTimeout, 10*time.Second)
	if cfg.PingAfter == 0 {
		cfg.PingAfter = 15 * time.Second
	}
	setDefault(&cfg.PingTimeout, 15*time.Second)
	if cfg.ProbeAfter == 0 {
		cfg.ProbeAfter = time.Minute
	}
	setDefault(&cfg.DrainTimeout, 30*time.Second)
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return cfg
}

// Errors of ClientConn.Start that say nothing about the call.
var (
	// ErrFull says that no call fits now: as many as the peer allows are in
	// progress, or it has not granted window for the body, or does not read, or is
	// being asked whether it is there. One may fit after Finished or Changed was called.
	ErrFull = errors.New("h2: no room for another call on the connection")

	// ErrGoing says that the connection takes no more calls.
	ErrGoing = errors.New("h2: the connection takes no more calls")

	// ErrStarted says that the call is in progress already.
	ErrStarted = errors.New("h2: the call is in progress already")
)

// ErrNoFinished is returned by Run when ClientConfig.Finished is nil.
var ErrNoFinished = errors.New("h2: ClientConfig.Finished is required")
