package h2

import (
	"errors"
	"fmt"

	"golang.org/x/net/http2"
)

// ConnError says why this side ended the connection. Serve and Run return it
// after the peer was told in a GOAWAY frame.
type ConnError struct {
	// Code is the error code of the GOAWAY frame.
	Code http2.ErrCode
	// Reason says what happened, for people, in lower case. It is also the
	// debug data of the GOAWAY frame.
	Reason string
}

// Error names the code and the reason.
func (e *ConnError) Error() string {
	return fmt.Sprintf("connection ended with %v: %s", e.Code, e.Reason)
}

// connError returns the error that ends the whole connection.
func connError(code http2.ErrCode, reason string) error {
	return &ConnError{Code: code, Reason: reason}
}

// streamError ends one stream, with RST_STREAM, and leaves the connection
// alone (RFC 9113, 5.4.2).
type streamError struct {
	id     uint32
	code   http2.ErrCode
	reason string
}

// Error names the stream, the code and the reason.
func (e *streamError) Error() string {
	return fmt.Sprintf("stream %d ended with %v: %s", e.id, e.code, e.reason)
}

// errEnded is what the read loop gets instead of input once the connection has
// been ended elsewhere; the true reason is in Conn.endErr.
var errEnded = errors.New("the connection has been ended")

// ErrServed is returned by a second call of Serve on one Conn, or of Run on one
// ClientConn.
var ErrServed = errors.New("h2: the connection has been run already")

// ErrNoHandler is returned by Serve when Config.Handler is nil.
var ErrNoHandler = errors.New("h2: Config.Handler is required")
