package payload

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/heraldpush/herald/apns"
)

// object writes a JSON object, its members in the order of the calls. What is
// empty is left out. The first error stays, and what is written after it does not
// matter. The zero value is an empty object.
type object struct {
	path string // from the document to here, such as "aps.alert"; empty for the document
	b    []byte // the members that are there, without the braces
	err  error
}

// document returns a whole payload: aps with further keys, and the app's own.
// The keys that have a field may not be among the further ones.
func document(aps *object, fields []string, more, custom map[string]any) (apns.Payload, error) {
	for _, name := range fields {
		if _, ok := more[name]; ok {
			aps.refuse(name, "it is in More, and there is a field for it", "use the field")
		}
	}
	aps.members(more)
	var o object
	if _, ok := custom["aps"]; ok {
		o.refuse("aps", "it is among the custom keys, and belongs to Apple", "use the fields, or More for keys that have none; rename a key of your own")
	}
	o.object("aps", aps)
	o.members(custom)
	return o.end()
}

// end returns the object, or the first error.
func (o *object) end() (apns.Payload, error) {
	if o.err != nil {
		return nil, o.err
	}
	return append(append([]byte{'{'}, o.b...), '}'), nil
}

// field returns the place of a member in the document.
func (o *object) field(name string) string {
	if o.path == "" {
		return name
	}
	return o.path + "." + name
}

// refuse notes what is wrong with a member.
func (o *object) refuse(name, problem, remedy string) {
	if o.err == nil {
		o.err = &FieldError{Field: o.field(name), Problem: problem, Remedy: remedy}
	}
}

// raw writes a member whose value is JSON.
func (o *object) raw(name string, value []byte) {
	key, err := encode(name)
	if err != nil {
		o.refuse(name, err.Error(), "give another name")
		return
	}
	if len(o.b) > 0 {
		o.b = append(o.b, ',')
	}
	o.b = append(append(append(o.b, key...), ':'), value...)
}

// object writes a member that is an object.
func (o *object) object(name string, value *object) {
	b, err := value.end()
	if err != nil && o.err == nil {
		o.err = err
	}
	o.raw(name, b)
}

// value writes a member that is whatever encoding/json makes of it.
func (o *object) value(name string, value any) {
	b, err := encode(value)
	if err != nil {
		o.refuse(name, err.Error(), "give a value that encoding/json takes")
		return
	}
	o.raw(name, b)
}

// objectOf writes a member that has to be an object, unless it is nil.
func (o *object) objectOf(name string, value any) {
	if value == nil {
		return
	}
	b, err := encode(value)
	switch {
	case err != nil:
		o.refuse(name, err.Error(), "give a value that encoding/json takes")
	case !apns.Payload(b).IsObject():
		o.refuse(name, fmt.Sprintf("%T is not an object in JSON", value), "give a struct or a map that is not nil")
	default:
		o.raw(name, b)
	}
}

// members writes all of m, in the order of the alphabet.
func (o *object) members(m map[string]any) {
	for _, name := range slices.Sorted(maps.Keys(m)) {
		if o.isText(name, name) {
			o.value(name, m[name])
		}
	}
}

// text writes a text, unless it is empty.
func (o *object) text(name, s string) {
	if s != "" && o.isText(name, s) {
		o.value(name, s)
	}
}

// texts writes a list of texts, unless it is nil.
func (o *object) texts(name string, list []string) {
	if list == nil {
		return
	}
	for i, s := range list {
		if !o.isText(name+"["+strconv.Itoa(i)+"]", s) {
			return
		}
	}
	o.value(name, list)
}

// isText refuses what encoding/json would silently change.
func (o *object) isText(name, s string) bool {
	if utf8.ValidString(s) {
		return true
	}
	at := 0
	for {
		r, size := utf8.DecodeRuneInString(s[at:])
		if r == utf8.RuneError && size <= 1 {
			break
		}
		at += size
	}
	o.refuse(name, fmt.Sprintf("it is not UTF-8 at byte %d", at), "give UTF-8; a text that was cut by bytes may end inside a character")
	return false
}

// one writes the number 1, unless it is not set.
func (o *object) one(name string, set bool) {
	if set {
		o.raw(name, []byte{'1'})
	}
}

// number writes a number, unless there is none.
func (o *object) number(name string, f *float64) {
	if f == nil {
		return
	}
	if math.IsNaN(*f) || math.IsInf(*f, 0) {
		o.refuse(name, fmt.Sprintf("%v is no number in JSON", *f), "give a number, or nil for none")
		return
	}
	o.value(name, *f)
}

// share writes a number from 0 to 1, unless there is none.
func (o *object) share(name string, f *float64) {
	if f != nil && (*f < 0 || *f > 1) {
		o.refuse(name, fmt.Sprintf("%v is not from 0 to 1", *f), "give a share of 1, or nil for none")
	}
	o.number(name, f)
}

// seconds writes a time in seconds since the epoch, unless it is the zero time.
func (o *object) seconds(name string, t time.Time) {
	switch {
	case t.IsZero():
	case t.Unix() < 0:
		o.refuse(name, "it is before 1970", "give a time of today, or the zero time for none")
	default:
		o.value(name, t.Unix())
	}
}

// encode returns what encoding/json makes of a value, without escaping what HTML
// would mind.
func encode(value any) ([]byte, error) {
	var w bytes.Buffer
	enc := json.NewEncoder(&w)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		if inner := errors.Unwrap(err); inner != nil { // without the words of the encoder
			err = inner
		}
		return nil, err
	}
	return bytes.TrimSuffix(w.Bytes(), []byte("\n")), nil
}
