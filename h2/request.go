package h2

import (
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
	// returns. It must see to it that Respond or Reset is called on r, once, at any
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

	conn *Conn
	id   uint32
}

// requests holds the requests that are not in use, for all connections.
var requests = sync.Pool{New: func() any { return new(Request) }}

// Bounds of what a request that is not in use may hold on to.
const (
	maxPooledBody   = 64 << 10
	maxPooledFields = maxHeaderFields
)

// newRequest returns an empty request of c.
func newRequest(c *Conn, id uint32) *Request {
	r, ok := requests.Get().(*Request)
	if !ok {
		r = new(Request)
	}
	r.conn, r.id = c, id
	return r
}

// release gives r back, without what it refers to.
func (r *Request) release() {
	clear(r.Fields)
	fields, body := r.Fields[:0], r.Body[:0]
	if cap(fields) > maxPooledFields {
		fields = nil
	}
	if cap(body) > maxPooledBody {
		body = nil
	}
	*r = Request{Fields: fields, Body: body}
	requests.Put(r)
}

// Conn returns the connection on which r came.
func (r *Request) Conn() *Conn { return r.conn }

// StreamID returns the number of the stream on which r came.
func (r *Request) StreamID() uint32 { return r.id }

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
// allows a stream less than that at a time.
//
// Respond never waits for the network and may be called from any goroutine. It
// keeps neither fields nor body. If the peer has reset the stream, or the
// connection has ended, it only gives r back. It is called once: after it, r may
// already be another request.
func (r *Request) Respond(status int, fields []hpack.HeaderField, body []byte) {
	c := r.conn
	c.mu.Lock()
	c.working--
	if st := c.streams[r.id]; st != nil && !c.ended {
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
	if st := c.streams[r.id]; st != nil && !c.ended {
		c.resetStream(st.id, code)
		c.signal()
	}
	c.mu.Unlock()
	r.release()
}
