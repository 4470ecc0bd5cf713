package h2

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"golang.org/x/net/http2"
)

// maxClientOutBytes is how much may wait to be written before Start returns
// ErrFull and bodies stay in their queue: a peer that does not read is not sent
// more, and what was never sent is not lost.
const maxClientOutBytes = 512 << 10

// maxFinished is how many calls are handed over as finished at a time.
const maxFinished = 128

// errCallTooLarge is why a call does not fit the peer's SETTINGS_MAX_HEADER_LIST_SIZE.
var errCallTooLarge = errors.New("header fields larger than the peer's SETTINGS_MAX_HEADER_LIST_SIZE")

// Start sends the request of call. It never blocks, and may be called before Run,
// for as many calls as ClientConfig.FirstStreams.
//
// After nil the call is finished exactly once, by ClientConfig.Finished, unless
// Cancel takes it back. After any error the call is the caller's as before:
// ErrFull and ErrGoing say that this connection cannot have it, now or ever;
// ErrStarted that it is in progress already, and a *CallError that the peer takes
// no request as large as this one.
func (c *ClientConn) Start(call *Call) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if call.conn != nil {
		return ErrStarted
	}
	size, err := c.admit(call)
	if err != nil {
		return err
	}
	call.conn, call.id = c, c.nextID
	c.nextID += 2
	call.at = c.out.position()
	call.Status, call.Answer, call.AnswerBody, call.AnswerTooLarge, call.Err = 0, call.Answer[:0], call.AnswerBody[:0], false, nil
	call.answered, call.discarded = false, 0
	if call.text = call.text[:0]; cap(call.text) > maxPooledText {
		call.text = nil
	}
	call.recvWindow, call.recvSpent = initialWindowBytes, 0
	call.sendWindow = c.peerInitialWindow
	if c.calls.count == 0 {
		c.busySince = time.Now()
		if c.cfg.PingAfter > 0 {
			c.arm(c.busySince.Add(c.cfg.PingAfter))
		}
	}
	c.calls.add(call.id, call)
	c.appendCall(call, size)
	if c.nextID > maxStreamID {
		c.leave()
	}
	c.signal()
	return nil
}

// admit returns the size of the header fields of call, counted as RFC 9113, 6.5.2
// does, or why it cannot be started. c.mu is held.
func (c *ClientConn) admit(call *Call) (size int, err error) {
	if c.going {
		return 0, ErrGoing
	}
	body := int64(len(call.Body))
	switch {
	case c.calls.count >= c.limit:
		return 0, ErrFull
	case c.silent:
		if c.pingSent.IsZero() {
			c.ping(time.Now())
		}
		return 0, ErrFull
	case c.out.size() >= maxClientOutBytes:
		c.lackedRoom = true
		return 0, ErrFull
	case body > 0 && body > c.sendWindow-c.reserved && c.calls.count > 0:
		// With nothing in progress there is nobody to wait for.
		c.lackedWindow = true
		return 0, ErrFull
	}
	for i := range call.Fields {
		size += len(call.Fields[i].Name) + len(call.Fields[i].Value) + entryOverhead
	}
	if int64(size) > int64(c.peerHeaderListSize) {
		return 0, &CallError{Unprocessed: true, Err: errCallTooLarge}
	}
	return size, nil
}

// appendCall appends the request of call: a HEADERS frame, whose block is not
// larger than size, and as much of the body as the windows have room for. c.mu is held.
func (c *ClientConn) appendCall(call *Call, size int) {
	flags := http2.FlagHeadersEndHeaders
	if len(call.Body) == 0 {
		flags |= http2.FlagHeadersEndStream
	}
	c.out.room(2*frameHeaderBytes + maxTableUpdateBytes + size + len(call.Body))
	start := len(c.out.last)
	c.out.last = appendFrameHeader(c.out.last, 0, http2.FrameHeaders, flags, call.id)
	c.out.last = c.enc.appendBlock(c.out.last, call.Fields)
	c.out.last = splitHeaders(c.out.last, start)
	if len(call.Body) == 0 {
		return
	}
	call.pending = call.Body
	c.reserved += int64(len(call.pending))
	if !c.send(call) {
		c.waiting.push(call)
	}
}

// Cancel gives up a call in progress: its stream is reset, and it is the
// caller's again. It returns true if ClientConfig.Finished will not be called for
// it, and false if it was or is about to be, or if the call is not in progress here.
func (c *ClientConn) Cancel(call *Call) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if call.conn != c || call.id == 0 || c.ended {
		return false
	}
	id := call.id
	c.forget(call)
	call.conn = nil
	c.resetStream(id, http2.ErrCodeCancel)
	if c.calls.count == 0 {
		c.idle(time.Now())
	}
	c.signal()
	return true
}

// forget takes call, which is in progress, out of all that knows it. c.mu is held.
func (c *ClientConn) forget(call *Call) {
	c.calls.remove(call.id)
	if len(call.pending) > 0 {
		c.waiting.remove(call)
		c.reserved -= int64(len(call.pending))
		call.pending = nil
	}
	call.id = 0
}

