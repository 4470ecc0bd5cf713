package h2

import (
	"errors"
	"strconv"
	"strings"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// blockKind is what a header block is for.
type blockKind uint8

const (
	blockDropped  blockKind = iota // decoded only to keep the decoder in step
	blockRequest                   // opens a stream
	blockTrailers                  // ends a body
)

// headerBlock is the header block that is being read: that of a HEADERS frame
// and the CONTINUATION frames after it.
type headerBlock struct {
	kind   blockKind
	id     uint32
	ends   bool          // END_STREAM was set
	code   http2.ErrCode // of the RST_STREAM for a block that is dropped; none for NO_ERROR
	reason string        // why it is dropped
	req    *Request      // of blockRequest

	bytes         int // encoded
	continuations int
	listBytes     uint32 // decoded, as RFC 9113, 6.5.2 counts
	fields        int
	tooLarge      bool   // the list is over a limit, and the rest of it not looked at
	malformed     string // what is wrong with it; empty if nothing is

	scheme     bool  // there was one
	authority  bool  // there was one
	regular    bool  // a regular field has been seen
	declared   int64 // content-length, or -1
	pathSeen   bool
	methodSeen bool
}

// refuse makes b one that is dropped, and its stream one that is reset.
func (b *headerBlock) refuse(code http2.ErrCode, reason string) {
	b.kind, b.code, b.reason = blockDropped, code, reason
}

// spoil notes the first thing that is wrong with b.
func (b *headerBlock) spoil(what string) {
	if b.malformed == "" {
		b.malformed = what
	}
}

// onHeaders handles a HEADERS frame (RFC 9113, 6.2).
func (c *Conn) onHeaders(f *http2.HeadersFrame) error {
	id := f.StreamID
	if id%2 == 0 {
		return connError(http2.ErrCodeProtocol, "HEADERS on a stream with an even number")
	}
	c.block = headerBlock{id: id, ends: f.StreamEnded(), declared: -1}
	b := &c.block

	c.mu.Lock()
	c.lastFrame = c.lastRead
	err := c.classify(b)
	c.mu.Unlock()
	if err != nil {
		return err
	}
	if b.kind == blockRequest {
		b.req = newRequest(c, id)
	}
	if f.HasPriority() && f.Priority.StreamDep == id {
		b.spoil("a stream depends on itself")
	}
	c.dec.SetEmitEnabled(b.kind != blockDropped)
	return c.fragment(f.HeaderBlockFragment(), f.HeadersEnded())
}

// classify finds out what b is for, from the state of its stream (RFC 9113,
// 5.1 and 5.1.1). c.mu is held.
func (c *Conn) classify(b *headerBlock) error {
	if c.ended {
		return errEnded
	}
	st := c.streams[b.id]
	switch {
	case st != nil && st.remoteEnded:
		b.refuse(http2.ErrCodeStreamClosed, "HEADERS after the end of the stream")
	case st != nil:
		b.kind = blockTrailers
	case b.id > c.maxID:
		c.maxID = b.id
		if c.crowded() {
			b.refuse(http2.ErrCodeRefusedStream, "more streams than the limit")
			return nil
		}
		b.kind = blockRequest
		c.accepted = b.id
	default:
		switch c.closed.find(b.id) {
		case closedByUs:
			// Sent before the peer knew. It is only decoded.
		case closedEnded, closedByPeer:
			return connError(http2.ErrCodeStreamClosed, "HEADERS on a closed stream")
		case closedUnknown:
			return connError(http2.ErrCodeProtocol, "HEADERS on a stream with a lower number than one before")
		}
	}
	return nil
}

// crowded reports whether one more stream would be too many. Requests in the
// handler's hands count even where the peer has reset the stream, so that
// resetting does not buy more work. c.mu is held.
func (c *Conn) crowded() bool {
	if c.departure != nil && c.departure.final {
		return true
	}
	limit := c.streamLimit()
	return len(c.streams) >= limit || c.working >= max(limit, 1)
}

// onContinuation handles a CONTINUATION frame; the parser has seen to it that
// it belongs to the block in progress (RFC 9113, 6.10).
func (c *Conn) onContinuation(f *http2.ContinuationFrame) error {
	c.block.continuations++
	if c.block.continuations > maxContinuations {
		return connError(http2.ErrCodeEnhanceYourCalm, "too many CONTINUATION frames")
	}
	return c.fragment(f.HeaderBlockFragment(), f.HeadersEnded())
}

// fragment decodes a part of the block in progress, and uses the block if it
// was the last part.
func (c *Conn) fragment(p []byte, last bool) error {
	b := &c.block
	b.bytes += len(p)
	if b.bytes > maxHeaderBlockBytes {
		return connError(http2.ErrCodeEnhanceYourCalm, "header block too large")
	}
	_, err := c.dec.Write(p)
	if err == nil && last {
		err = c.dec.Close()
	}
	switch {
	case errors.Is(err, hpack.ErrStringLength):
		return connError(http2.ErrCodeEnhanceYourCalm, "header field too large")
	case err != nil:
		return connError(http2.ErrCodeCompression, err.Error())
	case !last:
		return nil
	}
	return c.endOfBlock()
}

// endOfBlock uses the block in progress, which is complete.
func (c *Conn) endOfBlock() error {
	b := &c.block
	switch b.kind {
	case blockRequest:
		return c.request()
	case blockTrailers:
		return c.trailers()
	case blockDropped:
	}
	if b.code != http2.ErrCodeNo {
		return &streamError{b.id, b.code, b.reason}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.spend(&c.budgets.chatter, "HEADERS frames on closed streams")
}

// request opens a stream for the block in progress.
func (c *Conn) request() error {
	b := &c.block
	r := b.req
	b.req = nil
	if b.malformed == "" && !b.tooLarge {
		b.checkRequest(r)
	}
	if b.malformed != "" && !b.tooLarge {
		r.release()
		return &streamError{b.id, http2.ErrCodeProtocol, b.malformed}
	}

	c.mu.Lock()
	st := c.openStream(b.id)
	st.declared = b.declared
	if b.tooLarge {
		// RFC 9113, 10.5.1. It is seldom a request of a client that means well.
		st.remoteEnded = b.ends
		c.answer(st, 431, nil, nil)
		err := c.spend(&c.budgets.resets, "requests with too large headers")
		c.mu.Unlock()
		r.release()
		return err
	}
	st.req = r
	var err error
	if b.ends {
		r, err = c.endOfRequest(st)
	} else {
		r = nil
		c.receiving.push(st)
		c.arm(st.opened.Add(c.cfg.RequestTimeout))
	}
	c.mu.Unlock()
	if r != nil {
		c.cfg.Handler.ServeRequest(r)
	}
	return err
}

// trailers ends the body that the block in progress follows. Its fields are
// dropped.
func (c *Conn) trailers() error {
	b := &c.block
	switch {
	case !b.ends:
		return &streamError{b.id, http2.ErrCodeProtocol, "a second HEADERS that does not end the stream"}
	case b.malformed != "":
		return &streamError{b.id, http2.ErrCodeProtocol, b.malformed}
	}
	c.mu.Lock()
	var r *Request
	var err error
	// The handler may have answered a body that was too large meanwhile.
	if st := c.streams[b.id]; st != nil {
		r, err = c.endOfRequest(st)
	}
	c.mu.Unlock()
	if r != nil {
		c.cfg.Handler.ServeRequest(r)
	}
	return err
}

// emit takes a field of the block in progress from the decoder.
func (c *Conn) emit(f hpack.HeaderField) {
	b := &c.block
	b.listBytes += f.Size()
	b.fields++
	if b.listBytes > c.cfg.MaxHeaderListBytes || b.fields > maxHeaderFields {
		b.tooLarge = true
		c.dec.SetEmitEnabled(false) // the decoder goes on keeping in step
		return
	}
	switch {
	case f.Name == "":
		b.spoil("header field without a name")
	case f.Name[0] == ':':
		b.pseudo(f)
	default:
		b.field(f)
	}
}

// pseudo takes a pseudo-header (RFC 9113, 8.3.1).
func (b *headerBlock) pseudo(f hpack.HeaderField) {
	switch {
	case b.kind != blockRequest:
		b.spoil("pseudo-header in trailers")
		return
	case b.regular:
		b.spoil("pseudo-header after a regular field")
		return
	case !validValue(f.Value):
		b.spoil("character not allowed in a pseudo-header")
		return
	}
	var seen *bool
	switch f.Name {
	case ":method":
		seen = &b.methodSeen
		b.req.Method = f.Value
	case ":scheme":
		seen = &b.scheme
	case ":path":
		seen = &b.pathSeen
		b.req.Path = f.Value
	case ":authority":
		seen = &b.authority
		b.req.Authority = f.Value
	default:
		b.spoil("unknown pseudo-header")
		return
	}
	if *seen {
		b.spoil("pseudo-header " + f.Name + " twice")
	}
	*seen = true
}

// field takes a regular field (RFC 9113, 8.2).
func (b *headerBlock) field(f hpack.HeaderField) {
	b.regular = true
	switch {
	case !validName(f.Name):
		b.spoil("character not allowed in the name of a header field")
		return
	case !validValue(f.Value):
		b.spoil("character not allowed in the value of a header field")
		return
	}
	switch f.Name {
	case "connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade":
		b.spoil("header field " + f.Name + ", which is of a connection")
	case "te":
		if f.Value != "trailers" {
			b.spoil("header field te with a value other than trailers")
		}
	case "content-length":
		b.contentLength(f.Value)
	case "host":
		// RFC 9113, 8.3.1: it stands for :authority where that is missing.
		if b.kind == blockRequest && !b.authority {
			b.req.Authority = f.Value
		}
	}
	if b.kind == blockRequest {
		b.req.Fields = append(b.req.Fields, f)
	}
}

// contentLength takes the value of a content-length field, which may come
// again but not with another value (RFC 9110, 8.6).
func (b *headerBlock) contentLength(s string) {
	n, err := strconv.ParseUint(s, 10, 63)
	if err != nil || b.declared >= 0 && b.declared != int64(n) {
		b.spoil("content-length not valid")
		return
	}
	b.declared = int64(n)
}

// checkRequest notes what is missing from the request r (RFC 9113, 8.3.1 and 8.5).
func (b *headerBlock) checkRequest(r *Request) {
	switch {
	case r.Method == "":
		b.spoil("no :method")
	case r.Method == "CONNECT":
		if b.scheme || b.pathSeen || r.Authority == "" {
			b.spoil("CONNECT with :scheme or :path, or without :authority")
		}
	case !b.scheme:
		b.spoil("no :scheme")
	case r.Path == "":
		b.spoil("no :path")
	}
}

// validName reports whether s is the name of a header field: a token (RFC 9110,
// 5.6.2) in lower case.
func validName(s string) bool {
	for i := range len(s) {
		if !nameByte[s[i]] {
			return false
		}
	}
	return s != ""
}

// nameByte says which bytes a name may have.
var nameByte = func() (t [256]bool) {
	for _, b := range []byte("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz") {
		t[b] = true
	}
	return t
}()

// validValue reports whether s is the value of a header field: without NUL,
// line ends, and space at either end (RFC 9113, 8.2.1).
func validValue(s string) bool {
	if s == "" {
		return true
	}
	if isSpace(s[0]) || isSpace(s[len(s)-1]) {
		return false
	}
	return strings.IndexByte(s, 0) < 0 && strings.IndexByte(s, '\n') < 0 && strings.IndexByte(s, '\r') < 0
}

// isSpace reports whether b is a space or a tab.
func isSpace(b byte) bool { return b == ' ' || b == '\t' }
