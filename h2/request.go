package h2

import (
	"net/http"
	"sync"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// Handler answers requests.
type Handler interface {
	// ServeRequest is called for each request, once it is complete: header
	// fields and whole body. All calls for one connection come from its read
	// loop, in the order in which the requests became complete.
	//
	// It must not block: nothing else is read from the connection until it
	// returns. It must see to it that Respond, Reset or Neglect is called on r, once, at any
	// time and from any goroutine: until then r counts as a request in
	// progress.
	ServeRequest(r *Request)
}

// Request is one request of the peer.
//
// A Request and all that it refers to, the strings and the body included,
// belong to the handler until it calls Respond or Reset; both give it back to
// be used for another request, so nothing of it may be looked at after. What is
// needed for longer is copied before, with strings.Clone and bytes.Clone, or
// taken with TakeBody.
type Request struct {
	// Method is the :method pseudo-header, never empty.
	Method string
	// Path is the :path pseudo-header, with the query if there is one. It is
	// empty only for the method CONNECT.
	Path string
	// Authority is the :authority pseudo-header, or the host header where
	// that is missing. It may be empty.
	Authority string
	// Fields are the regular header fields in the order of the wire,
	// repetitions included. Their names are in lower case. Trailers are not among
	// them: they are dropped.
	Fields []hpack.HeaderField
	// Body is the body, or the first Config.MaxBodyBytes bytes of it.
	Body []byte
	// BodyTooLarge says that the body was longer than Config.MaxBodyBytes.
	BodyTooLarge bool

	conn   *Conn
	id     uint32
	stream *stream // it may have been given to another request since
	memos  []*Memo // of Fields, one each
	text   []byte  // what the strings refer to
}

// requests holds the requests that are not in use, for all connections.
var requests = sync.Pool{New: func() any { return new(Request) }}

// Bounds of what a request that is not in use may hold on to.
const (
	maxPooledBody   = 64 << 10
	maxPooledFields = maxHeaderFields
	maxPooledText   = 16 << 10
)

// newRequest returns an empty request of c.
func newRequest(c *Conn, id uint32) *Request {
	r, ok := requests.Get().(*Request)
	if !ok {
		r = new(Request)
	}
	r.conn, r.id = c, id
	if r.text == nil {
		r.text = make([]byte, 0, 512)
	}
	return r
}

// release gives r back, without what it refers to.
func (r *Request) release() {
	clear(r.Fields)
	clear(r.memos)
	fields, memos, body, text := r.Fields[:0], r.memos[:0], r.Body[:0], r.text[:0]
	if cap(fields) > maxPooledFields {
		fields, memos = nil, nil
	}
	if cap(body) > maxPooledBody {
		body = nil
	}
	if cap(text) > maxPooledText {
		text = nil
	}
	if spoiling {
		for i := range r.text {
			r.text[i] = '?'
		}
		for i := range r.Body {
			r.Body[i] = '?'
		}
	}
	*r = Request{Fields: fields, memos: memos, Body: body, text: text}
	requests.Put(r)
}

// Conn returns the connection on which r came.
func (r *Request) Conn() *Conn { return r.conn }

// StreamID returns the number of the stream on which r came.
func (r *Request) StreamID() uint32 { return r.id }

// Memo returns the memo of the i-th of Fields, or nil if its value is not
// remembered; see Config.Remember. It may be called only on the goroutine that
// calls ServeRequest, before that returns.
func (r *Request) Memo(i int) *Memo { return r.memos[i] }

// open returns the stream of r if it is still open. c.mu is held.
func (r *Request) open() *stream {
	if st := r.stream; st.id == r.id && !r.conn.ended {
		return st
	}
	return nil
}

// TakeBody returns the body and makes it the caller's own, to be kept for as
// long as it likes. The body of r is empty afterwards.
func (r *Request) TakeBody() []byte {
	b := r.Body
	r.Body = nil
	return b
}

// Respond answers r and gives it back. The answer has the status, from 200 to
// 999, the fields, with names in lower case, and the body. Without a body it
// is a HEADERS frame that ends the stream; with a body of at most 16384 bytes
// a HEADERS frame and one DATA frame that ends the stream, unless the peer
// allows a stream less than that at a time. The answer to HEAD has no body, though
// the fields may speak of one.
//
// Respond never waits for the network and may be called from any goroutine. It
// keeps neither fields nor body. If the peer has reset the stream, or the
// connection has ended, it only gives r back. It is called once: after it, r may
// already be another request.
func (r *Request) Respond(status int, fields []hpack.HeaderField, body []byte) {
	c := r.conn
	c.mu.Lock()
	c.working--
	if st := r.open(); st != nil {
		if r.Method == http.MethodHead {
			body = nil // RFC 9110, 9.3.2
		}
		c.answer(st, status, fields, body)
		c.credit()
		c.signal()
	}
	c.mu.Unlock()
	r.release()
}

// Reset ends the stream of r with RST_STREAM instead of an answer, and gives r
// back. All that is said of Respond holds for it too.
func (r *Request) Reset(code http2.ErrCode) {
	c := r.conn
	c.mu.Lock()
	c.working--
	if st := r.open(); st != nil {
		c.resetStream(st.id, code)
		c.signal()
	}
	c.mu.Unlock()
	r.release()
}

// Neglect gives r back without an answer. The stream stays open, and counts as one,
// until the peer resets it or the connection ends. All that is said of Respond
// holds for it too.
func (r *Request) Neglect() {
	c := r.conn
	c.mu.Lock()
	c.working--
	c.mu.Unlock()
	r.release()
}
