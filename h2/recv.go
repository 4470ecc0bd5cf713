package h2

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"golang.org/x/net/http2"
)

// source is the input of a connection as the input buffer sees it. It is read
// only when there is nothing left to parse, which is when the output is due.
type source struct{ c *Conn }

// Read writes the output, waits if the peer does not take it, and then waits
// for input.
func (s source) Read(p []byte) (int, error) {
	c := s.c
	c.mu.Lock()
	for c.drain(); c.writing && len(c.out) > maxOutBytes && !c.ended; c.drain() {
		c.written.Wait()
	}
	if c.ended {
		c.mu.Unlock()
		return 0, errEnded
	}
	c.parked = true
	c.mu.Unlock()

	n, err := c.nc.Read(p)

	c.mu.Lock()
	c.parked = false
	if n > 0 {
		c.lastRead = time.Now()
		c.pingSent = time.Time{}
	}
	c.mu.Unlock()
	return n, err
}

// read is the read loop. It returns why there is no more to read: a *ConnError,
// io.EOF if the peer closed the connection between two frames, errEnded or
// what interrupted the read if the connection was ended elsewhere.
func (c *Conn) read() error {
	br, ok := readers.Get().(*bufio.Reader)
	if !ok {
		br = bufio.NewReaderSize(nil, readBufferBytes)
	}
	br.Reset(source{c})
	defer func() {
		br.Reset(nil)
		readers.Put(br)
	}()

	if err := readPreface(br); err != nil {
		return err
	}
	c.framer = http2.NewFramer(io.Discard, br)
	c.framer.SetReuseFrames()
	c.framer.SetMaxReadFrameSize(maxFrameBytes)
	if err := c.readFirstSettings(); err != nil {
		return err
	}
	for {
		f, err := c.readFrame()
		if err == nil {
			err = c.handle(f)
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
func readPreface(br *bufio.Reader) error {
	for i := range len(clientPreface) {
		b, err := br.ReadByte()
		switch {
		case err != nil:
			return err
		case b != clientPreface[i]:
			return connError(http2.ErrCodeProtocol, "not the preface of HTTP/2")
		}
	}
	return nil
}

// readFirstSettings reads the frame that is part of the preface.
func (c *Conn) readFirstSettings() error {
	f, err := c.readFrame()
	if err != nil {
		return c.fatal(err)
	}
	sf, ok := f.(*http2.SettingsFrame)
	if !ok || sf.IsAck() {
		return connError(http2.ErrCodeProtocol, "the preface of HTTP/2 does not end with SETTINGS")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ready = true
	c.lastFrame = c.lastRead
	c.arm(c.lastRead) // other deadlines hold from here on
	return c.onSettings(sf)
}

// readFrame reads a frame. It is valid until the next call.
func (c *Conn) readFrame() (http2.Frame, error) {
	h, err := c.framer.ReadFrameHeader()
	if err != nil {
		return nil, c.translate(err, h.Type)
	}
	if err := checkPayloadLength(h); err != nil {
		return nil, err
	}
	f, err := c.framer.ReadFrameForHeader(h)
	if err != nil {
		return nil, c.translate(err, h.Type)
	}
	return f, nil
}

// translate turns an error of the parser, about a frame of type t, into one of
// this package.
func (c *Conn) translate(err error, t http2.FrameType) error {
	var ce http2.ConnectionError
	var se http2.StreamError
	switch {
	case errors.Is(err, http2.ErrFrameTooLarge):
		return connError(http2.ErrCodeFrameSize, "frame larger than SETTINGS_MAX_FRAME_SIZE")
	case errors.As(err, &ce):
		reason := "frame not valid"
		if d := c.framer.ErrorDetail(); d != nil {
			reason = d.Error()
		}
		return connError(http2.ErrCode(ce), reason)
	case errors.As(err, &se) && t == http2.FrameHeaders:
		// Its block was not decoded, so the decoder is no longer in step.
		return connError(se.Code, "HEADERS frame not valid")
	case errors.As(err, &se):
		return &streamError{se.StreamID, se.Code, "frame not valid"}
	default:
		return err
	}
}

// fatal makes any error one that ends the connection.
func (c *Conn) fatal(err error) error {
	if se, ok := errors.AsType[*streamError](err); ok {
		return connError(se.code, se.reason)
	}
	return err
}

// overcome deals with an error that ends only a stream, by ending it, and
// returns any other.
func (c *Conn) overcome(err error) error {
	se, ok := errors.AsType[*streamError](err)
	if !ok {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
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
	return c.spend(&c.budgets.resets, "streams that break the rules")
}

// handle handles a frame. The frames that can complete a request take c.mu
// themselves, because the handler is called without it.
func (c *Conn) handle(f http2.Frame) error {
	switch f := f.(type) {
	case *http2.HeadersFrame:
		return c.onHeaders(f)
	case *http2.ContinuationFrame:
		return c.onContinuation(f)
	case *http2.DataFrame:
		return c.onData(f)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return errEnded
	}
	if p, ok := f.(*http2.PingFrame); !ok || !p.IsAck() {
		c.lastFrame = c.lastRead
	}
	switch f := f.(type) {
	case *http2.SettingsFrame:
		return c.onSettings(f)
	case *http2.PingFrame:
		return c.onPing(f)
	case *http2.WindowUpdateFrame:
		return c.onWindowUpdate(f)
	case *http2.RSTStreamFrame:
		return c.onRSTStream(f)
	case *http2.PriorityFrame:
		return c.onPriority(f)
	case *http2.GoAwayFrame:
		c.onGoAway()
	default:
		// RFC 9113, 5.5: frames of unknown types are ignored.
	}
	return c.spend(&c.budgets.chatter, "frames without use")
}

// onRSTStream handles a RST_STREAM frame (RFC 9113, 6.4). The request may be in
// the handler's hands; then it goes on counting as one in progress until it is
// answered. c.mu is held.
func (c *Conn) onRSTStream(f *http2.RSTStreamFrame) error {
	if c.idle(f.StreamID) {
		return connError(http2.ErrCodeProtocol, "RST_STREAM on an idle stream")
	}
	st := c.streams[f.StreamID]
	if st == nil {
		return c.spend(&c.budgets.chatter, "RST_STREAM frames")
	}
	c.closeStream(st, closedByPeer)
	return c.spend(&c.budgets.resets, "streams reset")
}

// onPriority handles a PRIORITY frame: priorities are ignored (RFC 9113,
// 5.3.2), but for a stream that depends on itself, an error since RFC 7540, 5.3.1.
// c.mu is held.
func (c *Conn) onPriority(f *http2.PriorityFrame) error {
	if f.StreamDep == f.StreamID {
		return &streamError{f.StreamID, http2.ErrCodeProtocol, "a stream depends on itself"}
	}
	return c.spend(&c.budgets.chatter, "PRIORITY frames")
}

// onData handles a DATA frame (RFC 9113, 6.1).
func (c *Conn) onData(f *http2.DataFrame) error {
	c.mu.Lock()
	c.lastFrame = c.lastRead
	r, err := c.data(f)
	c.mu.Unlock()
	if r != nil {
		c.cfg.Handler.ServeRequest(r)
	}
	return err
}

// data takes the bytes of a DATA frame, and returns the request if they were
// the last of it. c.mu is held.
func (c *Conn) data(f *http2.DataFrame) (*Request, error) {
	if c.ended {
		return nil, errEnded
	}
	if c.idle(f.StreamID) {
		return nil, connError(http2.ErrCodeProtocol, "DATA on an idle stream")
	}
	// Padding counts, and so do frames that come late (RFC 9113, 6.9).
	n := int64(f.Length)
	if err := c.receiveConn(n); err != nil {
		return nil, err
	}
	if !f.StreamEnded() {
		if err := c.spend(&c.budgets.chatter, "small DATA frames"); err != nil {
			return nil, err
		}
	}
	st := c.streams[f.StreamID]
	switch {
	case st == nil && c.closed.find(f.StreamID) == closedByUs:
		return nil, c.spend(&c.budgets.chatter, "DATA frames on closed streams")
	case st == nil || st.remoteEnded:
		return nil, &streamError{f.StreamID, http2.ErrCodeStreamClosed, "DATA after the end of the stream"}
	}

	data := f.Data()
	st.received += int64(len(data))
	if st.declared >= 0 && st.received > st.declared {
		return nil, &streamError{st.id, http2.ErrCodeProtocol, "body longer than its content-length"}
	}
	discarded := st.received - int64(c.cfg.MaxBodyBytes)
	more := !f.StreamEnded() && discarded <= maxDiscardedBodyBytes
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
	if f.StreamEnded() {
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
