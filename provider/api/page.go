package api

import (
	"encoding/base64"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// The limits of a page.
const (
	defaultLimit = 100
	maxLimit     = 1000
)

// list is a page of a list.
type list[T any] struct {
	Data []T    `json:"data" about:"Up to limit of them, in their order."`
	Next string `json:"next,omitempty" about:"Where the next page is. It is missing with the last."`
}

// pageParameters are those of operations that list.
func pageParameters() []parameter {
	return []parameter{
		{name: "limit", about: "How many at most.", form: schema{"type": "integer", "minimum": 1, "maximum": maxLimit, "default": defaultLimit}},
		{name: "cursor", about: "Where to go on, as the link to the next page has it.", form: schema{"type": "string", "minLength": 1}},
	}
}

// linkHeader is the parameter of an answer with a page.
var linkHeader = parameter{name: "Link", about: `The next page: </v1/…>; rel="next" (RFC 8288).`, form: schema{"type": "string"}}

// page is what a request wants of a list.
type page struct {
	limit int
	// after is where to go on, in the list's own words: empty, or what was given to
	// pageOf.
	after string
}

// page returns the page that a request wants. A cursor is good for the operation and
// the app that made it.
func (q *request) page() (p page, err error) {
	p.limit = defaultLimit
	if q.given.Has("limit") {
		if p.limit, err = strconv.Atoi(q.given.Get("limit")); err != nil || p.limit < 1 || p.limit > maxLimit {
			return p, wrongParameter("limit", "malformed", "a number from 1 to "+strconv.Itoa(maxLimit))
		}
	}
	if !q.given.Has("cursor") {
		return p, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(q.given.Get("cursor"))
	after, isOurs := strings.CutPrefix(string(b), q.cursorPrefix())
	if err != nil || !isOurs || after == "" {
		return p, errCursor()
	}
	p.after = after
	return p, nil
}

// errCursor is the problem of a cursor that is none of this list.
func errCursor() *Problem {
	return wrongParameter("cursor", "malformed", "not a cursor of this list: take it from the link to the next page")
}

func (q *request) cursorPrefix() string {
	return q.op.id + "\n" + q.path["app"] + "\n"
}

// pageOf answers with a page. after is where the next goes on; empty: this is the
// last.
func pageOf[T any](q *request, data []T, after string) (answer, error) {
	if data == nil {
		data = []T{}
	}
	l, header := list[T]{Data: data}, http.Header{}
	if after != "" {
		query := url.Values{}
		maps.Copy(query, q.given)
		query.Set("cursor", base64.RawURLEncoding.EncodeToString([]byte(q.cursorPrefix()+after)))
		l.Next = q.URL.EscapedPath() + "?" + query.Encode()
		header.Set("Link", "<"+l.Next+`>; rel="next"`)
	}
	return answer{status: http.StatusOK, body: l, header: header}, nil
}

// cut returns the first limit of some that were asked for with one more, and what
// after says of the last of these if there are more.
func cut[T any](all []T, limit int, after func(T) string) ([]T, string) {
	if len(all) <= limit {
		return all, ""
	}
	return all[:limit], after(all[limit-1])
}
