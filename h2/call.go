package h2

import (
	"cmp"
	"fmt"
	"slices"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// Call is a request and its answer. A Call is made to be used again: in the long
// run starting and finishing it allocates nothing. It must not be copied, and not
// be touched between Start and Finished.
type Call struct {
	// Fields are the header fields of the request, the pseudo-header fields first,
	// with names in lower case and values that are valid in HTTP. The names must never
	// change: they are remembered.
	Fields []hpack.HeaderField
	// Body is the body of the request; empty if there is none. The caller keeps
	// and does not change it until the call is finished.
	Body []byte
	// Owner is the caller's own, and not looked at.
	Owner any

	// Status is that of the answer, from 200 to 999, or 0 if there is none.
	Status int
	// Answer has the header fields of the answer that ClientConfig.Wanted names,
	// in the order of the wire. It and its strings are overwritten when the call is
	// started again.
	Answer []hpack.HeaderField
	// AnswerBody is the body of the answer, or the first
	// ClientConfig.MaxBodyBytes bytes of it. It is overwritten likewise.
	AnswerBody []byte
	// AnswerTooLarge says that the body was longer than that.
	AnswerTooLarge bool
	// Err is nil if there is an answer, whatever its status, and a *CallError
	// otherwise.
	Err error

	// All that follows is guarded by the mutex of conn.

	conn *ClientConn // that the call is in progress on; nil if it is not
	id   uint32      // of its stream; 0 once it is finished and waits for Finished
	at   uint64      // position of its first byte in all that conn has sent

	text       []byte // what the strings of Answer refer to
	answered   bool   // the final header fields of the answer have come
	recvWindow int64  // what the peer may still send
	recvSpent  int64  // what has been received and not granted anew
	discarded  int64  // bytes of the body beyond what is kept

	sendWindow int64  // what may still be sent; negative after some SETTINGS
	pending    []byte // the rest of Body, waiting for window
	next       *Call  // in the queue of those that wait
}

// spoil gives call an error in place of what has come of an answer. The mutex of
// its connection is held.
func (call *Call) spoil(err *CallError) {
	err.Status = call.Status
	call.Status, call.Answer, call.AnswerBody, call.AnswerTooLarge = 0, call.Answer[:0], call.AnswerBody[:0], false
	call.Err = err
}

// sortCalls puts calls in the order in which they were started.
func sortCalls(calls []*Call) {
	slices.SortFunc(calls, func(a, b *Call) int { return cmp.Compare(a.at, b.at) })
}

// CallError says why a call has no answer.
type CallError struct {
	// Code is that of the RST_STREAM or GOAWAY frame that ended the call, in
	// whichever direction that went, or NO_ERROR if it was neither.
	Code http2.ErrCode
	// Unprocessed says that the peer has not begun with the request, for sure,
	// so that sending it again cannot make it happen twice.
	Unprocessed bool
	// Status is that of an answer which began and did not come whole, or 0.
	Status int
	// Err is what ended the call: a *GoAwayError, a *ConnError, an error of reading
	// or writing, io.EOF if the peer closed the connection, the cause of a context,
	// or another error that says what was wrong.
	Err error
}

// Error says what ended the call, and whether it was processed if that is known.
func (e *CallError) Error() string {
	if e.Unprocessed {
		return fmt.Sprintf("call not processed: %v", e.Err)
	}
	return fmt.Sprintf("call without an answer: %v", e.Err)
}

// Unwrap returns Err.
func (e *CallError) Unwrap() error { return e.Err }

// ResetError says that the peer reset the stream of a call.
type ResetError struct {
	// Code is that of the RST_STREAM frame.
	Code http2.ErrCode
}

// Error names the code.
func (e *ResetError) Error() string { return fmt.Sprintf("the peer reset the stream with %v", e.Code) }

// GoAwayError says that the peer sent GOAWAY. If it sent several, as it does to
// end a connection in good order, it has the lowest last stream, and code and
// debug data of the first frame that had any.
type GoAwayError struct {
	// Last is the highest stream that the peer has processed or may yet process.
	Last uint32
	// Code says why the connection ends; NO_ERROR if it just does.
	Code http2.ErrCode
	// DebugData says more, in the peer's own way. It must not be changed.
	DebugData []byte
}

// Error names the code and, cut to some length, the debug data.
func (e *GoAwayError) Error() string {
	const most = 200
	if len(e.DebugData) == 0 {
		return fmt.Sprintf("the peer ended the connection with %v", e.Code)
	}
	return fmt.Sprintf("the peer ended the connection with %v: %q", e.Code, e.DebugData[:min(len(e.DebugData), most)])
}
