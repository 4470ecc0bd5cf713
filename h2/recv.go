package h2

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"golang.org/x/net/http2"
)

// fill reads more input, so that in the end n bytes can be pending. The output
// is written before the network is waited for. c.mu is held, but not during
// the read.
func (c *Conn) fill(n int) error {
	if len(c.in.pending()) > 0 || c.block.open {
		c.partly()
	}
	if c.socket == nil {
		c.beforeWait()
	}
	if c.ended {
		return errEnded
	}
	// Without a Socket each read is one of the network, and follows a write.
	p := c.in.room(n, c.socket != nil)
	c.mu.Unlock()
	got, err := c.nc.Read(p)
	c.mu.Lock()
	if c.socket == nil && got > 0 {
		c.afterWait()
	}
	c.parked = false
	c.makeRoom()
	c.in.w += got
	switch {
	case got > 0:
		return nil
	case errors.Is(err, io.EOF) && len(c.in.pending()) > 0:
		return io.ErrUnexpectedEOF
	}
	return err
}

// beforeWait writes the output, waits if the peer does not take it, and notes
// that the read loop is going to wait for input. c.mu is held, but not during
// the write.
func (c *Conn) beforeWait() {
	c.relieve()
	if len(c.out) == 0 {
		giveChunk(c.out)
		c.out = nil
	}
	c.parked = !c.ended
}

// relieve writes the output, and waits if the peer does not take it and there is
// too much. c.mu is held, but not during the write.
func (c *Conn) relieve() {
	for c.drain(); c.writing && len(c.out) > maxOutBytes && !c.ended; c.drain() {
		c.written.Wait()
	}
}

// afterWait notes that input has come. c.mu is held.
func (c *Conn) afterWait() {
	c.parked = false
	c.lastRead = time.Now()
	c.pingSent = time.Time{}
}

// partly notes that a frame or a header block has come only in part. c.mu is held.
func (c *Conn) partly() {
	if c.partlySince.IsZero() {
		c.partlySince = c.lastRead
		c.arm(c.partlySince.Add(c.cfg.RequestTimeout))
	}
}

// read is the read loop. It returns why there is no more to read: a *ConnError,
// io.EOF if the peer closed the connection between two frames, errEnded or
// what interrupted the read if the connection was ended elsewhere. It holds c.mu
// but for the time that the handler takes or the network is waited for.
func (c *Conn) read() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.in.release()
	c.in.release()
	if c.socket != nil {
		locked := func(f func()) func() {
			return func() {
				c.mu.Lock()
				defer c.mu.Unlock()
				f()
			}
		}
		c.socket.waits, c.socket.arrived = locked(c.beforeWait), locked(c.afterWait)
	}
	if err := c.readPreface(); err != nil {
		return err
	}
	if err := c.readFirstSettings(); err != nil {
		return err
	}
	for {
		if len(c.out) >= eagerOutBytes {
			c.relieve()
		}
		err := c.readFrame(&c.frame)
		if err == nil {
			err = c.handle(&c.frame)
		}
		if err == nil {
			continue
		}
		if err = c.overcome(err); err != nil {
			return err
		}
	}
}

// readPreface reads the first bytes of the connection (RFC 9113, 3.4).
func (c *Conn) readPreface() error {
	for n := 1; n <= len(clientPreface); n = len(c.in.pending()) + 1 {
		if err := c.need(n); err != nil {
			return err
		}
		got := c.in.pending()
		if got = got[:min(len(got), len(clientPreface))]; !strings.HasPrefix(clientPreface, string(got)) {
			return connError(http2.ErrCodeProtocol, "not the preface of HTTP/2")
		}
	}
	c.in.r += len(clientPreface)
	return nil
}

// readFirstSettings reads the frame that is part of the preface.
func (c *Conn) readFirstSettings() error {
	f := &c.frame
	if err := c.readFrame(f); err != nil {
		return err
	}
	if f.kind != http2.FrameSettings || f.has(http2.FlagSettingsAck) {
		return connError(http2.ErrCodeProtocol, "the preface of HTTP/2 does not end with SETTINGS")
	}
	c.ready = true
	c.arm(c.lastRead) // other deadlines hold from here on
	return c.handle(f)
}

// overcome deals with an error that ends only a stream, by ending it, and
// returns any other. c.mu is held.
func (c *Conn) overcome(err error) error {
	se, ok := errors.AsType[*streamError](err)
	if !ok {
		return err
	}
	if c.ended {
		return errEnded
	}
	if c.idle(se.id) {
		// RFC 9113, 5.1: a stream that is idle cannot be reset.
		return connError(se.code, se.reason)
	}
	c.cfg.Logger.Debug("stream reset",
		slog.Uint64("stream", uint64(se.id)), slog.String("code", se.code.String()), slog.String("reason", se.reason))
	c.resetStream(se.id, se.code)
	if se.code == http2.ErrCodeRefusedStream {
		return nil // it has been paid for
	}
	return c.spend(&c.budgets.resets, "streams that break the rules")
}

// handle handles a frame. c.mu is held, but not while the handler runs.
func (c *Conn) handle(f *frame) error {
	if c.ended {
		return errEnded
	}
	if !c.partlySince.IsZero() && (!c.block.open || f.has(http2.FlagHeadersEndHeaders)) {
		c.partlySince = time.Time{}
	}
	if f.kind != http2.FramePing || !f.has(http2.FlagPingAck) {
		c.lastFrame = c.lastRead
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
		// RFC 9113, 8.4.
		return connError(http2.ErrCodeProtocol, "PUSH_PROMISE from a client")
	default:
		// RFC 9113, 5.5: frames of unknown types are ignored.
		return c.spend(&c.budgets.chatter, "frames without use")
	}
}

