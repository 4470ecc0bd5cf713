package scripted

import (
	"crypto/tls"
	"encoding/binary"
	"net"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/heraldpush/herald/apns"
)

// settings are those of the gateway that the client must keep to.
type settings struct {
	limit  int // of streams
	window int // of a new stream
}

// setLimit and setWindow are the settings that an action sends.
func setLimit(n int) http2.Setting {
	return http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: uint32(n)}
}

func setWindow(n int) http2.Setting {
	return http2.Setting{ID: http2.SettingInitialWindowSize, Val: uint32(n)}
}

// firstSettings lets the connection begin to write.
func (c *conn) firstSettings() {
	all := []http2.Setting{setLimit(streams(c.script.Streams))}
	if c.script.Window > 0 {
		all = append(all, setWindow(c.script.Window))
	}
	early := slices.Clone(c.out.Bytes()) // what waited for this
	c.out.Reset()
	c.ready = true
	c.settings(append(all, c.script.Settings...)...)
	c.out.Write(early)
}

// settings sends SETTINGS and notes what they demand.
func (c *conn) settings(all ...http2.Setting) {
	now := c.acked
	if len(c.unacked) > 0 {
		now = c.unacked[len(c.unacked)-1]
	}
	for _, s := range all {
		switch s.ID { //nolint:exhaustive // the others are nothing that can be checked here
		case http2.SettingMaxConcurrentStreams:
			now.limit = int(s.Val)
		case http2.SettingInitialWindowSize:
			now.window = int(s.Val)
		}
	}
	c.limit = now.limit
	c.unacked = append(c.unacked, now)
	c.write(func(f *http2.Framer) error { return f.WriteSettings(all...) })
}

// write appends frames to what is written. The caller holds the lock.
func (c *conn) write(frames func(*http2.Framer) error) {
	if c.over || c.stopping || c.vanished {
		return
	}
	if err := frames(c.framer); err != nil || c.out.Len() > maxOutBytes {
		c.end() // a frame that is too long to be one, or a client that never reads
		return
	}
	signal(c.wake)
}

// writeAll writes what there is, until the end.
func (c *conn) writeAll(nc net.Conn) {
	var out []byte
	for {
		c.g.mu.Lock()
		stop, as := false, c.stopAs
		out = out[:0]
		if c.ready || c.stopping {
			if c.ready {
				out = append(out, c.out.Bytes()...)
				c.out.Reset()
			}
			stop = c.stopping
		}
		c.g.mu.Unlock()
		if len(out) > 0 {
			if _, err := nc.Write(out); err != nil {
				c.g.mu.Lock()
				c.end()
				c.g.mu.Unlock()
				return
			}
		}
		if stop {
			c.stopNow(nc, as)
			return
		}
		select {
		case <-c.wake:
		case <-c.done:
			return
		}
	}
}

// stop ends what is written, in one way or other, behind what already is.
func (c *conn) stop(as Fault) {
	if c.stopping || c.over {
		return
	}
	c.stopping, c.stopAs = true, as
	if as != HalfClose {
		c.after(lingering, c.end) // also where the client does not read
	}
	signal(c.wake)
}

// stopNow ends what is written. The reader goes on until the client closes.
func (c *conn) stopNow(nc net.Conn, as Fault) {
	var err error
	if secure, ok := nc.(*tls.Conn); ok && (as == Close || as == HalfClose) {
		err = secure.CloseWrite()
	}
	if as == Reset {
		err = c.nc.reset()
	} else if err == nil {
		err = c.nc.closeWrite()
	}
	if err != nil || as == Reset {
		c.g.mu.Lock()
		c.end()
		c.g.mu.Unlock()
	}
}

// cutFrame writes the beginning of a frame, and stops.
func (c *conn) cutFrame() {
	c.write(func(f *http2.Framer) error {
		whole := c.out.Len()
		if err := f.WritePing(false, [8]byte{}); err != nil {
			return err
		}
		c.out.Truncate(whole + (c.out.Len()-whole)/2)
		return nil
	})
	c.stop(CutFrame)
}

// ping sends a PING of its own number.
func (c *conn) ping() {
	c.pingNumber++
	var data [8]byte
	binary.BigEndian.PutUint64(data[:], c.pingNumber)
	c.write(func(f *http2.Framer) error { return f.WritePing(false, data) })
}

// grant gives the client window for n bytes more. For the connection it notes that.
func (c *conn) grant(id uint32, n int) {
	if id == 0 {
		c.recvWindow += n
	}
	c.write(func(f *http2.Framer) error { return f.WriteWindowUpdate(id, uint32(n)) })
}

// decided does what was decided on a push.
func (c *conn) decided(st *stream, r Reply) {
	if c.over || c.streams[st.id] != st {
		return // it ended meanwhile
	}
	st.reply, st.behind = r, r.behind
	if !r.notProcessed {
		c.g.record.process(st.push)
	}
	c.g.record.fate(st.push, Waiting)
	c.pushes++
	held := c.held
	c.held = nil
	for _, other := range held {
		if other.behind--; other.behind > 0 {
			c.held = append(c.held, other)
		} else {
			c.answerLater(other)
		}
	}
	if st.behind > 0 {
		c.held = append(c.held, st)
	} else {
		c.answerLater(st)
	}
	c.step()
}

// answerLater answers a push after the delay of its reply.
func (c *conn) answerLater(st *stream) {
	if d := st.reply.delay; d > 0 {
		c.after(d, func() { c.answer(st) })
	} else {
		c.answer(st)
	}
}

