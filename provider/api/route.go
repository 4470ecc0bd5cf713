package api

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// maxPathBytes bounds the path of a request: no ID is as long.
const maxPathBytes = 2 << 10

// routes are operations by path. net/http's mux knows no verb behind a parameter,
// and takes an escaped slash within an ID for one between two.
type routes []*route

// route is a path with its operations.
type route struct {
	segments []string // those of parameters have their braces
	verb     string   // what follows the last parameter: ":check", or empty
	methods  map[string]*operation
}

// newRoutes returns the routes of a table. The error is a mistake in the table.
func newRoutes(table []operation) (routes, error) {
	var all routes
	byPath, ids := map[string]*route{}, map[string]bool{}
	for n := range table {
		op := &table[n]
		r := byPath[op.path]
		if r == nil {
			r = newRoute(op.path)
			byPath[op.path] = r
			all = append(all, r)
		}
		if r.methods[op.method] != nil || ids[op.id] {
			return nil, fmt.Errorf("API: two operations are %s %s, or called %s", op.method, op.path, op.id)
		}
		r.methods[op.method], ids[op.id] = op, true
	}
	// Verbs go first, as an ID might end like one.
	slices.SortStableFunc(all, func(a, b *route) int { return cmp.Compare(len(b.verb), len(a.verb)) })
	return all, nil
}

func newRoute(path string) *route {
	r := &route{segments: strings.Split(path[1:], "/"), methods: map[string]*operation{}}
	last := &r.segments[len(r.segments)-1]
	if name, verb, ok := strings.Cut(*last, "}:"); ok {
		*last, r.verb = name+"}", ":"+verb
	}
	return r
}

// match returns the operation of a request and the parameters of its path.
func (all routes) match(method string, u *url.URL) (*operation, map[string]string, error) {
	escaped := u.EscapedPath()
	if len(escaped) > maxPathBytes {
		return nil, nil, newProblem(CodeURI, "at most %d bytes are possible", maxPathBytes)
	}
	segments := strings.Split(strings.TrimPrefix(escaped, "/"), "/")
	for n, s := range segments {
		plain, err := url.PathUnescape(s)
		if err != nil {
			return nil, nil, newProblem(CodeNotFound, "there is no such path")
		}
		segments[n] = plain
	}
	var allowed []string
	var door *operation
	for _, r := range all {
		path, ok := r.match(segments)
		if !ok {
			continue
		}
		if op := r.methods[method]; op != nil {
			return op, path, nil
		}
		if op := r.methods[http.MethodGet]; op != nil && method == http.MethodHead {
			return op, path, nil
		}
		for m, op := range r.methods {
			if op.refuse != nil {
				door = op
			}
			allowed = append(allowed, m)
			if m == http.MethodGet {
				allowed = append(allowed, http.MethodHead)
			}
		}
		break // a verb is no end of an ID here
	}
	if allowed == nil {
		return nil, nil, newProblem(CodeNotFound, "there is no such path; /openapi.json has those that there are")
	}
	slices.Sort(allowed)
	p := newProblem(CodeMethod, "here goes %s", strings.Join(allowed, ", "))
	p.header.Set("Allow", strings.Join(allowed, ", "))
	return door, nil, p
}

// match returns the parameters, if the segments of a path fit.
func (r *route) match(segments []string) (map[string]string, bool) {
	if len(segments) != len(r.segments) {
		return nil, false
	}
	path := map[string]string{}
	for n, want := range r.segments {
		got := segments[n]
		if n == len(segments)-1 && r.verb != "" {
			var ok bool
			if got, ok = strings.CutSuffix(got, r.verb); !ok {
				return nil, false
			}
		}
		switch name, isParameter := strings.CutPrefix(want, "{"); {
		case isParameter && got != "":
			path[strings.TrimSuffix(name, "}")] = got
		case isParameter || got != want:
			return nil, false
		}
	}
	return path, true
}

// pathNames returns the parameters of the path of an operation, in their order.
func (o *operation) pathNames() (names []string) {
	for part := range strings.SplitSeq(o.path, "/") {
		if name, ok := strings.CutPrefix(part, "{"); ok {
			name, _, _ = strings.Cut(name, "}")
			names = append(names, name)
		}
	}
	return names
}
