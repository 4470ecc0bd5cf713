package h2

import (
	"fmt"
	"runtime"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

const (
	// maxOutBytes is how full the output buffer may be before the read loop
	// waits and bodies stay in their queue. Only what the requests in progress
	// and one filling of the input buffer bring forth goes beyond it.
	maxOutBytes = 128 << 10
	// eagerOutBytes is how full it may be before the read loop writes it out
	// though there is more to parse, so that it seldom outgrows a chunk.
	eagerOutBytes = chunkBytes - 8<<10
)

// answer appends the answer on st: a HEADERS frame and, if there is a body,
// one DATA frame, or the start of a wait for window. c.mu is held.
func (c *Conn) answer(st *stream, status int, fields []hpack.HeaderField, body []byte) {
	if status < 200 || status > 999 {
		status = 500
	}
	c.makeRoom()
	c.appendHeaders(st.id, status, fields, len(body) == 0)
	switch {
	case len(body) == 0:
		c.sent(st)
	case c.blocked.head == nil && len(c.out) < maxOutBytes && c.grant(st, len(body)) == len(body):
		c.appendData(st, body, true)
		c.sent(st)
	default:
		c.hold(st, body)
	}
}

// appendHeaders appends the HEADERS frame of an answer, and CONTINUATION frames
// if one frame does not hold the block. c.mu is held.
func (c *Conn) appendHeaders(id uint32, status int, fields []hpack.HeaderField, last bool) {
	var flags http2.Flags
	if last {
		flags = http2.FlagHeadersEndStream
	}
	start := len(c.out)
	c.out = appendFrameHeader(c.out, 0, http2.FrameHeaders, flags|http2.FlagHeadersEndHeaders, id)
	c.out = c.enc.appendBlock(c.out, status, fields)
	c.out = splitHeaders(c.out, start)
}

// appendData appends a DATA frame, for which there is window. c.mu is held.
func (c *Conn) appendData(st *stream, data []byte, last bool) {
	var flags http2.Flags
	if last {
		flags = http2.FlagDataEndStream
	}
	c.out = appendFrameHeader(c.out, len(data), http2.FrameData, flags, st.id)
	c.out = append(c.out, data...)
	c.sendWindow -= int64(len(data))
	st.sendWindow -= int64(len(data))
}

// sent closes st, whose answer is complete. If the request is not, the peer is
// told to stop sending it (RFC 9113, 8.1). c.mu is held.
func (c *Conn) sent(st *stream) {
	if !st.remoteEnded {
		c.resetStream(st.id, http2.ErrCodeNo)
		return
	}
	c.closeStream(st, closedEnded)
}

// signal has the output written. While the read loop is at work it will do so
// itself before it waits for input; otherwise the keeper does. c.mu is held.
func (c *Conn) signal() {
	if !c.parked || c.writing || len(c.out) == 0 {
		return
	}
	select {
	case c.wake <- struct{}{}:
	default: // it has been told already
	}
}

// makeRoom sees to it that there is an output buffer. c.mu is held.
func (c *Conn) makeRoom() {
	if c.out == nil {
		c.out = takeChunk()[:0]
	}
}

// drain writes the output, and what is added to it meanwhile, unless another
// goroutine is doing so. c.mu is held, but not during a write.
func (c *Conn) drain() {
	if c.writing {
		return
	}
	c.writing = true
	for len(c.out) > 0 {
		buf := c.out
		c.out = nil
		c.writeBy = c.writeDeadline(time.Now())
		err := c.nc.SetWriteDeadline(c.writeBy)
		c.mu.Unlock()
		if err == nil {
			err = c.write(buf)
		}
		c.mu.Lock()
		giveChunk(buf)
		if err != nil {
			c.cut(err)
			break
		}
		if !c.ended {
			c.pump()
		}
	}
	c.writing = false
	c.written.Broadcast()
}

// writeDeadline returns by when a write that begins now must be over. c.mu is
// held.
func (c *Conn) writeDeadline(now time.Time) time.Time {
	if c.ended {
		return now.Add(min(c.cfg.WriteTimeout, lingerTimeout))
	}
	t := now.Add(c.cfg.WriteTimeout)
	if d := c.departure; d != nil && d.at.Add(c.cfg.DrainTimeout).Before(t) {
		t = d.at.Add(c.cfg.DrainTimeout)
	}
	return t
}

// boundWrite sees to it that a write that is blocked is over by t. c.mu is held.
func (c *Conn) boundWrite(t time.Time) {
	if !c.writing || !t.Before(c.writeBy) {
		return
	}
	c.writeBy = t
	if c.nc.SetWriteDeadline(t) != nil {
		c.tellPeer = false // it cannot be written to any more
	}
}

// cut ends the connection because writing failed. c.mu is held.
func (c *Conn) cut(err error) {
	giveChunk(c.out)
	c.out = nil
	c.tellPeer, c.severed = false, true
	if d := c.departure; d != nil && !time.Now().Before(d.at.Add(c.cfg.DrainTimeout)) {
		c.end(nil, false) // it has had its time
		return
	}
	c.end(fmt.Errorf("writing: %w", err), false)
}

// keep is the keeper: it writes what is to be written while the read loop
// waits for input, and watches the clock.
func (c *Conn) keep(done <-chan struct{}) {
	for {
		select {
		case <-done:
			return
		case <-c.wake:
			// Answers come in bursts: let the goroutine that sent the first one
			// send the others, so that one write takes them all.
			runtime.Gosched()
			c.mu.Lock()
			c.drain()
			c.mu.Unlock()
		case <-c.alarm.timer.C:
			c.mu.Lock()
			c.tick(time.Now())
			c.drain()
			c.mu.Unlock()
		}
	}
}
