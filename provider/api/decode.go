package api

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
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
	c := checker{s: scanner{text: body}, isPatch: isPatch}
	c.value(t)
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
	s       scanner
	isPatch bool
	place   []string // the names and numbers that lead to the value in hand
	faults  audience.Faults
}

// maxFaults bounds what is said of one document.
const maxFaults = 100

func (c *checker) add(code audience.FaultCode, format string, args ...any) {
	if len(c.faults) < maxFaults {
		c.faults.Add(pointer(c.place), code, fmt.Sprintf(format, args...))
	}
}

// pointer returns the JSON pointer of a place (RFC 6901 section 3).
func pointer(place []string) string {
	var b strings.Builder
	for _, name := range place {
		b.WriteByte('/')
		b.WriteString(escape(name))
	}
	return b.String()
}

// within calls f with a name or number added to the place.
func (c *checker) within(name string, f func()) {
	c.place = append(c.place, name)
	f()
	c.place = c.place[:len(c.place)-1]
}

var (
	textType = reflect.TypeFor[encoding.TextUnmarshaler]()
	rawType  = reflect.TypeFor[json.RawMessage]()
	anyType  = reflect.TypeFor[anyJSON]()
	timeType = reflect.TypeFor[time.Time]()
)

// value checks the value that comes next.
func (c *checker) value(t reflect.Type) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == rawType || t == anyType || t.Kind() == reflect.Interface {
		c.s.skip()
		return
	}
	switch first := c.s.peek(); first {
	case '{':
		switch {
		case t.Kind() == reflect.Struct && t != timeType:
			c.object(t)
		case t.Kind() == reflect.Map:
			c.dictionary(t.Elem())
		default:
			c.wrong("an object", t)
		}
	case '[':
		if t.Kind() == reflect.Slice && t.Elem().Kind() != reflect.Uint8 {
			c.array(t.Elem())
		} else {
			c.wrong("an array", t)
		}
	case '"':
		c.text(t)
	case 't', 'f':
		if t.Kind() == reflect.Bool {
			c.s.skip()
		} else {
			c.wrong("true or false", t)
		}
	case 'n':
		c.s.skip()
		c.add(audience.Malformed, "null cannot stand here: leave it out")
	default:
		c.number(t)
	}
}

// wrong passes a value that is of another kind than its place.
func (c *checker) wrong(got string, t reflect.Type) {
	c.s.skip()
	c.add(audience.Malformed, "here goes %s, not %s", kindOf(t), got)
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
func (c *checker) object(t reflect.Type) {
	fields := fieldsOf(t)
	seen := make([]bool, len(fields))
	for c.s.enter(); !c.s.leave(); {
		name := c.s.str()
		n := slices.IndexFunc(fields, func(f field) bool { return f.name == string(name) })
		switch {
		case n < 0:
			c.refuse(string(name), audience.Unknown, "there is no such field")
		case seen[n]:
			c.refuse(string(name), audience.Duplicate, "it is there twice")
		default:
			seen[n] = true
			c.member(fields[n].name, fields[n].typ)
		}
	}
	for n := range fields {
		if f := &fields[n]; !f.optional && !seen[n] && !c.isPatch {
			c.within(f.name, func() { c.add(audience.Required, "it is missing") })
		}
	}
}

// dictionary checks the members of an object that is a map.
func (c *checker) dictionary(t reflect.Type) {
	seen := map[string]bool{}
	for c.s.enter(); !c.s.leave(); {
		name := string(c.s.str())
		if seen[name] {
			c.refuse(name, audience.Duplicate, "it is there twice")
			continue
		}
		seen[name] = true
		c.member(name, t)
	}
}

// refuse passes the value of a member that cannot be there.
func (c *checker) refuse(name string, code audience.FaultCode, detail string) {
	c.s.skip()
	c.within(name, func() { c.add(code, "%s", detail) })
}

// member checks the value of a member. In a patch, null takes it away.
func (c *checker) member(name string, t reflect.Type) {
	if c.isPatch && c.s.peek() == 'n' {
		c.s.skip()
		return
	}
	c.within(name, func() { c.value(t) })
}

// array checks the elements of an array.
func (c *checker) array(t reflect.Type) {
	patch := c.isPatch
	c.isPatch = false // a list is replaced as a whole
	c.s.enter()
	for n := 0; !c.s.leave(); n++ {
		c.within(strconv.Itoa(n), func() { c.value(t) })
	}
	c.isPatch = patch
}

// text checks a string.
func (c *checker) text(t reflect.Type) {
	switch textual := reflect.PointerTo(t).Implements(textType); {
	case t == timeType:
		if _, err := time.Parse(time.RFC3339, string(c.s.str())); err != nil {
			c.add(audience.Malformed, "not a time, such as 2030-01-31T08:00:00Z")
		}
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8:
		var v []byte
		if json.Unmarshal(c.s.skip(), &v) != nil {
			c.add(audience.Malformed, "not base64")
		}
	case textual:
		if u, ok := reflect.TypeAssert[encoding.TextUnmarshaler](reflect.New(t)); ok && u.UnmarshalText(c.s.str()) != nil {
			c.add(audience.Malformed, "%s", expectation(t))
		}
	case t.Kind() != reflect.String:
		c.wrong("a string", t)
	default:
		c.s.skip()
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
func (c *checker) number(t reflect.Type) {
	var err error
	unsigned := false
	switch k := t.Kind(); {
	case reflect.PointerTo(t).Implements(textType):
		c.wrong("a number", t)
		return
	case k >= reflect.Int && k <= reflect.Int64:
		_, err = strconv.ParseInt(string(c.s.skip()), 10, t.Bits())
	case k >= reflect.Uint && k <= reflect.Uintptr:
		unsigned = true
		_, err = strconv.ParseUint(string(c.s.skip()), 10, t.Bits())
	case k == reflect.Float32 || k == reflect.Float64:
		_, err = strconv.ParseFloat(string(c.s.skip()), t.Bits())
	default:
		c.wrong("a number", t)
	}
	switch {
	case errors.Is(err, strconv.ErrRange):
		c.add(audience.Malformed, "the number is too large")
	case err != nil && unsigned:
		c.add(audience.Malformed, "here goes a whole number that is not negative")
	case err != nil:
		c.add(audience.Malformed, "here goes a whole number")
	}
}

// escape returns a name as it is in a JSON pointer (RFC 6901 section 3).
func escape(name string) string {
	return strings.ReplaceAll(strings.ReplaceAll(name, "~", "~0"), "/", "~1")
}
