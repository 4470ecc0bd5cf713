package h2

import (
	"encoding/binary"
	"time"

	"golang.org/x/net/http2"
)

// connWindowBytes is what the peer may have in flight on the connection. The
// memory behind it is bounded by the bodies of the streams, so it only has to be
// large enough to be no brake: at 100 ms there and back, 40 MiB a second.
const connWindowBytes = 4 << 20

// receiveConn takes the flow-controlled length of a DATA frame from the
// window of the connection, and grants it anew once half of it is spent: bodies
// are taken off the wire as they come. c.mu is held.
func (c *Conn) receiveConn(n int64) error {
	c.recvWindow -= n
	if c.recvWindow < 0 {
		return connError(http2.ErrCodeFlowControl, "more DATA than the window of the connection")
	}
	c.recvSpent += n
	if c.recvSpent >= connWindowBytes/2 {
		c.out = appendWindowUpdate(c.out, 0, uint32(c.recvSpent))
		c.recvWindow += c.recvSpent
		c.recvSpent = 0
	}
	return nil
}

// receiveStream does the same for the window of a stream, and grants nothing
// anew if the request will not be read to its end. c.mu is held.
func (c *Conn) receiveStream(st *stream, n int64, more bool) error {
	st.recvWindow -= n
	if st.recvWindow < 0 {
		return &streamError{st.id, http2.ErrCodeFlowControl, "more DATA than the window of the stream"}
	}
	st.recvSpent += n
	if more && st.recvSpent >= initialWindowBytes/2 {
		c.out = appendWindowUpdate(c.out, st.id, uint32(st.recvSpent))
		st.recvWindow += st.recvSpent
		st.recvSpent = 0
	}
	return nil
}

// grant returns how many of the next n bytes of body may be sent on st now,
// in one frame.
//
// A body that fits into one frame is held back until the window of the
// connection has room for all of it, because clients exist that take each DATA
// frame for the whole body. A peer that returns credit before three quarters
// of its window are spent, as all do, is not kept waiting by that. The window
// of a stream is another matter: nobody raises it before it has been used, so a
// body that does not fit into it is cut. c.mu is held.
func (c *Conn) grant(st *stream, n int) int {
	whole := min(int64(n), st.sendWindow)
	if n <= maxFrameBytes && whole > c.sendWindow {
		return 0
	}
	return int(max(0, min(whole, c.sendWindow, maxFrameBytes)))
}

// hold puts the body of an answer into the queue of those that wait for window,
// and sends what may be sent. It ends the connection of a peer for which too
// much waits. c.mu is held.
func (c *Conn) hold(st *stream, body []byte) {
	if c.blockedBytes+len(body) > c.cfg.MaxBlockedBytes {
		c.endWith(&ConnError{http2.ErrCodeEnhanceYourCalm, "too many bytes of answers wait for window"})
		return
	}
	c.blockedBytes += len(body)
	st.pending = append([]byte(nil), body...)
	st.blockedSince = time.Now()
	c.blocked.push(st)
	c.pump()
	if c.blocked.head != nil {
		c.arm(c.blocked.head.blockedSince.Add(c.cfg.BlockedTimeout))
	}
}

// pump sends what the windows and the output buffer have room for of the
// bodies that wait, the oldest first. One that waits for the window of the
// connection is not overtaken; one that waits for the window of its stream is.
// c.mu is held.
func (c *Conn) pump() {
	for st := c.blocked.head; st != nil && !c.ended; {
		if c.sendWindow <= 0 || len(c.out) >= maxOutBytes {
			return
		}
		n := c.grant(st, len(st.pending))
		switch {
		case n == 0 && st.sendWindow > 0:
			return
		case n == 0:
			st = st.next
		case n < len(st.pending):
			c.appendData(st, st.pending[:n], false)
			st.pending = st.pending[n:]
			c.blockedBytes -= n
		default:
			next := st.next
			c.appendData(st, st.pending, true)
			c.blockedBytes -= n
			st.pending = nil
			c.sent(st)
			st = next
		}
	}
}

// onWindowUpdate handles a WINDOW_UPDATE frame (RFC 9113, 6.9). c.mu is held.
func (c *Conn) onWindowUpdate(f *frame) error {
	if len(f.payload) != 4 {
		return connError(http2.ErrCodeFrameSize, "WINDOW_UPDATE not of 4 bytes")
	}
	if err := c.spend(&c.budgets.chatter, "WINDOW_UPDATE frames"); err != nil {
		return err
	}
	n := int64(binary.BigEndian.Uint32(f.payload) & maxWindowBytes)
	if f.stream == 0 {
		if n == 0 {
			return connError(http2.ErrCodeProtocol, "WINDOW_UPDATE of nothing")
		}
		if c.sendWindow+n > maxWindowBytes {
			return connError(http2.ErrCodeFlowControl, "the window of the connection is more than 2^31-1")
		}
		c.sendWindow += n
		c.pump()
		return nil
	}
	if c.idle(f.stream) {
		return connError(http2.ErrCodeProtocol, "WINDOW_UPDATE on an idle stream")
	}
	if n == 0 {
		return &streamError{f.stream, http2.ErrCodeProtocol, "WINDOW_UPDATE of nothing"}
	}
	st := c.streams.find(f.stream)
	if st == nil {
		return nil // RFC 9113, 5.1: it may arrive late
	}
	if st.sendWindow+n > maxWindowBytes {
		return &streamError{st.id, http2.ErrCodeFlowControl, "the window of the stream is more than 2^31-1"}
	}
	st.sendWindow += n
	if len(st.pending) > 0 {
		c.pump()
	}
	return nil
}