// resetStream appends a RST_STREAM frame. c.mu is held.
func (c *ClientConn) resetStream(id uint32, code http2.ErrCode) {
	c.out.room(frameHeaderBytes + 4)
	c.out.last = appendRSTStream(c.out.last, id, code)
}

// idle notes that the last call in progress has come to its end. c.mu is held.
func (c *ClientConn) idle(now time.Time) {
	c.idleSince = now
	if c.cfg.IdleTimeout > 0 {
		c.arm(now.Add(c.cfg.IdleTimeout))
	}
	c.endIfDrained()
}

// signal has the output written. While the read loop is at work it will see to
// that before it waits for input, unless there is enough of it for a write. c.mu is
// held.
func (c *ClientConn) signal() {
	n := c.out.size()
	if c.awake || c.writing || n == 0 || !c.parked && n < eagerOutBytes {
		return
	}
	c.awake = true
	select {
	case c.wake <- struct{}{}:
	default: // it has been told already
	}
}

// keep is the keeper: it alone writes, but for the last frames, and it watches the
// clock.
func (c *ClientConn) keep(done <-chan struct{}) {
	for {
		select {
		case <-done:
			return
		case <-c.wake:
		case <-c.alarm.timer.C:
			c.mu.Lock()
			c.tick(time.Now())
			c.mu.Unlock()
		}
		c.tell()
		c.mu.Lock()
		c.awake = false
		c.drain()
		c.mu.Unlock()
		c.tell()
	}
}

// drain writes the output, and what is added to it meanwhile. c.mu is held, but
// not during a write.
func (c *ClientConn) drain() {
	if c.writing {
		return
	}
	c.writing = true
	for c.out.size() > 0 && !c.severed {
		if !c.ended {
			// Calls come in bursts: let the goroutine that started the first one start
			// the others, so that one write takes them all.
			c.mu.Unlock()
			runtime.Gosched()
			c.mu.Lock()
		}
		for c.out.size() > 0 && !c.severed {
			c.writeOut(c.out.take())
		}
	}
	c.out.rest()
	c.writing = false
	c.written.Broadcast()
}

// writeOut writes buf. c.mu is held, but not during the write.
func (c *ClientConn) writeOut(buf []byte) {
	now := time.Now()
	c.writeBy = now.Add(c.cfg.WriteTimeout)
	switch {
	case c.ended:
		c.writeBy = now.Add(min(c.cfg.WriteTimeout, lingerTimeout))
	case c.going && c.leaveAt.Before(c.writeBy):
		c.writeBy = c.leaveAt
	}
	err := c.nc.SetWriteDeadline(c.writeBy)
	c.mu.Unlock()
	if err == nil {
		err = c.write(buf)
	}
	c.mu.Lock()
	giveChunk(buf)
	if err != nil {
		c.cut(fmt.Errorf("writing: %w", err))
		return
	}
	if !c.ended {
		c.pump()
		if c.lackedRoom && c.out.size() < maxClientOutBytes/2 {
			c.lackedRoom, c.changed = false, true
		}
	}
}

// boundWrite sees to it that a write that is blocked is over by t. c.mu is held.
func (c *ClientConn) boundWrite(t time.Time) {
	if !c.writing || !t.Before(c.writeBy) {
		return
	}
	c.writeBy = t
	if c.nc.SetWriteDeadline(t) != nil {
		c.tellPeer = false // it cannot be written to any more
	}
}

// cut ends the connection because writing failed with err. What the peer wrote
// before it closed, above all why, is read first. c.mu is held.
func (c *ClientConn) cut(err error) {
	c.severed = true
	c.out.drop()
	if c.ended {
		return
	}
	c.writeErr = err
	if errors.Is(err, os.ErrDeadlineExceeded) || c.nc.SetReadDeadline(time.Now().Add(lingerTimeout)) != nil {
		c.end(err)
		return
	}
	c.leave()
}

// report hands over the calls that are finished, and tells of changes. It is
// called on the goroutine of Run. c.mu is not held.
func (c *ClientConn) report() {
	for left := c.finished; len(left) > 0; {
		some := left[:min(len(left), maxFinished)]
		left = left[len(some):]
		c.mu.Lock()
		for _, call := range some {
			call.conn = nil
		}
		c.mu.Unlock()
		c.telling.Lock()
		c.cfg.Finished(some)
		c.telling.Unlock()
		if len(left) > 0 {
			// Those who waited for these start others; let them, and the keeper, before
			// there is such a crowd that what is started first is written last.
			runtime.Gosched()
		}
	}
	clear(c.finished)
	c.finished = c.finished[:0]
	c.tell()
}

// tell calls ClientConfig.Changed if there is something to tell. c.mu is not held.
func (c *ClientConn) tell() {
	c.mu.Lock()
	changed := c.changed
	c.changed = false
	c.mu.Unlock()
	if changed && c.cfg.Changed != nil {
		c.telling.Lock()
		defer c.telling.Unlock()
		c.cfg.Changed()
	}
}
