package h2

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"time"

	"golang.org/x/net/http2"
)

// read is the read loop. It returns why there is no more to read: a *ConnError,
// io.EOF if the peer closed the connection between two frames, errEnded or
// what interrupted the read if the connection was ended elsewhere. It holds c.mu
// but for the time that the network is waited for and Finished and Changed take.
func (c *ClientConn) read() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.in.release()
	c.in.release()
	if c.socket != nil {
		c.socket.waits, c.socket.arrived = c.beforeWait, c.afterWait
	}
	for {
		n, err := c.in.next(&c.frame)
		switch {
		case c.ended:
			return errEnded
		case !c.settled && (err != nil || n == 0):
			if err := c.checkPreface(err); err != nil {
				return err
			}
			fallthrough
		case n == 0 && err == nil:
			err = c.handle(&c.frame)
		case err == nil:
			err = c.fill(n)
		}
		if err == nil {
			continue
		}
		if err = c.overcome(err); err != nil {
			return err
		}
	}
}

// checkPreface returns an error if the peer's first frame, of which err is the
// error of parsing it, is not SETTINGS (RFC 9113, 3.4).
func (c *ClientConn) checkPreface(err error) error {
	f := &c.frame
	switch {
	case err != nil && bytes.HasPrefix(c.in.pending(), []byte("HTTP/1")):
		return connError(http2.ErrCodeProtocol, "the peer speaks HTTP/1")
	case err != nil:
		return err
	case f.kind != http2.FrameSettings || f.has(http2.FlagSettingsAck):
		return connError(http2.ErrCodeProtocol, "the first frame of the peer is not SETTINGS")
	}
	return nil
}

// fill reads more input, so that in the end n bytes can be pending. c.mu is
// held, but not during the read.
func (c *ClientConn) fill(n int) error {
	if len(c.in.pending()) > 0 || c.block.open {
		c.partly()
	}
	p := c.in.room(n, c.socket != nil)
	c.mu.Unlock()
	// Without a Socket each read is one of the network.
	if c.socket == nil {
		c.beforeWait()
	}
	got, err := c.nc.Read(p)
	if c.socket == nil && got > 0 {
		c.afterWait()
	}
	c.mu.Lock()
	c.parked = false
	c.in.w += got
	switch {
	case got > 0:
		return nil
	case errors.Is(err, io.EOF) && len(c.in.pending()) > 0:
		return io.ErrUnexpectedEOF
	}
	return err
}

// beforeWait hands over what the input brought, and has the output written
// from here on without the help of the read loop, which is going to wait. c.mu
// is not held.
func (c *ClientConn) beforeWait() {
	c.report()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.parked = !c.ended
	c.signal()
}

// afterWait notes that input has come. c.mu is not held.
func (c *ClientConn) afterWait() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.parked = false
	c.lastRead = time.Now()
	c.pingSent = time.Time{}
	if c.silent {
		c.silent, c.changed = false, true
		c.arm(c.lastRead.Add(c.cfg.ProbeAfter))
	}
}

// overcome deals with an error that ends only a stream, by ending it, and
// returns any other. c.mu is held.
func (c *ClientConn) overcome(err error) error {
	se, ok := errors.AsType[*streamError](err)
	if !ok {
		return err
	}
	if c.unopened(se.id) {
		// RFC 9113, 5.1: a stream that is idle cannot be reset.
		return connError(se.code, se.reason)
	}
	c.logger.Debug("stream reset",
		slog.Uint64("stream", uint64(se.id)), slog.String("code", se.code.String()), slog.String("reason", se.reason))
	c.resetStream(se.id, se.code)
	if call := c.calls.find(se.id); call != nil {
		c.fail(call, &CallError{Code: se.code, Err: se})
	}
	return c.spend(&c.budgets.resets, "streams that break the rules")
}

