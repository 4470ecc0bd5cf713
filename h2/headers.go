package h2

import (
	"strconv"

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
	fragments

	kind   blockKind
	code   http2.ErrCode // of the RST_STREAM for a block that is dropped; none for NO_ERROR
	reason string        // why it is dropped
	req    *Request      // of blockRequest

	listBytes uint32 // decoded, as RFC 9113, 6.5.2 counts
	fields    int
	tooLarge  bool   // the list is over a limit, and the rest of it not looked at
	malformed string // what is wrong with it; empty if nothing is

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

// onHeaders handles a HEADERS frame (RFC 9113, 6.2). c.mu is held, but not
// while the handler runs.
func (c *Conn) onHeaders(f *frame) error {
	id := f.stream
	if id%2 == 0 {
		return connError(http2.ErrCodeProtocol, "HEADERS on a stream with an even number")
	}
	p, dependsOnItself, err := f.block()
	if err != nil {
		return err
	}
	b := &c.block
	*b = headerBlock{fragments: b.begin(f), declared: -1}
	if err := c.classify(b); err != nil {
		return err
	}
	if b.kind == blockRequest {
		b.req = newRequest(c, id)
	}
	if dependsOnItself {
		b.spoil("a stream depends on itself")
	}
	if f.has(http2.FlagHeadersEndHeaders) {
		return c.decode(p)
	}
	return b.keep(p)
}

// classify finds out what b is for, from the state of its stream (RFC 9113,
// 5.1 and 5.1.1). c.mu is held.
func (c *Conn) classify(b *headerBlock) error {
	st := c.streams.find(b.id)
	switch {
	case st != nil && st.remoteEnded:
		b.refuse(http2.ErrCodeStreamClosed, "HEADERS after the end of the stream")
	case st != nil:
		b.kind = blockTrailers
	case b.id > c.maxID:
		c.maxID = b.id
		if c.crowded() {
			b.refuse(http2.ErrCodeRefusedStream, "more streams than the limit")
			return c.spendRefusal()
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
	return c.streams.count >= limit || c.working >= max(limit, 1)
}

// spendRefusal pays for a stream that is refused. Its error has the code that
// Apple's service has for far too many streams
// (docs/protocol/provider.md#goaway), unless it was resetting them that made
// them too many. c.mu is held.
func (c *Conn) spendRefusal() error {
	if c.streams.count < c.streamLimit() {
		return c.spend(&c.budgets.resets, "streams reset")
	}
	if c.budgets.refusals.spend(c.lastRead) {
		return nil
	}
	return connError(http2.ErrCodeRefusedStream, "far more streams than SETTINGS_MAX_CONCURRENT_STREAMS")
}

// onContinuation handles a CONTINUATION frame (RFC 9113, 6.10). c.mu is held,
// but not while the handler runs.
func (c *Conn) onContinuation(f *frame) error {
	b := &c.block
	whole, err := b.resume(f)
	if err != nil || b.open {
		return err
	}
	err = c.decode(whole)
	b.encoded = nil
	return err
}

// decode decodes the block in progress, which is p, and uses it. c.mu is held,
// but not while the handler runs.
func (c *Conn) decode(p []byte) error {
	b := &c.block
	d := &c.dec
	if b.kind == blockRequest {
		d.begin(b.req.text, true)
	} else {
		d.begin(c.text[:0], b.kind == blockTrailers)
	}
	var f decodedField
	for len(p) > 0 {
		rest, ok, err := d.next(p, &f)
		if err != nil {
			return blockError(err)
		}
		if ok {
			c.take(&f)
		}
		p = rest
	}
	if b.kind == blockRequest {
		b.req.text = d.text
	} else if cap(d.text) <= maxPooledText {
		c.text = d.text // of trailers: nobody looks at it any more
	}
	d.text = nil
	return c.endOfBlock()
}

// endOfBlock uses the block in progress, which is complete. c.mu is held, but
// not while the handler runs.
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
	return c.spend(&c.budgets.chatter, "HEADERS frames on closed streams")
}

// request opens a stream for the block in progress. c.mu is held, but not while
// the handler runs.
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

	st := c.openStream(b.id)
	st.declared = b.declared
	if b.tooLarge {
		// RFC 9113, 10.5.1. It is seldom a request of a client that means well.
		st.remoteEnded = b.ends
		c.answer(st, 431, nil, nil)
		r.release()
		return c.spend(&c.budgets.resets, "requests with too large headers")
	}
	st.req = r
	r.stream = st
	if !b.ends {
		c.receiving.push(st)
		c.arm(st.opened.Add(c.cfg.RequestTimeout))
		return nil
	}
	r, err := c.endOfRequest(st)
	if r != nil {
		c.serve(r)
	}
	return err
}

// trailers ends the body that the block in progress follows. Its fields are
// dropped. c.mu is held, but not while the handler runs.
func (c *Conn) trailers() error {
	b := &c.block
	switch {
	case !b.ends:
		return &streamError{b.id, http2.ErrCodeProtocol, "a second HEADERS that does not end the stream"}
	case b.malformed != "":
		return &streamError{b.id, http2.ErrCodeProtocol, b.malformed}
	}
	st := c.streams.find(b.id)
	if st == nil {
		return nil // the handler has answered a body that was too large meanwhile
	}
	r, err := c.endOfRequest(st)
	if r != nil {
		c.serve(r)
	}
	return err
}

// take takes a field of the block in progress from the decoder.
func (c *Conn) take(f *decodedField) {
	b := &c.block
	b.listBytes += f.size()
	b.fields++
	if b.listBytes > c.cfg.MaxHeaderListBytes || b.fields > maxHeaderFields {
		b.tooLarge = true
		c.dec.want = false // the decoder goes on keeping in step
		return
	}
	switch f.kind {
	case kindNameless:
		b.spoil("header field without a name")
	case kindMethod, kindScheme, kindPath, kindAuthority, kindPseudo:
		b.pseudo(f)
	default:
		b.field(f)
	}
}

// pseudo takes a pseudo-header (RFC 9113, 8.3.1).
func (b *headerBlock) pseudo(f *decodedField) {
	switch {
	case b.kind != blockRequest:
		b.spoil("pseudo-header in trailers")
		return
	case b.regular:
		b.spoil("pseudo-header after a regular field")
		return
	case !f.valid:
		b.spoil("character not allowed in a pseudo-header")
		return
	}
	var seen *bool
	switch f.kind {
	case kindMethod:
		seen = &b.methodSeen
		b.req.Method = f.value
	case kindScheme:
		seen = &b.scheme
	case kindPath:
		seen = &b.pathSeen
		b.req.Path = f.value
	case kindAuthority:
		seen = &b.authority
		b.req.Authority = f.value
	default:
		b.spoil("unknown pseudo-header")
		return
	}
	if *seen {
		b.spoil("pseudo-header " + f.name + " twice")
	}
	*seen = true
}

// field takes a regular field (RFC 9113, 8.2).
func (b *headerBlock) field(f *decodedField) {
	b.regular = true
	switch {
	case f.kind == kindInvalid:
		b.spoil("character not allowed in the name of a header field")
		return
	case !f.valid:
		b.spoil("character not allowed in the value of a header field")
		return
	}
	switch f.kind {
	case kindConnection:
		b.spoil("header field " + f.name + ", which is of a connection")
	case kindTE:
		if f.value != "trailers" {
			b.spoil("header field te with a value other than trailers")
		}
	case kindContentLength:
		b.contentLength(f.value)
	case kindHost:
		// RFC 9113, 8.3.1: it stands for :authority where that is missing.
		if b.kind == blockRequest && !b.authority {
			b.req.Authority = f.value
		}
	default:
	}
	if b.kind == blockRequest {
		b.req.Fields = append(b.req.Fields, hpack.HeaderField{Name: f.name, Value: f.value, Sensitive: f.sensitive})
		b.req.memos = append(b.req.memos, f.memo)
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
