package h2

import (
	"cmp"
	"log/slog"
	"time"

	"golang.org/x/net/http2/hpack"
)

// Config says how a connection behaves. Only Handler is required.
type Config struct {
	// Handler gets the requests. It is required. A handler may be made for
	// each connection, and so keep what it knows of it.
	Handler Handler

	// MaxBodyBytes is the largest body of a request, in bytes, that the handler
	// gets whole; a longer one is cut there and flagged. Zero means 8192.
	MaxBodyBytes int

	// MaxConcurrentStreams is the limit that the first SETTINGS frame states; see
	// Conn.SetMaxConcurrentStreams for later ones. Zero means 1000.
	MaxConcurrentStreams uint32

	// MaxHeaderListBytes is the largest list of header fields of a request, in
	// bytes, counted as RFC 9113, 6.5.2 does, with 32 bytes for each field. A
	// request with more is answered with status 431 and does not reach the
	// handler. Zero means 8000.
	MaxHeaderListBytes uint32

	// Remember names the header fields, in lower case, whose values get a Memo when
	// they come again. Nil means authorization alone; an empty slice none.
	Remember []string

	// AnswerFields are header fields that most answers have, with names in lower
	// case. They are sent in full once, and by a byte or two from then on: the
	// whole field, or where the value is empty, since it differs, the name. There
	// should be few. Nil means none.
	AnswerFields []hpack.HeaderField

	// PrefaceTimeout is how long the peer may take, from the call of Serve, to
	// send the connection preface and its first SETTINGS. Zero means 10 s.
	PrefaceTimeout time.Duration

	// RequestTimeout is how long a request may take from its first header to
	// its last byte, after which its stream is reset. A single frame or header block
	// may take as long, after which the connection is ended. Zero means 30 s.
	RequestTimeout time.Duration

	// IdleTimeout is how long a peer may be silent, with no request in
	// progress, before the connection is closed in good order. Any frame, a PING too,
	// breaks the silence. Zero means two hours; a negative value means for ever.
	IdleTimeout time.Duration

	// IdleDebugData is the debug data of the GOAWAY frames that end an idle
	// connection. Empty means none.
	IdleDebugData []byte

	// WriteTimeout is how long one write of the output buffer may be blocked by a
	// peer that does not read, before the connection is ended. Zero means 10 s.
	WriteTimeout time.Duration

	// BlockedTimeout is how long the body of an answer may wait for the peer
	// to grant it window, before the connection is ended. Zero means 10 s.
	BlockedTimeout time.Duration

	// MaxBlockedBytes is how many bytes of answers may wait for window at a
	// time, over all streams of the connection, before it is ended. Zero means
	// 4 MiB.
	MaxBlockedBytes int

	// PingAfter is how long a peer may be silent before it is sent a PING to learn
	// whether it is still there. Zero means that no such PING is sent.
	PingAfter time.Duration

	// PingTimeout is how long such a PING may go unanswered, with nothing else
	// received, before the connection is ended. Zero means 15 s.
	PingTimeout time.Duration

	// DrainTimeout is how long after GoAway the requests in progress may take,
	// before the connection is closed all the same. Zero means 30 s.
	DrainTimeout time.Duration

	// Logger gets one line at level debug for each stream that is reset. Nil
	// means that nothing is logged.
	Logger *slog.Logger
}

// withDefaults returns cfg with each zero value replaced by its meaning.
func (cfg Config) withDefaults() Config {
	setDefault(&cfg.MaxBodyBytes, 8192)
	setDefault(&cfg.MaxConcurrentStreams, 1000)
	setDefault(&cfg.MaxHeaderListBytes, 8000)
	setDefault(&cfg.PrefaceTimeout, 10*time.Second)
	setDefault(&cfg.RequestTimeout, 30*time.Second)
	if cfg.Remember == nil {
		cfg.Remember = []string{"authorization"}
	}
	if cfg.IdleTimeout == 0 {
		cfg.IdleTimeout = 2 * time.Hour
	}
	setDefault(&cfg.WriteTimeout, 10*time.Second)
	setDefault(&cfg.BlockedTimeout, 10*time.Second)
	setDefault(&cfg.MaxBlockedBytes, 4<<20)
	setDefault(&cfg.PingTimeout, 15*time.Second)
	setDefault(&cfg.DrainTimeout, 30*time.Second)
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return cfg
}

// setDefault gives *v the value d if it is zero, or negative, which means
// nothing.
func setDefault[T cmp.Ordered](v *T, d T) {
	var zero T
	if *v <= zero {
		*v = d
	}
}
