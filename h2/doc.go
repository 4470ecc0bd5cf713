// Package h2 is both sides of an HTTP/2 connection, RFC 9113, for requests that
// are small, many and answered in bulk: [Conn] is the server's side, [ClientConn]
// the client's.
//
// It is a replacement for the HTTP/2 of net/http where that cannot do what the
// push service and those who send to it must: change
// SETTINGS_MAX_CONCURRENT_STREAMS on a live connection and follow it, put debug
// data into GOAWAY and read it, do without ALPN, bound a blocked write, and say for
// certain what was not processed. It is not for the web: there is no
// routing, no streaming body in either direction, no push and no upgrade; and
// it knows neither TLS nor what the requests mean. The caller hands over a
// [net.Conn] whose handshake is done, and under the TLS of which it had better put
// a [Socket].
//
// # The life of a request
//
// [Conn.Serve] runs one read loop, on the goroutine that called it. Frames are
// parsed where they were read to. A header block is decoded into the text of its
// request, against the limits on its size; the body is gathered in a buffer
// that is used again. When the request is complete the read loop calls
// [Handler.ServeRequest], which must not block. The handler answers with
// [Request.Respond], on the spot or later and from any goroutine. In the long
// run none of this allocates; that is why what a [Request] refers to is
// overwritten once it was answered.
//
// What a request says again, above all who sends it, is recognised without being
// decoded: see [Memo].
//
// An answer is appended to the one output buffer of the connection. The read
// loop writes that buffer out each time it has nothing left to parse and would
// wait for the network, so a batch of requests that arrived together, in however
// many TLS records, is answered in one write; an answer
// that comes while the read loop waits for input is written by the one other
// goroutine of the connection, the keeper, which also watches the clock. So
// Respond never waits for the network. A body for which the peer has granted no
// window waits in a queue that is bounded in bytes and in time.
//
// # The life of a call
//
// A [Call] is a request and its answer. [ClientConn.Start] encodes it, from any
// goroutine, straight into the output of the connection, or says that it does not
// fit now; it never waits. The keeper alone writes. Before it does it yields once, so
// that one write takes what many goroutines started. [ClientConn.Run] runs the read
// loop, which hands over the calls that one gulp of input finished as one batch; what
// is started in response goes out in one write again. A Call is used again and
// again, and brings the room for its answer with it, so in the long run nothing is
// allocated here either, and there is no goroutine for a call.
//
// Fields that many calls share are put into the dynamic table of the header
// compression by name, and are a byte or two from then on; those that differ each
// time stay out of it, where they would evict the others.
//
// Each call that was started is finished once, at the latest when Run returns:
// with an answer, or with a [CallError], which says whether the peer can have
// begun with it. What was never handed to the network, what is above the last
// stream of a GOAWAY frame, and what was refused can be sent again elsewhere without
// it happening twice.
//
// # Peers that misbehave
//
// Everything that a peer can make the connection hold or do is bounded: streams
// by the limit that it acknowledged, requests in the handler's hands by the
// same limit even when the peer has reset their streams, header blocks in
// bytes, fields, frames and time, bodies in bytes and time, output by making the
// read loop wait, and frames that cost work but bring no request by budgets that
// refill with time. A peer that exceeds a budget gets GOAWAY with ENHANCE_YOUR_CALM, or
// with REFUSED_STREAM if it opens far too many streams. See abuse.go for the
// figures. What a TLS record holds back until it is whole is bounded by the
// idle timeout alone.
//
// The same bounds hold for what a server sends to a client, which has asked for
// less: an answer on a stream that was never opened, or a push, ends the
// connection.
//
// An idle connection holds no buffer, and gives up what it kept for its streams
// after some seconds.
//
// # Who owns what
//
// The read loop alone owns the parser, the header decoder and the header block
// in progress. Everything else of a [Conn] or [ClientConn] is guarded by its mutex,
// which the read loop holds while it parses, but never while the handler, Finished
// or Changed runs or the network is waited for.
package h2
