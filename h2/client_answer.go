package h2

import (
	"slices"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// answerBlock is the header block of an answer that is being read.
type answerBlock struct {
	fragments

	call      *Call // nil if it is decoded only to keep the decoder in step
	trailers  bool  // what comes after the body
	status    int   // 0 if there was none yet
	regular   bool  // a regular field has been seen
	listBytes uint32
	fields    int
	tooLarge  bool   // the list is over a limit, and the rest of it not looked at
	malformed string // what is wrong with it; empty if nothing is
}

// spoil notes the first thing that is wrong with b.
func (b *answerBlock) spoil(what string) {
	if b.malformed == "" {
		b.malformed = what
	}
}

// onHeaders handles a HEADERS frame (RFC 9113, 6.2). c.mu is held.
func (c *ClientConn) onHeaders(f *frame) error {
	if c.unopened(f.stream) {
		return connError(http2.ErrCodeProtocol, "HEADERS on an idle stream")
	}
	p, _, err := f.block()
	if err != nil {
		return err
	}
	b := &c.block
	*b = answerBlock{fragments: b.begin(f)}
	if f.has(http2.FlagHeadersEndHeaders) {
		return c.decode(p)
	}
	return b.keep(p)
}

// onContinuation handles a CONTINUATION frame (RFC 9113, 6.10). c.mu is held.
func (c *ClientConn) onContinuation(f *frame) error {
	whole, err := c.block.resume(f)
	if err != nil || c.block.open {
		return err
	}
	err = c.decode(whole)
	c.block.encoded = nil
	return err
}

// decode decodes the block in progress, which is p, and uses it. The call may
// have been cancelled since the block began. c.mu is held.
func (c *ClientConn) decode(p []byte) error {
	b := &c.block
	b.call = c.calls.find(b.id)
	d := &c.dec
	if b.call != nil {
		b.trailers = b.call.answered
		d.begin(b.call.text, true)
	} else {
		d.begin(nil, false)
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
	if b.call == nil {
		return c.spend(&c.budgets.chatter, "HEADERS frames on closed streams")
	}
	b.call.text, d.text = d.text, nil
	return c.endOfBlock()
}

// take takes a field of the block in progress from the decoder.
func (c *ClientConn) take(f *decodedField) {
	b := &c.block
	b.listBytes += f.size()
	b.fields++
	if b.listBytes > c.cfg.MaxHeaderListBytes || b.fields > maxHeaderFields {
		b.tooLarge = true
		c.dec.want = false // the decoder goes on keeping in step
		return
	}
	switch f.kind {
	case kindMethod, kindScheme, kindPath, kindAuthority, kindPseudo:
		b.pseudo(f)
		return
	case kindNameless:
		b.spoil("header field without a name")
	case kindInvalid:
		b.spoil("character not allowed in the name of a header field")
	case kindConnection:
		b.spoil("header field " + f.name + ", which is of a connection")
	default:
	}
	b.regular = true
	if !f.valid {
		b.spoil("character not allowed in the value of a header field")
	}
	if !b.trailers && slices.Contains(c.cfg.Wanted, f.name) {
		b.call.Answer = append(b.call.Answer, hpack.HeaderField{Name: f.name, Value: f.value, Sensitive: f.sensitive})
	}
}

// pseudo takes a pseudo-header: :status, once and first (RFC 9113, 8.3.2).
func (b *answerBlock) pseudo(f *decodedField) {
	s := f.value
	switch {
	case b.trailers:
		b.spoil("pseudo-header in trailers")
	case b.regular:
		b.spoil("pseudo-header after a regular field")
	case f.name != ":status":
		b.spoil("pseudo-header that answers do not have")
	case b.status != 0:
		b.spoil("pseudo-header :status twice")
	case len(s) != 3 || s[0] < '1' || s[0] > '9' || s[1] < '0' || s[1] > '9' || s[2] < '0' || s[2] > '9':
		b.spoil(":status not of three digits")
	default:
		b.status = int(s[0]-'0')*100 + int(s[1]-'0')*10 + int(s[2]-'0')
	}
}

// endOfBlock uses the block in progress, which is complete. c.mu is held.
func (c *ClientConn) endOfBlock() error {
	b := &c.block
	call := b.call
	b.call = nil
	switch {
	case b.tooLarge:
		return &streamError{b.id, http2.ErrCodeEnhanceYourCalm, "header fields of the answer too large"}
	case b.malformed != "":
		return &streamError{b.id, http2.ErrCodeProtocol, b.malformed}
	case b.trailers && !b.ends:
		return &streamError{b.id, http2.ErrCodeProtocol, "a second HEADERS that does not end the stream"}
	case b.trailers:
		c.complete(call)
		return nil
	case b.status == 0:
		return &streamError{b.id, http2.ErrCodeProtocol, "no :status"}
	case b.status < 200 && b.ends:
		return &streamError{b.id, http2.ErrCodeProtocol, "an informational answer that ends the stream"}
	case b.status < 200:
		// RFC 9110, 15.2: the answer is still to come.
		call.Answer, call.text = call.Answer[:0], call.text[:0]
		return c.spend(&c.budgets.chatter, "informational answers")
	}
	call.Status, call.answered = b.status, true
	if b.ends {
		c.complete(call)
	}
	return nil
}
