package api

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/heraldpush/herald/provider/outbox"
)

// headerIdempotencyKey names a request that may come more than once
// (draft-ietf-httpapi-idempotency-key-header-07).
const headerIdempotencyKey = "Idempotency-Key"

// headerReplayed says that an answer is that of an earlier request.
const headerReplayed = "Idempotent-Replayed"

const (
	// maxIdempotencyKey bounds an idempotency key, in bytes.
	maxIdempotencyKey = 255
	// rememberOnce is how long a request is known that may come more than once.
	rememberOnce = 24 * time.Hour
)

var idempotencyParameter = parameter{
	name:  headerIdempotencyKey,
	about: "A name for this request, such as order-9917-shipped. For 24 hours another request with the same name and body is the same request: it is answered as the first was and nothing is done. With another body it is refused.",
	form:  schema{"type": "string", "minLength": 1, "maxLength": maxIdempotencyKey},
}

var replayedHeader = parameter{
	name: headerReplayed, about: "It is there, with true, if the request came before and nothing was done.",
	form: schema{"type": "string", "enum": []string{"true"}},
}

// once returns what identifies a request by its idempotency key, the zero value if it
// has none. It is of the caller's app, and for requests that are the same if what is
// is, which is asked for only then.
func (q *request) once(what func() ([]byte, error), now time.Time) (outbox.Once, error) {
	given := q.Header.Values(headerIdempotencyKey)
	switch {
	case len(given) == 0:
		return outbox.Once{}, nil
	case len(given) > 1:
		return outbox.Once{}, wrongParameter(headerIdempotencyKey, "duplicate", "it is there twice")
	case given[0] == "" || len(given[0]) > maxIdempotencyKey || strings.ContainsFunc(given[0], func(c rune) bool { return c < ' ' || c > '~' }):
		return outbox.Once{}, wrongParameter(headerIdempotencyKey, "malformed", fmt.Sprintf("1 to %d printable characters of ASCII", maxIdempotencyKey))
	}
	said, err := what()
	if err != nil {
		return outbox.Once{}, err
	}
	return outbox.Once{
		Key:         digest("key", []byte(q.app.ID), []byte(given[0])),
		Fingerprint: digest("request", []byte(q.op.id), said),
		Until:       now.Add(rememberOnce),
	}, nil
}

// digest returns the first half of a SHA-256 over parts, each with its length, that
// nothing else is taken for.
func digest(label string, parts ...[]byte) (short [16]byte) {
	h := sha256.New()
	fmt.Fprintf(h, "herald API 1 %s\n", label)
	for _, p := range parts {
		fmt.Fprintf(h, "%d\n", len(p))
		h.Write(p) // it never fails
	}
	return [16]byte(h.Sum(nil)[:16])
}

// canonical returns a JSON document in the one form that all have which say the same:
// without white space, the members of objects in their order.
func canonical(body []byte) ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	return json.Marshal(v)
}

// replayed is the header of an answer, if the request came before.
func replayed(h http.Header, is bool) http.Header {
	if is {
		h.Set(headerReplayed, "true")
	}
	return h
}