// spend takes one from b. Its error ends the connection: the peer was over its
// budget of what. c.mu is held.
func (c *ClientConn) spend(b *budget, what string) error {
	if b.spend(c.lastRead) {
		return nil
	}
	return connError(http2.ErrCodeEnhanceYourCalm, "too many "+what)
}

// unopened reports whether id is a stream that this side has not opened: a later
// one, or one that only the peer could open. c.mu is held.
func (c *ClientConn) unopened(id uint32) bool { return id >= c.nextID || id%2 == 0 }

// fail finishes call, which is in progress, without an answer. c.mu is held.
func (c *ClientConn) fail(call *Call, err *CallError) {
	call.spoil(err)
	c.finishCall(call)
}

// finishCall finishes call, which is in progress. c.mu is held.
func (c *ClientConn) finishCall(call *Call) {
	c.forget(call)
	c.finished = append(c.finished, call)
	if c.calls.count == 0 {
		c.idle(c.lastRead)
	}
}

// complete finishes call with its answer, all of which has come. If the request
// is not, the peer does not want the rest of it (RFC 9113, 8.1). c.mu is held.
func (c *ClientConn) complete(call *Call) {
	if len(call.pending) > 0 {
		c.resetStream(call.id, http2.ErrCodeCancel)
	}
	c.budgets.chatter.spent = max(0, c.budgets.chatter.spent-chatterPerRequest)
	c.finishCall(call)
}

// handle handles a frame. c.mu is held.
func (c *ClientConn) handle(f *frame) error {
	if !c.partlySince.IsZero() && (!c.block.open || f.has(http2.FlagHeadersEndHeaders)) {
		c.partlySince = time.Time{}
	}
	if c.block.open && (f.kind != http2.FrameContinuation || f.stream != c.block.id) {
		// RFC 9113, 6.10.
		return connError(http2.ErrCodeProtocol, "another frame than the CONTINUATION of a header block")
	}
	switch f.kind {
	case http2.FrameHeaders:
		return c.onHeaders(f)
	case http2.FrameData:
		return c.onData(f)
	case http2.FrameContinuation:
		return c.onContinuation(f)
	case http2.FrameSettings:
		return c.onSettings(f)
	case http2.FramePing:
		return c.onPing(f)
	case http2.FrameWindowUpdate:
		return c.onWindowUpdate(f)
	case http2.FrameRSTStream:
		return c.onRSTStream(f)
	case http2.FramePriority:
		return c.onPriority(f)
	case http2.FrameGoAway:
		return c.onGoAway(f)
	case http2.FramePushPromise:
		// RFC 9113, 8.4: this side has said that there is to be none.
		return connError(http2.ErrCodeProtocol, "PUSH_PROMISE, which was not allowed")
	default:
		// RFC 9113, 5.5: frames of unknown types are ignored.
		return c.spend(&c.budgets.chatter, "frames without use")
	}
}

// onData handles a DATA frame (RFC 9113, 6.1). c.mu is held.
func (c *ClientConn) onData(f *frame) error {
	data, err := f.unpad(0)
	if err != nil {
		return err
	}
	if c.unopened(f.stream) {
		return connError(http2.ErrCodeProtocol, "DATA on an idle stream")
	}
	// Padding counts, and so do frames that come late (RFC 9113, 6.9).
	n := int64(len(f.payload))
	if err := c.receiveConn(n); err != nil {
		return err
	}
	ends := f.has(http2.FlagDataEndStream)
	call := c.calls.find(f.stream)
	if !ends || call == nil {
		if err := c.spend(&c.budgets.chatter, "DATA frames"); err != nil {
			return err
		}
	}
	switch {
	case call == nil:
		return nil // the call was cancelled
	case !call.answered:
		return &streamError{f.stream, http2.ErrCodeProtocol, "DATA before the header fields of an answer"}
	}
	if err := c.receiveStream(call, n, ends); err != nil {
		return err
	}
	if room := c.cfg.MaxBodyBytes - len(call.AnswerBody); len(data) > room {
		call.AnswerTooLarge = true
		call.discarded += int64(len(data) - room)
		data = data[:room]
	}
	call.AnswerBody = append(call.AnswerBody, data...)
	switch {
	case ends:
		c.complete(call)
	case call.discarded > maxDiscardedBodyBytes:
		c.resetStream(call.id, http2.ErrCodeCancel)
		c.finishCall(call)
	}
	return nil
}

