package api

import (
	"context"
	"mime"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"time"

	"github.com/heraldpush/herald/provider/account"
)

// operation is a row of the table: all that the mux and the OpenAPI document know
// of something that can be asked for.
type operation struct {
	// id is what generated callers call it, such as "createApp".
	id string
	// method is the HTTP method. HEAD comes with GET.
	method string
	// path has parameters in braces, each a whole segment, such as "/v1/apps/{app}".
	// A verb may follow the last: "/v1/apps/{app}/credentials/{credential}:check".
	path string
	// group is the resource, by which the document is ordered.
	group string
	// summary is a line, about more where there is more to say (CommonMark).
	summary, about string
	// scope is what the API key must be for. Empty: no key is needed.
	scope account.Scope
	// door is whose rate it counts against.
	door door
	// timeout is how long it may take. Zero stands for requestTimeout.
	timeout time.Duration
	// app says which app is asked about, where the path has no {app} and it is still
	// of one; it is asked after the key was recognised. Nil otherwise.
	app func(a *API, q *request) (account.AppID, error)
	// query and header are the parameters there, besides those that all have. Others
	// in the query are refused.
	query, header []parameter
	// in is the body that it takes.
	in input
	// out are the answers of success, at least one.
	out []outcome
	// refuse renders a problem in another form than application/problem+json, for a
	// door that has one of its own; refusal is that form. Nil otherwise.
	refuse  func(p *Problem, r *http.Request, requestID string) (rendered, error)
	refusal *outcome
	// isHidden keeps it out of the OpenAPI document: it is there to refuse in the form
	// of its door.
	isHidden bool
	// run carries it out.
	run func(a *API, ctx context.Context, q *request) (answer, error)
}

// input is a request body.
type input struct {
	// contents are the media types that are taken. A request that does not say has
	// the first. None: the body is not looked at.
	contents []content
	// limit bounds the body, in bytes. Zero stands for smallBody.
	limit int64
	// optional says that there may be none.
	optional bool
	// isLeft says that the operation reads it itself, whatever its Content-Type.
	isLeft bool
}

// content is a media type with what it holds.
type content struct {
	media string
	// holds is the type of a JSON document; nil for what is none, which form describes.
	holds reflect.Type
	// isPatch says that it is a merge patch of one (RFC 7396).
	isPatch bool
	form    schema
}

// outcome is an answer that an operation may give.
type outcome struct {
	status int
	about  string
	// content is what the body has; its zero value: none.
	content content
	header  []parameter
	// also is another media type that the body may have; its zero value: none.
	also content
}

// The bounds of bodies.
const (
	smallBody = 64 << 10
	largeBody = 1 << 20
)

// takes is the input of an operation whose body is a JSON object, as T has it.
func takes[T any](limit int64) input {
	return input{contents: []content{{media: mediaJSON, holds: reflect.TypeFor[T]()}}, limit: limit}
}

// takesPatch is the input of an operation whose body is a merge patch (RFC 7396) of a T.
func takesPatch[T any]() input {
	t := reflect.TypeFor[T]()
	return input{contents: []content{{media: mediaPatch, holds: t, isPatch: true}, {media: mediaJSON, holds: t, isPatch: true}}}
}

// gives is an answer with a JSON object, as T has it.
func gives[T any](status int, about string, header ...parameter) outcome {
	return outcome{status: status, about: about, content: content{media: mediaJSON, holds: reflect.TypeFor[T]()}, header: header}
}

// nothing is the answer 204.
func nothing(about string) outcome { return outcome{status: http.StatusNoContent, about: about} }

// request is a request on its way through an operation.
type request struct {
	*http.Request
	op *operation
	// id is its Request-Id.
	id string
	// path has the parameters of the path.
	path map[string]string
	// given has the query.
	given url.Values
	// key is the API key; the zero Key where none is needed.
	key account.Key
	// app is the app that it is about; the zero App where it is of none.
	app account.App
	// body is all of the body, and content which of the operation's contents it has,
	// with the parameters of its Content-Type.
	body    []byte
	content content
	params  map[string]string
}

// answer is what an operation answers: the status, and a value that becomes the
// JSON document; or bytes, where the content is no JSON.
type answer struct {
	status int
	body   any
	// media is the media type of a body that is []byte or a Backup. Empty: JSON.
	media  string
	header http.Header
}

// rendered is an answer as it goes out.
type rendered struct {
	status int
	header http.Header
	media  string
	body   []byte
	stream *Backup // in place of a body
}

// ok answers 200.
func ok(body any) (answer, error) { return answer{status: http.StatusOK, body: body}, nil }

// created answers 201, with where it is now.
func created(location string, body any) (answer, error) {
	return answer{status: http.StatusCreated, body: body, header: http.Header{"Location": {location}}}, nil
}

// noContent answers 204.
func noContent() (answer, error) { return answer{status: http.StatusNoContent}, nil }

// address returns a path with the segments escaped.
func address(segments ...string) string {
	var b strings.Builder
	for _, s := range segments {
		b.WriteByte('/')
		b.WriteString(url.PathEscape(s))
	}
	return b.String()
}

// match returns the content that a Content-Type stands for, and its parameters.
func (in *input) match(contentType string) (content, map[string]string, bool) {
	if contentType == "" {
		return in.contents[0], nil, true
	}
	media, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		return content{}, nil, false
	}
	for _, c := range in.contents {
		if strings.EqualFold(c.media, media) || c.media == "*/*" {
			return c, params, true
		}
	}
	return content{}, nil, false
}
