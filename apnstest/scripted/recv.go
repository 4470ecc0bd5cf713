package scripted

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"golang.org/x/net/http2"
)

// readAll reads until the connection ends.
func (c *conn) readAll() {
	if !c.readPreface() {
		return
	}
	for first := true; c.nc.wait(0) == nil; first = false {
		f, err := c.framer.ReadFrame()
		if err != nil {
			if c.unread(err) {
				continue
			}
			// Where the client is at fault it is told, and has to have time to read that.
			io.Copy(io.Discard, c.in) //nolint:errcheck // nobody is interested in what it says
			return
		}
		c.g.mu.Lock()
		if settings, ok := f.(*http2.SettingsFrame); first && (!ok || settings.IsAck()) {
			c.violate(0, "the first frame is %v: it has to be SETTINGS", f.Header().Type)
		}
		whole := c.receive(f)
		over := c.over
		var p Push
		if c.tooLate() {
			whole = nil
		} else if whole != nil {
			p = whole.push.clone()
		}
		c.g.change()
		c.g.mu.Unlock()
		if over {
			return
		}
		if whole != nil {
			reply := c.g.answer(p)
			c.g.mu.Lock()
			c.decided(whole, reply)
			c.g.change()
			c.g.mu.Unlock()
		}
	}
}

func (c *conn) readPreface() bool {
	var preface [len(http2.ClientPreface)]byte
	n, err := io.ReadFull(c.in, preface[:])
	if n == 0 && err != nil || string(preface[:]) == http2.ClientPreface {
		return err == nil
	}
	c.g.mu.Lock()
	defer c.g.mu.Unlock()
	if err == nil {
		c.violate(0, "it does not begin with the preface of HTTP/2, but with %q", preface)
	}
	return false
}

// unread deals with a frame that could not be read, and reports whether there may be
// others behind it.
func (c *conn) unread(err error) bool {
	c.g.mu.Lock()
	defer c.g.mu.Unlock()
	detail := err
	if d := c.framer.ErrorDetail(); d != nil {
		detail = d
	}
	var of http2.StreamError
	var all http2.ConnectionError
	switch {
	case c.over:
		return false
	case errors.As(err, &of):
		c.violate(of.StreamID, "a frame that is not one: %v", detail)
		c.highest = max(c.highest, of.StreamID)
		if st := c.streams[of.StreamID]; st != nil {
			c.reset(st, of.Code, ResetStream)
		} else {
			c.write(func(f *http2.Framer) error { return f.WriteRSTStream(of.StreamID, of.Code) })
		}
		return true
	case errors.As(err, &all):
		c.fail(http2.ErrCode(all), "a frame that is not one: %v", detail)
	case errors.Is(err, http2.ErrFrameTooLarge):
		c.fail(http2.ErrCodeFrameSize, "a frame of more than %d bytes", maxFrameBytes)
	}
	return false
}

// violate takes down that the client broke a rule.
func (c *conn) violate(id uint32, format string, args ...any) {
	c.g.record.violate(Violation{Connection: c.number, Stream: id, What: fmt.Sprintf(format, args...)})
}

// fail takes down a violation after which the connection cannot go on.
func (c *conn) fail(code http2.ErrCode, format string, args ...any) {
	c.violate(0, format, args...)
	if !c.leaving {
		GoAway{Code: code, Close: true}.do(c)
	}
}

// receive takes in a frame. It returns the stream whose push that made whole.
func (c *conn) receive(f http2.Frame) *stream {
	if _, begins := f.(*http2.MetaHeadersFrame); c.tooLate() && !begins {
		return nil
	}
	switch f := f.(type) {
	case *http2.MetaHeadersFrame:
		return c.receiveHeaders(f)
	case *http2.DataFrame:
		return c.receiveData(f)
	case *http2.SettingsFrame:
		c.receiveSettings(f)
	case *http2.WindowUpdateFrame:
		c.receiveWindowUpdate(f)
	case *http2.PingFrame:
		c.receivePing(f)
	case *http2.RSTStreamFrame:
		c.receiveReset(f)
	case *http2.PushPromiseFrame:
		c.fail(http2.ErrCodeProtocol, "PUSH_PROMISE, which only the other side may send")
	}
	return nil // GOAWAY, PRIORITY and frames that are unknown change nothing here
}

