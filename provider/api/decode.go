package api

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/heraldpush/herald/provider/audience"
)

// decode reads the body, a JSON document of the type of v, which is a pointer. The
// error is a *Problem where it is no JSON at all, and an *audience.InvalidError with
// all that does not fit.
func (q *request) decode(v any) error {
	t := reflect.TypeOf(v).Elem()
	if q.content.holds != t { // a mistake in the table
		return fmt.Errorf("operation %s reads a %v, and takes a %v", q.op.id, t, q.content.holds)
	}
	if err := check(q.body, t, false); err != nil {
		return err
	}
	if err := json.Unmarshal(q.body, v); err != nil { // what was checked fits
		return newProblem(CodeJSON, "%s", strings.TrimPrefix(err.Error(), "json: "))
	}
	return nil
}

// decodePatch changes v, a pointer to a struct of the type that the operation takes, by
// the body, a merge patch (RFC 7396). The error is as that of decode.
func (q *request) decodePatch(v any) error {
	if err := q.checkPatch(); err != nil {
		return err
	}
	var members map[string]json.RawMessage
	if err := errors.Join(json.Unmarshal(q.body, v), json.Unmarshal(q.body, &members)); err != nil {
		return newProblem(CodeJSON, "%s", strings.TrimPrefix(err.Error(), "json: "))
	}
	whole := reflect.ValueOf(v).Elem()
	for _, f := range fieldsOf(whole.Type()) {
		if string(members[f.name]) == "null" {
			whole.FieldByIndex(f.index).SetZero()
		}
	}
	return nil
}

// checkPatch checks that the body is a merge patch (RFC 7396) of the type that the
// operation takes. The error is as that of decode.
func (q *request) checkPatch() error { return check(q.body, q.content.holds, true) }

// check holds a JSON document against a type: no member that it has not, none twice,
// none of another kind, all that it must have. encoding/json is content with less, and
// does not say where in a list something is.
func check(body []byte, t reflect.Type, isPatch bool) error {
	if !utf8.Valid(body) {
		return newProblem(CodeJSON, "the body is not UTF-8")
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return newProblem(CodeJSON, "there is no body")
	}
	if !json.Valid(body) {
		return newProblem(CodeJSON, "%s", whyNoJSON(body))
	}
	c := newChecker(body, isPatch)
	c.value("", t)
	if c.err != nil {
		return fmt.Errorf("checking a body: %w", c.err)
	}
	return c.faults.Err()
}

// whyNoJSON says what is wrong with a document that is no JSON.
func whyNoJSON(body []byte) string {
	var v json.RawMessage
	err := json.Unmarshal(body, &v)
	if s, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Sprintf("at byte %d: %v", s.Offset, s)
	}
	return fmt.Sprint(err)
}

// anyJSON is any JSON value, as it was written. A json.RawMessage is an object.
type anyJSON struct{ json.RawMessage }

// checker goes through a document that is valid JSON, together with a type.
type checker struct {
	d       *json.Decoder
	isPatch bool
	faults  audience.Faults
	err     error // what cannot be
}

func newChecker(document []byte, isPatch bool) *checker {
	d := json.NewDecoder(bytes.NewReader(document))
	d.UseNumber()
	return &checker{d: d, isPatch: isPatch}
}

// maxFaults bounds what is said of one document.
const maxFaults = 100

func (c *checker) add(at string, code audience.FaultCode, format string, args ...any) {
	if len(c.faults) < maxFaults {
		c.faults.Add(at, code, fmt.Sprintf(format, args...))
	}
}

var (
	textType = reflect.TypeFor[encoding.TextUnmarshaler]()
	rawType  = reflect.TypeFor[json.RawMessage]()
	anyType  = reflect.TypeFor[anyJSON]()
	timeType = reflect.TypeFor[time.Time]()
)

// value checks the value that comes next, which is at a pointer.
func (c *checker) value(at string, t reflect.Type) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == rawType || t == anyType || t.Kind() == reflect.Interface {
		c.skip()
		return
	}
	token, err := c.d.Token()
	if err != nil {
		c.err = err
		return
	}
	switch v := token.(type) {
	case json.Delim:
		switch {
		case v == '{' && t.Kind() == reflect.Struct && t != timeType:
			c.object(at, t)
		case v == '{' && t.Kind() == reflect.Map:
			c.dictionary(at, t.Elem())
		case v == '[' && t.Kind() == reflect.Slice && t.Elem().Kind() != reflect.Uint8:
			c.array(at, t.Elem())
		default:
			c.wrong(at, v, t)
			c.rest()
		}
	case string:
		c.text(at, v, t)
	case json.Number:
		c.number(at, v, t)
	case bool:
		if t.Kind() != reflect.Bool {
			c.wrong(at, v, t)
		}
	default: // null
		c.add(at, audience.Malformed, "null cannot stand here: leave it out")
	}
}

// wrong notes that a value is of another kind than its place.
func (c *checker) wrong(at string, v any, t reflect.Type) {
	got := "a string"
	switch v := v.(type) {
	case json.Delim:
		if got = "an array"; v == '{' {
			got = "an object"
		}
	case json.Number:
		got = "a number"
	case bool:
		got = "true or false"
	}
	c.add(at, audience.Malformed, "here goes %s, not %s", kindOf(t), got)
}

