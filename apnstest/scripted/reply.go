package scripted

import (
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/heraldpush/herald/apns"
)

// Reply is how a push is answered. Begin with Accept, Refuse, Status, Silence or
// RefuseStream, and go on with its methods: each returns a further
// Reply and leaves the one it was called on as it was. The zero value is Accept().
type Reply struct {
	notProcessed bool // the gateway did not take it as accepted
	status       int  // zero: 200
	reason       apns.Reason
	since        time.Time
	delay        time.Duration
	behind       int
	fields       []hpack.HeaderField
	trailers     []hpack.HeaderField
	interim      []int // 1xx answers before the answer
	id           idForm
	otherID      apns.NotificationID // where id is idOther
	body         *string             // nil: the JSON of the reason
	frames       int                 // DATA frames for the body; zero: 1
	end          ending
	code         http2.ErrCode // where end is endReset
	then         []Action
}

// idForm is what becomes of the apns-id of an answer.
type idForm uint8

const (
	idEcho idForm = iota
	idUpper
	idNone
	idOther
)

// ending is how an answer ends.
type ending uint8

const (
	endWhole  ending = iota
	endHalf          // after its header fields
	endSilent        // before it began
	endReset         // with RST_STREAM in its place
)

// Accept is the answer 200: the push is processed.
func Accept() Reply { return Reply{} }

// Refuse is the answer of the reason, with its status. Where the reason is one of
// a device token that is no longer valid, give the time with [Reply.Since].
func Refuse(reason apns.Reason) Reply { return Status(reason.Status(), reason) }

// Status is an answer of any status with any reason, also of those that do not
// belong together. A status of success means that the push is processed. Without a
// reason there is no body.
func Status(status int, reason apns.Reason) Reply {
	return Reply{status: status, reason: reason, notProcessed: !succeeds(status)}
}

// Silence is no answer at all, ever: a black hole. The push is not processed; for
// one that is, take Accept().Unanswered().
func Silence() Reply { return Reply{notProcessed: true, end: endSilent} }

// RefuseStream is RST_STREAM with REFUSED_STREAM: the push is not processed, and
// the sender may send it again.
func RefuseStream() Reply { return Break(http2.ErrCodeRefusedStream) }

// Break is RST_STREAM with the code in place of an answer. The push is not
// processed; for one that is, take Accept().Broken(code).
func Break(code http2.ErrCode) Reply { return Reply{notProcessed: true}.Broken(code) }

// Unanswered takes the answer away: what the gateway did with the push stays as
// it was, and the sender never hears of it.
func (r Reply) Unanswered() Reply { r.end = endSilent; return r }

// Half cuts the answer off behind its header fields: neither body nor end follow.
func (r Reply) Half() Reply { r.end = endHalf; return r }

// Broken puts RST_STREAM with the code in the place of the answer: what the gateway
// did with the push stays as it was, and the sender cannot know.
func (r Reply) Broken(code http2.ErrCode) Reply { r.end, r.code = endReset, code; return r }

// Delay has the answer wait. Further calls add up.
func (r Reply) Delay(d time.Duration) Reply { r.delay += d; return r }

// Behind has the answer wait until n further pushes have arrived whole on the
// connection, and then for its delay: so answers come out of order.
func (r Reply) Behind(n int) Reply { r.behind = n; return r }

// Since gives the body a timestamp, in milliseconds.
func (r Reply) Since(t time.Time) Reply { r.since = t; return r }

// RetryAfter adds the header field retry-after, in whole seconds.
func (r Reply) RetryAfter(d time.Duration) Reply {
	return r.Field("retry-after", strconv.FormatInt(int64(d/time.Second), 10))
}

// Field adds a header field. The name is in lower case.
func (r Reply) Field(name, value string) Reply {
	r.fields = append(slices.Clip(r.fields), hpack.HeaderField{Name: name, Value: value})
	return r
}

// Trailer adds a field behind the body. The name is in lower case.
func (r Reply) Trailer(name, value string) Reply {
	r.trailers = append(slices.Clip(r.trailers), hpack.HeaderField{Name: name, Value: value})
	return r
}

// Interim puts an answer of a status 1xx before the answer. Further calls add
// further ones.
func (r Reply) Interim(status int) Reply {
	r.interim = append(slices.Clip(r.interim), status)
	return r
}

// NoID leaves the apns-id out.
func (r Reply) NoID() Reply { r.id = idNone; return r }

// UpperID gives the apns-id back in upper case.
func (r Reply) UpperID() Reply { r.id = idUpper; return r }

// ID gives back another apns-id than that of the push.
func (r Reply) ID(id apns.NotificationID) Reply { r.id, r.otherID = idOther, id; return r }

// Body puts the text in place of the JSON that says reason and timestamp. It may be
// anything, and empty.
func (r Reply) Body(text string) Reply { r.body = &text; return r }

// Frames cuts the body into that many DATA frames, of equal length as far as that
// goes.
func (r Reply) Frames(n int) Reply { r.frames = n; return r }

// Then has something happen to the connection, right behind the answer.
func (r Reply) Then(a Action) Reply { r.then = append(slices.Clip(r.then), a); return r }

// succeeds reports whether the status is one of success.
func succeeds(status int) bool { return status/100 == 2 }

// statusCode returns the status that r answers with.
func (r Reply) statusCode() int {
	if r.status == 0 {
		return 200
	}
	return r.status
}

// text returns the body of the answer.
func (r Reply) text() []byte {
	switch {
	case r.body != nil:
		return []byte(*r.body)
	case r.reason == "":
		return nil
	}
	answer := struct {
		Reason    apns.Reason `json:"reason"`
		Timestamp int64       `json:"timestamp,omitempty"`
	}{Reason: r.reason}
	if !r.since.IsZero() {
		answer.Timestamp = r.since.UnixMilli()
	}
	text, err := json.Marshal(answer)
	if err != nil { // a string and a number: it never fails
		return nil
	}
	return text
}
