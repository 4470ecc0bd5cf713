package h2

import (
	"time"

	"golang.org/x/net/http2"
)

// goAwayPing is the data of the PING that goes with the first GOAWAY.
var goAwayPing = [8]byte{'g', 'o', 'i', 'n', 'g', ' ', 'a', 'w'}

// goAwayPingTimeout is how long that PING may take. After it the peer is
// taken to know.
const goAwayPingTimeout = 5 * time.Second

// departure is a connection that GoAway is bringing to its end.
type departure struct {
	code      http2.ErrCode
	debugData []byte
	at        time.Time
	final     bool // the last stream has been told
}

// GoAway ends the connection in good order (RFC 9113, 6.8). The peer is told
// first that the connection will end, with the last stream 2^31-1; after a PING
// there and back, when all requests that it had sent by then are known, it is
// told the real last stream. Requests up to that are answered, later ones are
// refused, and then the connection is closed, at the latest after
// Config.DrainTimeout.
//
// Both frames carry code and debugData, of which at most 16376 bytes are sent. A
// second call, and a call after the connection has ended, has no effect.
func (c *Conn) GoAway(code http2.ErrCode, debugData []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.depart(code, debugData, time.Now())
	c.signal()
}

// depart begins what GoAway does. c.mu is held.
func (c *Conn) depart(code http2.ErrCode, debugData []byte, now time.Time) {
	if c.ended || c.departure != nil {
		return
	}
	c.departure = &departure{code: code, debugData: append([]byte(nil), debugData...), at: now}
	c.out = appendGoAway(c.out, maxStreamID, code, debugData)
	c.out = appendPing(c.out, false, goAwayPing)
	c.arm(now.Add(min(goAwayPingTimeout, c.cfg.DrainTimeout)))
	c.boundWrite(now.Add(c.cfg.DrainTimeout))
}

// departFinally tells the peer the real last stream. c.mu is held.
func (c *Conn) departFinally() {
	d := c.departure
	if c.ended || d == nil || d.final {
		return
	}
	d.final = true
	c.out = appendGoAway(c.out, c.accepted, d.code, d.debugData)
	c.endIfDrained()
}

// Refuse ends the connection at once, with a GOAWAY frame that says that none of
// its streams was processed: last stream 0. It is for a peer that should not
// be here at all, such as one with the wrong certificate, and must not be called
// once a request has had an effect, for the peer may send them all again.
// Serve returns a *ConnError with the code and debugData. A call after the
// connection has ended has no effect.
func (c *Conn) Refuse(code http2.ErrCode, debugData []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return
	}
	c.out = appendGoAway(c.out, 0, code, debugData)
	c.signal()
	c.end(&ConnError{Code: code, Reason: string(debugData)}, true)
}

// endIfDrained ends the connection when no stream is left and none will come.
// c.mu is held.
func (c *Conn) endIfDrained() {
	if c.streams.count > 0 || c.ended {
		return
	}
	if c.peerGone || c.departure != nil && c.departure.final {
		c.end(nil, true)
	}
}

// onGoAway handles a GOAWAY frame: the peer will open no more streams, but
// waits for the answers of those it has opened. c.mu is held.
func (c *Conn) onGoAway(f *frame) error {
	switch {
	case f.stream != 0:
		return connError(http2.ErrCodeProtocol, "GOAWAY on a stream")
	case len(f.payload) < 8:
		return connError(http2.ErrCodeFrameSize, "GOAWAY of less than 8 bytes")
	}
	c.peerGone = true
	c.endIfDrained()
	return c.spend(&c.budgets.chatter, "GOAWAY frames")
}

// onPing handles a PING frame (RFC 9113, 6.7). c.mu is held.
func (c *Conn) onPing(f *frame) error {
	var data [8]byte
	switch {
	case len(f.payload) != len(data):
		return connError(http2.ErrCodeFrameSize, "PING not of 8 bytes")
	case f.stream != 0:
		return connError(http2.ErrCodeProtocol, "PING on a stream")
	}
	if err := c.spend(&c.budgets.pings, "PING frames"); err != nil {
		return err
	}
	copy(data[:], f.payload)
	switch {
	case !f.has(http2.FlagPingAck):
		c.out = appendPing(c.out, true, data)
	case data == goAwayPing:
		c.departFinally()
	default:
		// The answer to the question whether the peer is there is that input arrived.
	}
	return nil
}