// kindOf says what JSON goes where a type is.
func kindOf(t reflect.Type) string {
	switch {
	case t == timeType:
		return "a time, such as 2030-01-31T08:00:00Z"
	case reflect.PointerTo(t).Implements(textType), t.Kind() == reflect.String:
		return "a string"
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8:
		return "a string in base64"
	case t.Kind() == reflect.Slice:
		return "an array"
	case t.Kind() == reflect.Struct, t.Kind() == reflect.Map:
		return "an object"
	case t.Kind() == reflect.Bool:
		return "true or false"
	}
	return "a number"
}

// object checks the members of an object that is a struct.
func (c *checker) object(at string, t reflect.Type) {
	fields, seen := fieldsOf(t), map[string]bool{}
	c.members(at, func(name, at string) {
		seen[name] = true
		for n := range fields {
			if fields[n].name == name {
				c.member(at, fields[n].typ)
				return
			}
		}
		c.add(at, audience.Unknown, "there is no such field")
		c.skip()
	})
	for _, f := range fields {
		if !f.optional && !seen[f.name] && !c.isPatch {
			c.add(at+"/"+escape(f.name), audience.Required, "it is missing")
		}
	}
}

// dictionary checks the members of an object that is a map.
func (c *checker) dictionary(at string, t reflect.Type) {
	c.members(at, func(_, at string) { c.member(at, t) })
}

// member checks the value of a member. In a patch, null takes it away.
func (c *checker) member(at string, t reflect.Type) {
	if !c.isPatch {
		c.value(at, t)
		return
	}
	var v json.RawMessage
	if c.err = c.d.Decode(&v); c.err != nil || string(v) == "null" {
		return
	}
	below := newChecker(v, true)
	below.faults = c.faults
	below.value(at, t)
	c.faults, c.err = below.faults, below.err
}

// members goes through an object to its end.
func (c *checker) members(at string, f func(name, at string)) {
	seen := map[string]bool{}
	for c.err == nil && c.d.More() {
		token, err := c.d.Token()
		name, isString := token.(string)
		if err != nil || !isString {
			c.err = errors.Join(err, errors.New("no name of a member"))
			return
		}
		below := at + "/" + escape(name)
		if seen[name] {
			c.add(below, audience.Duplicate, "it is there twice")
			c.skip()
			continue
		}
		seen[name] = true
		f(name, below)
	}
	c.end()
}

// array checks the elements of an array.
func (c *checker) array(at string, t reflect.Type) {
	patch := c.isPatch
	c.isPatch = false // a list is replaced as a whole
	for n := 0; c.err == nil && c.d.More(); n++ {
		c.value(at+"/"+strconv.Itoa(n), t)
	}
	c.isPatch = patch
	c.end()
}

// end reads the delimiter at the end of what is being read.
func (c *checker) end() {
	if c.err == nil {
		_, c.err = c.d.Token()
	}
}

// skip reads one value, whatever it is.
func (c *checker) skip() {
	if c.err == nil {
		var v json.RawMessage
		c.err = c.d.Decode(&v)
	}
}

// rest reads to the end of what was begun.
func (c *checker) rest() {
	for depth := 1; c.err == nil && depth > 0; {
		token, err := c.d.Token()
		c.err = err
		switch token {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
	}
}

// text checks a string.
func (c *checker) text(at, s string, t reflect.Type) {
	switch v := reflect.New(t); {
	case t == timeType:
		if _, err := time.Parse(time.RFC3339, s); err != nil {
			c.add(at, audience.Malformed, "not a time, such as 2030-01-31T08:00:00Z")
		}
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8:
		quoted, err := json.Marshal(s)
		if err != nil || json.Unmarshal(quoted, v.Interface()) != nil {
			c.add(at, audience.Malformed, "not base64")
		}
	case v.Type().Implements(textType):
		if u, ok := reflect.TypeAssert[encoding.TextUnmarshaler](v); ok && u.UnmarshalText([]byte(s)) != nil {
			c.add(at, audience.Malformed, "%s", expectation(t))
		}
	case t.Kind() != reflect.String:
		c.wrong(at, s, t)
	}
}

// expectation says what a string of a type looks like.
func expectation(t reflect.Type) string {
	s := schemaOfText(t)
	if all, ok := s["enum"].([]string); ok {
		return "one of " + strings.Join(all, ", ")
	}
	if about, ok := s["description"].(string); ok {
		return "not " + strings.TrimSuffix(strings.ToLower(about[:1])+about[1:], ".")
	}
	return "it cannot be read"
}

// number checks a number.
func (c *checker) number(at string, v json.Number, t reflect.Type) {
	x := reflect.New(t).Elem()
	var err error
	switch {
	case reflect.PointerTo(t).Implements(textType):
		c.wrong(at, v, t)
	case x.CanInt():
		_, err = strconv.ParseInt(string(v), 10, t.Bits())
	case x.CanUint():
		_, err = strconv.ParseUint(string(v), 10, t.Bits())
	case x.CanFloat():
		_, err = strconv.ParseFloat(string(v), t.Bits())
	default:
		c.wrong(at, v, t)
	}
	switch {
	case errors.Is(err, strconv.ErrRange):
		c.add(at, audience.Malformed, "the number is too large")
	case err != nil && x.CanUint():
		c.add(at, audience.Malformed, "here goes a whole number that is not negative")
	case err != nil:
		c.add(at, audience.Malformed, "here goes a whole number")
	}
}

// escape returns a name as it is in a JSON pointer (RFC 6901 section 3).
func escape(name string) string {
	return strings.ReplaceAll(strings.ReplaceAll(name, "~", "~0"), "/", "~1")
}
