package h2

import (
	"time"

	"golang.org/x/net/http2"
)

// stream is a stream that is open or half-closed; a closed one is forgotten
// but for its entry in closedStreams. The states of RFC 9113, 5.1 are:
//
//	open                remoteEnded is false; req is set until the handler has it
//	half-closed (remote) remoteEnded is true; an answer is awaited, or waits in pending
//	idle                a number above Conn.maxID
//	closed              a number up to Conn.maxID that is not in Conn.streams
//
// There is no half-closed (local): an answer that is finished before its
// request closes the stream with RST_STREAM.
type stream struct {
	id          uint32
	remoteEnded bool

	// Receiving.
	req        *Request // until it is handed to the handler
	opened     time.Time
	declared   int64 // content-length, or -1
	received   int64 // bytes of body
	recvWindow int64 // what the peer may still send
	recvSpent  int64 // what has been received and not granted anew

	// Sending.
	sendWindow   int64  // what may still be sent; negative after some SETTINGS
	pending      []byte // the rest of the body, waiting for window
	blockedSince time.Time

	// A stream is in the list of those that receive, of those that are
	// blocked, or in none.
	list       *streamList
	prev, next *stream
}

// streamList is a list of streams, the oldest first.
type streamList struct{ head, tail *stream }

// push adds st, which is in no list, at the end.
func (l *streamList) push(st *stream) {
	st.list, st.prev, st.next = l, l.tail, nil
	if l.tail == nil {
		l.head = st
	} else {
		l.tail.next = st
	}
	l.tail = st
}

// unlink takes st out of its list, if it is in one.
func (st *stream) unlink() {
	l := st.list
	if l == nil {
		return
	}
	if st.prev == nil {
		l.head = st.next
	} else {
		st.prev.next = st.next
	}
	if st.next == nil {
		l.tail = st.prev
	} else {
		st.next.prev = st.prev
	}
	st.list, st.prev, st.next = nil, nil, nil
}

// closing is how a stream came to its end, which decides what a late frame on
// it means (RFC 9113, 5.1).
type closing uint8

const (
	closedUnknown closing = iota // never opened, or long ago
	closedEnded                  // both sides ended it
	closedByPeer                 // the peer reset it
	closedByUs                   // this side reset it: the peer may not know yet
)

// maxClosedStreams is how many streams are remembered after their end. All that
// a peer may have open can be reset at once.
const maxClosedStreams = 1024

// closedStreams remembers how the last streams were closed.
type closedStreams struct {
	ring []uint32 // the odd number without its lowest bit, and how in its place and one above
	next int      // the one to be forgotten next, once there are maxClosedStreams
}

// add remembers that the stream id was closed.
func (cs *closedStreams) add(id uint32, how closing) {
	e := id>>1<<2 | uint32(how)
	if len(cs.ring) < maxClosedStreams {
		cs.ring = append(cs.ring, e)
		return
	}
	cs.ring[cs.next] = e
	cs.next = (cs.next + 1) % maxClosedStreams
}

// find returns how the stream id was closed. The newest entry counts, for a
// stream may be reset after it ended.
func (cs *closedStreams) find(id uint32) closing {
	n := len(cs.ring)
	for i := range n {
		if e := cs.ring[(cs.next+n-1-i)%n]; e>>2 == id>>1 {
			return closing(e & 3)
		}
	}
	return closedUnknown
}

// openStream adds a stream for a request. c.mu is held.
func (c *Conn) openStream(id uint32) *stream {
	st := c.free
	if st == nil {
		st = new(stream)
		if c.trimmed {
			c.trimmed = false
			c.arm(c.lastRead.Add(trimAfter))
		}
	} else {
		c.free, st.next = st.next, nil
	}
	st.id = id
	st.opened = c.lastRead
	st.recvWindow = initialWindowBytes
	st.sendWindow = c.peerInitialWindow
	c.streams.add(id, st)
	return st
}

// trimAfter is how long a connection is silent before it gives up the room for
// the streams that it does not have.
const trimAfter = 10 * time.Second

// trim gives up that room, if there is no stream. c.mu is held.
func (c *Conn) trim() {
	if c.streams.count > 0 {
		return
	}
	c.free, c.streams, c.closed, c.trimmed = nil, streamTable[stream]{}, closedStreams{}, true
}

// closeStream forgets st and all that it holds, and ends the connection if
// it was only waiting for that. c.mu is held.
func (c *Conn) closeStream(st *stream, how closing) {
	c.streams.remove(st.id)
	c.closed.add(st.id, how)
	st.unlink()
	if st.req != nil {
		st.req.release()
	}
	c.blockedBytes -= len(st.pending)
	*st = stream{next: c.free}
	c.free = st
	c.endIfDrained()
}

// resetStream sends RST_STREAM for the stream id, which need not exist any
// more, and forgets it. c.mu is held.
func (c *Conn) resetStream(id uint32, code http2.ErrCode) {
	c.out = appendRSTStream(c.out, id, code)
	if st := c.streams.find(id); st != nil {
		c.closeStream(st, closedByUs)
		return
	}
	c.closed.add(id, closedByUs)
}

// idle reports whether id is a stream that the peer has not opened: a new one,
// or one that only this side could open. c.mu is held.
func (c *Conn) idle(id uint32) bool { return id > c.maxID || id%2 == 0 }
