package audience

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Registration returns what an app would have to say for i to be as it is.
func (i Installation) Registration() Registration {
	r := Registration{
		Tags: i.Tags, Locale: i.Locale, TimeZone: i.TimeZone, AppVersion: i.AppVersion, Sequence: i.Sequence,
	}
	for _, d := range i.Destinations {
		r.DeviceTokens = append(r.DeviceTokens, RegisteredToken{d.Kind, d.Name, d.Environment.String(), d.DeviceToken.Hex()})
	}
	for _, a := range i.Person {
		if r.Person == nil {
			r.Person = make(map[string]string)
		}
		r.Person[a.Label] = a.ID
	}
	return r
}

// Patch returns r after a JSON merge patch (RFC 7396): what the patch names is
// replaced, and what it has null for is taken away. A list is replaced as a
// whole. The error is an *InvalidError.
func (r Registration) Patch(patch []byte) (Registration, error) {
	whole, err := json.Marshal(r)
	if err != nil {
		return r, fmt.Errorf("patching a registration: %w", err)
	}
	target, err := decodeAny(whole)
	if err != nil {
		return r, fmt.Errorf("patching a registration: %w", err)
	}
	change, err := decodeAny(patch)
	if err != nil {
		return r, malformed(err)
	}
	if _, ok := change.(map[string]any); !ok {
		return r, malformed(errors.New("not a JSON object"))
	}
	if whole, err = json.Marshal(merge(target, change)); err != nil {
		return r, fmt.Errorf("patching a registration: %w", err)
	}
	return ParseRegistration(whole)
}

// ParseRegistration reads a registration. Fields that it does not know are
// refused, as they are mistakes. The error is an *InvalidError.
func ParseRegistration(b []byte) (r Registration, err error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return Registration{}, malformed(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Registration{}, malformed(errors.New("more follows the JSON object"))
	}
	return r, nil
}

// malformed is the error for a request that is not the JSON that it should be.
func malformed(err error) error {
	f := Fault{Code: Malformed, Detail: strings.TrimPrefix(err.Error(), "json: ")}
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		f.Detail = "a JSON " + wrong.Value + " cannot stand here"
		if wrong.Field != "" { // without the places in lists, which the decoder does not tell
			f.Pointer = "/" + strings.ReplaceAll(wrong.Field, ".", "/")
		}
	} else if strings.HasPrefix(f.Detail, "unknown field") {
		f.Code = Unknown
	}
	return &InvalidError{[]Fault{f}}
}

// decodeAny reads a JSON document, with numbers as they are.
func decodeAny(b []byte) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more follows the JSON document")
	}
	return v, nil
}

// merge is MergePatch of RFC 7396 section 2. It may change target.
func merge(target, patch any) any {
	change, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	object, ok := target.(map[string]any)
	if !ok {
		object = make(map[string]any)
	}
	for name, value := range change {
		if value == nil {
			delete(object, name)
		} else {
			object[name] = merge(object[name], value)
		}
	}
	return object
}