// onRSTStream handles a RST_STREAM frame (RFC 9113, 6.4). c.mu is held.
func (c *ClientConn) onRSTStream(f *frame) error {
	switch {
	case len(f.payload) != 4:
		return connError(http2.ErrCodeFrameSize, "RST_STREAM not of 4 bytes")
	case c.unopened(f.stream):
		return connError(http2.ErrCodeProtocol, "RST_STREAM on an idle stream")
	}
	call := c.calls.find(f.stream)
	if call == nil {
		return c.spend(&c.budgets.chatter, "RST_STREAM frames")
	}
	code := http2.ErrCode(binary.BigEndian.Uint32(f.payload))
	c.fail(call, &CallError{Code: code, Unprocessed: code == http2.ErrCodeRefusedStream, Err: &ResetError{code}})
	return nil
}

// onPriority handles a PRIORITY frame: priorities are ignored (RFC 9113,
// 5.3.2). c.mu is held.
func (c *ClientConn) onPriority(f *frame) error {
	switch {
	case f.stream == 0:
		return connError(http2.ErrCodeProtocol, "PRIORITY on stream 0")
	case len(f.payload) != prioritySectionBytes:
		return &streamError{f.stream, http2.ErrCodeFrameSize, "PRIORITY not of 5 bytes"}
	}
	return c.spend(&c.budgets.chatter, "PRIORITY frames")
}

// onPing handles a PING frame (RFC 9113, 6.7). c.mu is held.
func (c *ClientConn) onPing(f *frame) error {
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
	if f.has(http2.FlagPingAck) {
		return nil // what was asked is answered by any input
	}
	copy(data[:], f.payload)
	c.out.room(frameHeaderBytes + len(data))
	c.out.last = appendPing(c.out.last, true, data)
	return nil
}

// onGoAway handles a GOAWAY frame (RFC 9113, 6.8): no more calls are taken, and
// those beyond the last stream will not be processed. A peer that ends the
// connection in good order sends two, of which the first names the highest stream
// there is. c.mu is held.
func (c *ClientConn) onGoAway(f *frame) error {
	switch {
	case f.stream != 0:
		return connError(http2.ErrCodeProtocol, "GOAWAY on a stream")
	case len(f.payload) < 8:
		return connError(http2.ErrCodeFrameSize, "GOAWAY of less than 8 bytes")
	}
	if err := c.spend(&c.budgets.chatter, "GOAWAY frames"); err != nil {
		return err
	}
	e := &GoAwayError{
		Last: binary.BigEndian.Uint32(f.payload) & maxStreamID,
		Code: http2.ErrCode(binary.BigEndian.Uint32(f.payload[4:])),
	}
	if old := c.goAway; old != nil {
		e.Last = min(e.Last, old.Last)
		if len(old.DebugData) > 0 || old.Code != http2.ErrCodeNo && len(f.payload) == 8 {
			e.Code, e.DebugData = old.Code, old.DebugData
		}
	}
	if e.DebugData == nil {
		e.DebugData = bytes.Clone(f.payload[8:])
	}
	c.goAway, c.changed = e, true
	c.leave()
	first := len(c.finished)
	for i := 0; i < len(c.calls.slots); {
		call := c.calls.slots[i].at
		if call == nil || call.id <= e.Last {
			i++
			continue
		}
		// Another call may have moved up into the slot.
		c.fail(call, &CallError{Code: e.Code, Unprocessed: true, Err: e})
	}
	sortCalls(c.finished[first:])
	c.endIfDrained()
	return nil
}
