package apnsclient

import (
	"bytes"
	"context"
	"slices"
	"strings"

	"golang.org/x/net/http2/hpack"

	"github.com/heraldpush/herald/apns"
)

// exchange is a request to the gateway that is no push to a device: a broadcast,
// or one about channels.
type exchange struct {
	method, path string
	fields       []hpack.HeaderField // further ones, with names in lower case
	body         []byte
	id           apns.NotificationID // of the request, for errors
	topic        apns.Topic          // for hooks
	pushType     apns.PushType       // for hooks
}

// answer is what came of an exchange.
type answer struct {
	status int
	fields []hpack.HeaderField // of wantedFields
	body   []byte
}

// field returns the value of a header field of the answer, empty if there is none.
func (a answer) field(name string) string {
	for _, f := range a.fields {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

// exchange has x answered, over the connections and by the rules of pushes. A
// status from 200 to 299 is an answer; the error of any other is an
// *apns.Rejection, and without one it is as Push's.
func (e *engine) exchange(ctx context.Context, x exchange) (answer, error) {
	f := e.newFlight()
	defer e.release(f)
	f.id, f.topic, f.pushType, f.plain = x.id, x.topic, x.pushType, true
	f.call.Fields = append(f.begin(e, x.method, x.path), x.fields...)
	f.call.Body = x.body
	if err := e.fly(ctx, f); err != nil {
		return answer{}, err
	}
	a := answer{status: f.call.Status, fields: slices.Clone(f.call.Answer), body: bytes.Clone(f.call.AnswerBody)}
	for i := range a.fields {
		a.fields[i].Value = strings.Clone(a.fields[i].Value)
	}
	return a, nil
}
