package h2

import (
	"encoding/binary"

	"golang.org/x/net/http2"
)

// callQueue is a queue of calls whose bodies wait for window.
type callQueue struct{ head, tail *Call }

// push adds a call, which is in no queue, at the end.
func (q *callQueue) push(call *Call) {
	if q.tail == nil {
		q.head = call
	} else {
		q.tail.next = call
	}
	q.tail = call
}

// remove takes out a call, which need not be there. Bodies wait seldom, and few
// at a time.
func (q *callQueue) remove(call *Call) {
	var before *Call
	for at := q.head; at != nil; before, at = at, at.next {
		if at != call {
			continue
		}
		if before == nil {
			q.head = call.next
		} else {
			before.next = call.next
		}
		if q.tail == call {
			q.tail = before
		}
		call.next = nil
		return
	}
}

// send appends as much of the body of call as the windows have room for, and
// reports whether that was the rest of it. c.mu is held.
func (c *ClientConn) send(call *Call) bool {
	for len(call.pending) > 0 {
		n := min(int64(len(call.pending)), call.sendWindow, c.sendWindow, maxFrameBytes)
		if n <= 0 || c.out.size() >= maxClientOutBytes+chunkBytes {
			return false
		}
		var flags http2.Flags
		if int(n) == len(call.pending) {
			flags = http2.FlagDataEndStream
		}
		c.out.room(frameHeaderBytes + int(n))
		c.out.last = appendFrameHeader(c.out.last, int(n), http2.FrameData, flags, call.id)
		c.out.last = append(c.out.last, call.pending[:n]...)
		c.sendWindow -= n
		c.reserved -= n
		call.sendWindow -= n
		call.pending = call.pending[n:]
	}
	call.pending = nil
	return true
}

// pump sends what the windows and the output have room for of the bodies that
// wait, the oldest first. One that waits for the window of its stream is
// overtaken. c.mu is held.
func (c *ClientConn) pump() {
	for call := c.waiting.head; call != nil && c.sendWindow > 0; {
		next := call.next
		if c.send(call) {
			c.waiting.remove(call)
		}
		call = next
	}
}

// onWindowUpdate handles a WINDOW_UPDATE frame (RFC 9113, 6.9). c.mu is held.
func (c *ClientConn) onWindowUpdate(f *frame) error {
	if len(f.payload) != 4 {
		return connError(http2.ErrCodeFrameSize, "WINDOW_UPDATE not of 4 bytes")
	}
	if err := c.spend(&c.budgets.chatter, "WINDOW_UPDATE frames"); err != nil {
		return err
	}
	n := int64(binary.BigEndian.Uint32(f.payload) & maxWindowBytes)
	if f.stream == 0 {
		switch {
		case n == 0:
			return connError(http2.ErrCodeProtocol, "WINDOW_UPDATE of nothing")
		case c.sendWindow+n > maxWindowBytes:
			return connError(http2.ErrCodeFlowControl, "the window of the connection is more than 2^31-1")
		}
		c.sendWindow += n
		c.pump()
		if c.lackedWindow {
			c.lackedWindow, c.changed = false, true
		}
		return nil
	}
	if c.unopened(f.stream) {
		return connError(http2.ErrCodeProtocol, "WINDOW_UPDATE on an idle stream")
	}
	call := c.calls.find(f.stream)
	switch {
	case n == 0:
		return &streamError{f.stream, http2.ErrCodeProtocol, "WINDOW_UPDATE of nothing"}
	case call == nil:
		return nil // RFC 9113, 5.1: it may arrive late
	case call.sendWindow+n > maxWindowBytes:
		return &streamError{f.stream, http2.ErrCodeFlowControl, "the window of the stream is more than 2^31-1"}
	}
	call.sendWindow += n
	if len(call.pending) > 0 {
		c.pump()
	}
	return nil
}

// receiveConn takes the flow-controlled length of a DATA frame from the window
// of the connection, and grants it anew once half of it is spent. c.mu is held.
func (c *ClientConn) receiveConn(n int64) error {
	c.recvWindow -= n
	if c.recvWindow < 0 {
		return connError(http2.ErrCodeFlowControl, "more DATA than the window of the connection")
	}
	c.recvSpent += n
	if c.recvSpent >= connWindowBytes/2 {
		c.out.room(frameHeaderBytes + 4)
		c.out.last = appendWindowUpdate(c.out.last, 0, uint32(c.recvSpent))
		c.recvWindow += c.recvSpent
		c.recvSpent = 0
	}
	return nil
}

// receiveStream does the same for the window of the stream of call. c.mu is held.
func (c *ClientConn) receiveStream(call *Call, n int64, ends bool) error {
	call.recvWindow -= n
	if call.recvWindow < 0 {
		return &streamError{call.id, http2.ErrCodeFlowControl, "more DATA than the window of the stream"}
	}
	call.recvSpent += n
	if !ends && call.recvSpent >= initialWindowBytes/2 {
		c.out.room(frameHeaderBytes + 4)
		c.out.last = appendWindowUpdate(c.out.last, call.id, uint32(call.recvSpent))
		call.recvWindow += call.recvSpent
		call.recvSpent = 0
	}
	return nil
}