func (c *conn) receiveHeaders(f *http2.MetaHeadersFrame) *stream {
	id := f.StreamID
	if st := c.streams[id]; st != nil { // trailers
		if st.ended || !f.StreamEnded() {
			c.violate(id, "HEADERS again that do not end the stream, or come behind its end")
			c.reset(st, http2.ErrCodeProtocol, ResetStream)
			return nil
		}
		return c.whole(st)
	}
	switch {
	case id%2 == 0:
		c.fail(http2.ErrCodeProtocol, "HEADERS on stream %d: a client's are odd", id)
		return nil
	case id <= c.highest:
		return nil // of one that was reset meanwhile
	}
	c.highest = id
	st := &stream{id: id, contentLength: -1, recvWindow: c.acked.window, sendWindow: c.peerWindow}
	st.push = &Push{Connection: c.number, Stream: id, Arrived: time.Now()}
	st.push.read(f.Fields)
	if text := st.push.Value("content-length"); text != "" {
		n, err := strconv.ParseUint(text, 10, 31)
		if err != nil {
			c.violate(id, "content-length is %q: it has to be a number", text)
		} else {
			st.contentLength = int(n)
		}
	}
	c.g.record.arrive(st.push)
	if c.tooLate() {
		c.g.record.fate(st.push, Lost)
		return nil
	}
	c.checkFields(st)
	if c.gone {
		c.violate(id, "a new stream, although GOAWAY was read")
	}
	if c.left && id > c.last {
		c.g.record.fate(st.push, LeftOut)
		return nil
	}
	if len(c.streams) >= c.acked.limit {
		c.g.record.violate(Violation{
			Connection: c.number, Stream: id, Racy: !c.overran,
			What: fmt.Sprintf("%d streams at once: the limit it has acknowledged is %d", len(c.streams)+1, c.acked.limit),
		})
		c.overran = true
	}
	c.streams[id] = st
	if len(c.streams) > c.limit {
		c.reset(st, http2.ErrCodeRefusedStream, RefusedStream)
		return nil
	}
	c.g.record.counts.MostStreams = max(c.g.record.counts.MostStreams, len(c.streams))
	c.begun++
	c.step()
	if f.StreamEnded() && c.streams[id] == st {
		return c.whole(st)
	}
	return nil
}

// tooLate reports whether the connection is at its end, and nothing is done any more
// with what still comes.
func (c *conn) tooLate() bool { return c.stopping && c.stopAs != HalfClose }

// checkFields checks what the framing leaves unchecked: the pseudo-header fields that a
// request has (RFC 9113 section 8.3.1), and the fields that it must not have
// (section 8.2.2).
func (c *conn) checkFields(st *stream) {
	for _, name := range []string{":method", ":scheme", ":path"} {
		if st.push.Value(name) == "" {
			c.violate(st.id, "no %s", name)
		}
	}
	for _, f := range st.push.Header {
		switch f.Name {
		case "connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade":
			c.violate(st.id, "the field %q belongs to HTTP/1", f.Name)
		case "te":
			if f.Value != "trailers" {
				c.violate(st.id, "te is %q: it can only be trailers", f.Value)
			}
		}
	}
}

func (c *conn) receiveData(f *http2.DataFrame) *stream {
	n := int(f.Length)
	if c.recvWindow -= n; c.recvWindow < 0 {
		c.fail(http2.ErrCodeFlowControl, "DATA of %d bytes: %d more than the window of the connection", n, -c.recvWindow)
		return nil
	}
	if c.owed += n; !c.script.NoCredit && c.owed > defaultWindow/2 {
		c.grant(0, c.owed)
		c.owed = 0
	}
	st := c.streams[f.StreamID]
	switch {
	case st == nil && f.StreamID > c.highest:
		c.fail(http2.ErrCodeProtocol, "DATA on stream %d, which was not begun", f.StreamID)
		return nil
	case st == nil:
		return nil // of one that was reset meanwhile
	case st.ended:
		c.violate(st.id, "DATA behind the end of the stream")
		c.reset(st, http2.ErrCodeStreamClosed, ResetStream)
		return nil
	}
	if st.recvWindow -= n; st.recvWindow < 0 {
		c.violate(st.id, "DATA of %d bytes: %d more than the window of the stream", n, -st.recvWindow)
		c.reset(st, http2.ErrCodeFlowControl, ResetStream)
		return nil
	}
	p := st.push
	p.BodyBytes += len(f.Data())
	p.Body = append(p.Body, f.Data()[:min(len(f.Data()), maxBodyBytes-len(p.Body))]...)
	if f.StreamEnded() {
		return c.whole(st)
	}
	if !c.script.NoCredit && n > 0 {
		st.recvWindow += n
		c.grant(st.id, n)
	}
	return nil
}