// onRSTStream handles a RST_STREAM frame (RFC 9113, 6.4). The request may be in
// the handler's hands; then it goes on counting as one in progress until it is
// answered. c.mu is held.
func (c *Conn) onRSTStream(f *frame) error {
	switch {
	case len(f.payload) != 4:
		return connError(http2.ErrCodeFrameSize, "RST_STREAM not of 4 bytes")
	case c.idle(f.stream):
		return connError(http2.ErrCodeProtocol, "RST_STREAM on an idle stream")
	}
	st := c.streams.find(f.stream)
	if st == nil {
		return c.spend(&c.budgets.chatter, "RST_STREAM frames")
	}
	c.closeStream(st, closedByPeer)
	return c.spend(&c.budgets.resets, "streams reset")
}

// onPriority handles a PRIORITY frame: priorities are ignored (RFC 9113,
// 5.3.2), but for a stream that depends on itself, an error since RFC 7540, 5.3.1.
// c.mu is held.
func (c *Conn) onPriority(f *frame) error {
	switch {
	case f.stream == 0:
		return connError(http2.ErrCodeProtocol, "PRIORITY on stream 0")
	case len(f.payload) != prioritySectionBytes:
		return &streamError{f.stream, http2.ErrCodeFrameSize, "PRIORITY not of 5 bytes"}
	case dependency(f.payload) == f.stream:
		return &streamError{f.stream, http2.ErrCodeProtocol, "a stream depends on itself"}
	}
	return c.spend(&c.budgets.chatter, "PRIORITY frames")
}

// dependency returns the stream that a priority names (RFC 7540, 6.3).
func dependency(p []byte) uint32 { return binary.BigEndian.Uint32(p) & maxStreamID }

// unpad takes the padding from the payload of a DATA or HEADERS frame, whose
// flag for it is the same (RFC 9113, 6.1 and 6.2). Before the padding, and what
// it pads, come n more bytes.
func (f *frame) unpad(n int) ([]byte, error) {
	p := f.payload
	padding := 0
	if f.has(http2.FlagDataPadded) {
		n++
		if len(p) > 0 {
			padding = int(p[0])
			p = p[1:]
			n--
		}
	}
	switch {
	case len(p) < n:
		return nil, connError(http2.ErrCodeFrameSize, "frame too short for its flags")
	case len(p)-n < padding:
		return nil, connError(http2.ErrCodeProtocol, "padding longer than its frame")
	}
	return p[:len(p)-padding], nil
}

// onData handles a DATA frame (RFC 9113, 6.1). c.mu is held, but not while the
// handler runs.
func (c *Conn) onData(f *frame) error {
	r, err := c.data(f)
	if r != nil {
		c.serve(r)
	}
	return err
}

// data takes the bytes of a DATA frame, and returns the request if they were
// the last of it. c.mu is held.
func (c *Conn) data(f *frame) (*Request, error) {
	data, err := f.unpad(0)
	if err != nil {
		return nil, err
	}
	if c.idle(f.stream) {
		return nil, connError(http2.ErrCodeProtocol, "DATA on an idle stream")
	}
	// Padding counts, and so do frames that come late (RFC 9113, 6.9).
	n := int64(len(f.payload))
	if err := c.receiveConn(n); err != nil {
		return nil, err
	}
	ends := f.has(http2.FlagDataEndStream)
	if !ends {
		if err := c.spend(&c.budgets.chatter, "small DATA frames"); err != nil {
			return nil, err
		}
	}
	st := c.streams.find(f.stream)
	switch {
	case st == nil && c.closed.find(f.stream) == closedByUs:
		return nil, c.spend(&c.budgets.chatter, "DATA frames on closed streams")
	case st == nil || st.remoteEnded:
		return nil, &streamError{f.stream, http2.ErrCodeStreamClosed, "DATA after the end of the stream"}
	}

	st.received += int64(len(data))
	if st.declared >= 0 && st.received > st.declared {
		return nil, &streamError{st.id, http2.ErrCodeProtocol, "body longer than its content-length"}
	}
	discarded := st.received - int64(c.cfg.MaxBodyBytes)
	more := !ends && discarded <= maxDiscardedBodyBytes
	if err := c.receiveStream(st, n, more); err != nil {
		return nil, err
	}
	if r := st.req; r != nil {
		room := c.cfg.MaxBodyBytes - len(r.Body)
		if len(data) > room {
			r.BodyTooLarge = true
			data = data[:room]
		}
		r.Body = append(r.Body, data...)
	}
	if ends {
		return c.endOfRequest(st)
	}
	if !more && st.req != nil {
		return c.toHandler(st), nil // and what is still to come is not wanted
	}
	return nil, nil
}

// endOfRequest notes that the peer has ended st, and returns the request
// unless the handler has it already. c.mu is held.
func (c *Conn) endOfRequest(st *stream) (*Request, error) {
	if st.declared >= 0 && st.received != st.declared {
		return nil, &streamError{st.id, http2.ErrCodeProtocol, fmt.Sprintf("body of %d bytes with a content-length of %d", st.received, st.declared)}
	}
	st.remoteEnded = true
	return c.toHandler(st), nil
}

// toHandler returns the request of st, which from now on is in the handler's
// hands. It returns nil if it was before, or if the connection has been ended:
// the peer may have been told that this request was not processed. c.mu is held.
func (c *Conn) toHandler(st *stream) *Request {
	r := st.req
	if r == nil || c.ended {
		return nil
	}
	st.req = nil
	st.unlink()
	c.working++
	return r
}

// serve calls the handler. c.mu is held, but not meanwhile.
func (c *Conn) serve(r *Request) {
	c.mu.Unlock()
	defer c.mu.Lock()
	c.cfg.Handler.ServeRequest(r)
}
