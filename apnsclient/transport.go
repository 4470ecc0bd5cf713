//nolint:staticcheck // net/http, which is to be used instead, does not do it; see transport
package apnsclient

import (
	"errors"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/http2"
)

const (
	// pingAfter is how long a connection may be silent before a PING asks
	// whether it is still there, and pingTimeout how long the answer may take.
	pingAfter   = 15 * time.Second
	pingTimeout = 15 * time.Second
	// writeTimeout is how long a write may be stuck. Without it a full
	// connection would never get as far as the PING.
	writeTimeout = 15 * time.Second
	// maxAnswerHeaderBytes bounds the header of an answer.
	maxAnswerHeaderBytes = 16 << 10
)

// transport is the HTTP/2 below the engine: golang.org/x/net/http2, though
// net/http is meant to take its place. That one keeps the debug data of a
// GOAWAY to itself, and sends over no connection that it has not made. Nothing
// outside this file knows of the package's deprecated half.
type transport struct {
	http2 *http2.Transport
}

// clientConn is one connection of a transport.
type clientConn = http2.ClientConn

// newTransport returns a transport that sends over the links of e, and closes
// those that were idle for the given time.
func newTransport(e *engine, idle time.Duration) *transport {
	return &transport{&http2.Transport{
		ConnPool:                   pool{e},
		DisableCompression:         true,
		StrictMaxConcurrentStreams: true,
		MaxHeaderListSize:          maxAnswerHeaderBytes,
		IdleConnTimeout:            idle,
		ReadIdleTimeout:            pingAfter,
		PingTimeout:                pingTimeout,
		WriteByteTimeout:           writeTimeout,
	}}
}

func (t *transport) roundTrip(r *http.Request) (*http.Response, error) { return t.http2.RoundTrip(r) }

func (t *transport) newClientConn(c net.Conn) (*clientConn, error) { return t.http2.NewClientConn(c) }

// pool gives the transport the links of an engine.
type pool struct{ engine *engine }

// GetClientConn implements http2.ClientConnPool: it gives the transport the
// link for the next try of a push.
func (p pool) GetClientConn(req *http.Request, _ string) (*clientConn, error) {
	ctx := req.Context()
	a, ok := ctx.Value(attemptKey{}).(*attempt)
	if !ok {
		return nil, errors.New("a request that is no push")
	}
	a.sent.Store(false) // if it was, then to no effect, or the transport would not ask again
	if a.link != nil {
		if err := a.link.conn.verdict(); err != nil {
			return nil, err
		}
	}
	l, err := p.engine.take(ctx)
	if err != nil {
		return nil, err
	}
	a.link = l
	return l.cc, nil
}

// MarkDead implements http2.ClientConnPool. A link shows by itself whether it
// is usable.
func (p pool) MarkDead(*clientConn) {}
