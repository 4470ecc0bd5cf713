package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// problemsPage explains the codes, each under its own heading.
const problemsPage = "https://github.com/heraldpush/herald/blob/main/docs/problems.md#"

const (
	mediaJSON    = "application/json"
	mediaPatch   = "application/merge-patch+json"
	mediaProblem = "application/problem+json"
)

// Problem is the answer to a request that was refused: application/problem+json
// (RFC 9457).
type Problem struct { //nolint:errname // the word of RFC 9457
	// Type is where Code is explained.
	Type   string `json:"type" about:"Where the code is explained."`
	Title  string `json:"title" about:"The code in words; the same each time."`
	Status int    `json:"status" about:"The HTTP status."`
	Detail string `json:"detail,omitempty" about:"What was wrong this time, and the remedy."`
	// Instance names the request: "/requests/" and its Request-Id.
	Instance string         `json:"instance" about:"The request: /requests/ and its Request-Id."`
	Code     Code           `json:"code" about:"What programs tell the problem by. It never changes its meaning."`
	Errors   []ProblemFault `json:"errors,omitempty" about:"Everything that is wrong with the request."`

	header http.Header // besides the usual
}

// ProblemFault is one thing that is wrong with a request.
type ProblemFault struct {
	// Pointer is where in the body, as a JSON pointer (RFC 6901); nil for what is in
	// no body.
	Pointer *string `json:"pointer,omitempty" about:"Where in the body, as a JSON pointer (RFC 6901). Empty is the whole."`
	// Parameter is the name of what is wrong in the path, the query or the header.
	Parameter string `json:"parameter,omitempty" about:"The parameter of the path, query or header."`
	Code      string `json:"code" about:"Such as required, malformed, unknown, too_long, too_many, duplicate or conflict."`
	Detail    string `json:"detail" about:"It in words."`
	OverBy    int    `json:"over_by,omitempty" about:"By how many bytes it is too long."`
}

// newProblem returns a problem. The detail says what was wrong this time; an empty
// format is none.
func newProblem(code Code, format string, args ...any) *Problem {
	of := problems[code]
	return &Problem{
		Type: problemsPage + string(code), Title: of.title, Status: of.status, Code: code,
		Detail: fmt.Sprintf(format, args...), header: http.Header{},
	}
}

// Error is the code and what was wrong.
func (p *Problem) Error() string {
	text := p.Detail
	if text == "" {
		text = p.Title
	}
	return string(p.Code) + ": " + text
}

// wrongParameter returns the problem of a parameter of the path, query or header.
func wrongParameter(name, code, detail string) *Problem {
	p := newProblem(CodeParameter, "%s: %s", name, detail)
	p.Errors = []ProblemFault{{Parameter: name, Code: code, Detail: detail}}
	return p
}

// after adds when to come again.
func (p *Problem) after(d time.Duration) *Problem {
	p.header.Set("Retry-After", strconv.Itoa(max(1, int((d+time.Second-1)/time.Second))))
	return p
}

// answer returns the problem as it is answered.
func (p *Problem) answer(requestID string) (rendered, error) {
	said := *p
	said.Instance = "/requests/" + requestID
	b, err := json.Marshal(&said)
	return rendered{status: p.Status, header: p.header, media: mediaProblem, body: append(b, '\n')}, err
}