// answer answers a push.
func (c *conn) answer(st *stream) {
	if c.streams[st.id] != st || c.stopping || c.vanished || c.script.NoSettings {
		return // it ended meanwhile, or nothing can be said any more
	}
	r := st.reply
	switch r.end {
	case endSilent:
		c.g.record.fate(st.push, Unanswered)
	case endReset:
		to := ResetStream
		if r.code == http2.ErrCodeRefusedStream {
			to = RefusedStream
		}
		c.reset(st, r.code, to)
	case endHalf:
		c.interim(st)
		c.fields(st, c.answerFields(st), false)
		c.g.record.fate(st.push, Unanswered)
		c.answered = max(c.answered, st.id)
	case endWhole:
		c.answered = max(c.answered, st.id)
		if succeeds(r.statusCode()) {
			c.accepted++
			c.g.record.fate(st.push, Accepted)
		} else {
			c.g.record.fate(st.push, Rejected)
		}
		c.interim(st)
		st.body, st.trailers = cut(r.text(), r.frames), r.trailers
		c.fields(st, c.answerFields(st), len(st.body) == 0 && len(st.trailers) == 0)
		c.pumpStream(st)
	}
	for _, a := range r.then {
		a.do(c)
	}
	c.step()
}

// cut cuts a body into n pieces, none of them empty.
func cut(body []byte, n int) [][]byte {
	if len(body) == 0 {
		return nil
	}
	n = max(1, min(n, len(body)))
	return slices.Collect(slices.Chunk(body, (len(body)+n-1)/n))
}

// interim writes the answers before the answer.
func (c *conn) interim(st *stream) {
	for _, status := range st.reply.interim {
		c.fields(st, []hpack.HeaderField{{Name: ":status", Value: strconv.Itoa(status)}}, false)
	}
}

// answerFields returns the header fields of an answer.
func (c *conn) answerFields(st *stream) []hpack.HeaderField {
	r := st.reply
	all := []hpack.HeaderField{{Name: ":status", Value: strconv.Itoa(r.statusCode())}}
	id := st.push.ID
	switch r.id {
	case idEcho:
	case idUpper:
		id = apns.NotificationID(strings.ToUpper(string(id)))
	case idOther:
		id = r.otherID
	case idNone:
		id = ""
	}
	if id != "" {
		all = append(all, hpack.HeaderField{Name: "apns-id", Value: string(id)})
	}
	if len(r.text()) > 0 {
		all = append(all, hpack.HeaderField{Name: "content-type", Value: "application/json"})
	}
	return append(all, r.fields...)
}

// fields writes a header block.
func (c *conn) fields(st *stream, all []hpack.HeaderField, end bool) {
	c.block.Reset()
	for _, f := range all {
		c.encoder.WriteField(f) //nolint:errcheck // a buffer takes all
	}
	block := c.block.Bytes()
	c.write(func(f *http2.Framer) error {
		first := block[:min(len(block), c.peerFrame)]
		err := f.WriteHeaders(http2.HeadersFrameParam{
			StreamID: st.id, BlockFragment: first, EndStream: end, EndHeaders: len(first) == len(block),
		})
		for rest := block[len(first):]; err == nil && len(rest) > 0; {
			next := rest[:min(len(rest), c.peerFrame)]
			rest = rest[len(next):]
			err = f.WriteContinuation(st.id, len(rest) == 0, next)
		}
		return err
	})
	if end {
		c.finish(st)
	}
}

// pump writes what there is window for.
func (c *conn) pump() {
	for _, st := range c.above(0) {
		if len(st.body) > 0 {
			c.pumpStream(st)
		}
	}
}

// pumpStream writes what of a body there is window for, and what comes behind it.
func (c *conn) pumpStream(st *stream) {
	for len(st.body) > 0 {
		piece := st.body[0]
		n := min(len(piece), st.sendWindow, c.sendWindow, c.peerFrame)
		if n <= 0 {
			return
		}
		if st.body[0] = piece[n:]; n == len(piece) {
			st.body = st.body[1:]
		}
		st.sendWindow -= n
		c.sendWindow -= n
		end := len(st.body) == 0 && len(st.trailers) == 0
		c.write(func(f *http2.Framer) error { return f.WriteData(st.id, end, piece[:n]) })
		if end {
			c.finish(st)
			return
		}
	}
	if len(st.trailers) > 0 {
		c.fields(st, st.trailers, true)
	}
}

// finish forgets a stream that both sides have ended: an answer is only given to
// a push that is whole.
func (c *conn) finish(st *stream) {
	delete(c.streams, st.id)
	c.endIfDone()
}

// drop forgets a stream that came to another end than an answer.
func (c *conn) drop(st *stream, to Fate) {
	delete(c.streams, st.id)
	switch st.push.Fate {
	case Accepted, Rejected: // the rest of its body is not wanted
	default:
		c.g.record.fate(st.push, to)
	}
}

// reset resets a stream.
func (c *conn) reset(st *stream, code http2.ErrCode, to Fate) {
	c.write(func(f *http2.Framer) error { return f.WriteRSTStream(st.id, code) })
	c.drop(st, to)
	c.endIfDone()
}

// refuseOpen resets all streams that were not answered with REFUSED_STREAM, which
// says that nothing was done with them (RFC 9113 section 8.7).
func (c *conn) refuseOpen() {
	for _, st := range c.above(0) {
		if st.push.Fate == Accepted || st.push.Fate == Rejected || st.push.Fate == Unanswered && st.reply.end == endHalf {
			continue // its answer has begun
		}
		c.g.record.unprocess(st.push)
		c.reset(st, http2.ErrCodeRefusedStream, RefusedStream)
	}
}