// whole notes the end of what the client sends on a stream.
func (c *conn) whole(st *stream) *stream {
	st.ended = true
	if n := st.push.BodyBytes; st.contentLength >= 0 && n != st.contentLength {
		c.violate(st.id, "content-length is %d, but the body has %d bytes", st.contentLength, n)
	}
	return st
}

func (c *conn) receiveSettings(f *http2.SettingsFrame) {
	if f.IsAck() {
		if len(c.unacked) == 0 {
			c.violate(0, "SETTINGS acknowledged that were never sent")
			return
		}
		before := c.acked
		c.acked, c.unacked = c.unacked[0], c.unacked[1:]
		c.overran = c.overran && c.acked.limit >= before.limit
		for _, st := range c.streams {
			st.recvWindow += c.acked.window - before.window
		}
		return
	}
	err := f.ForeachSetting(func(s http2.Setting) error {
		if err := s.Valid(); err != nil {
			return err
		}
		switch s.ID { //nolint:exhaustive // the others are nothing to who only answers
		case http2.SettingInitialWindowSize:
			by := int(s.Val) - c.peerWindow
			c.peerWindow = int(s.Val)
			for _, st := range c.streams {
				st.sendWindow += by
			}
		case http2.SettingMaxFrameSize:
			c.peerFrame = int(s.Val)
		case http2.SettingHeaderTableSize:
			c.encoder.SetMaxDynamicTableSizeLimit(s.Val)
		}
		return nil
	})
	if err != nil {
		c.fail(http2.ErrCodeProtocol, "SETTINGS with a value that cannot be: %v", err)
		return
	}
	c.write(func(f *http2.Framer) error { return f.WriteSettingsAck() })
	c.pump()
}

func (c *conn) receiveWindowUpdate(f *http2.WindowUpdateFrame) {
	window := &c.sendWindow
	if f.StreamID != 0 {
		st := c.streams[f.StreamID]
		if st == nil {
			return
		}
		window = &st.sendWindow
	}
	if *window += int(f.Increment); *window > unlimited {
		c.fail(http2.ErrCodeFlowControl, "WINDOW_UPDATE on stream %d beyond the largest window", f.StreamID)
		return
	}
	c.pump()
}

func (c *conn) receivePing(f *http2.PingFrame) {
	switch {
	case !f.IsAck():
		data := f.Data
		pong := func() { c.write(func(f *http2.Framer) error { return f.WritePing(true, data) }) }
		switch delay := c.script.PongDelay; {
		case delay == 0:
			pong()
		case delay > 0:
			c.after(delay, pong)
		}
	case f.Data == pingGoAway && c.second != nil:
		c.leaveSecond() // behind which comes the same PING
	case f.Data == pingGoAway:
		c.write(func(f *http2.Framer) error { return f.WritePing(false, pingGoAwayAgain) })
	case f.Data == pingGoAwayAgain:
		c.gone = true
	}
}

func (c *conn) receiveReset(f *http2.RSTStreamFrame) {
	if st := c.streams[f.StreamID]; st != nil {
		to := Cancelled
		if st.push.Fate == Unanswered {
			to = Unanswered
		}
		c.drop(st, to)
		c.endIfDone()
	} else if f.StreamID > c.highest {
		c.fail(http2.ErrCodeProtocol, "RST_STREAM on stream %d, which was not begun", f.StreamID)
	}
}
