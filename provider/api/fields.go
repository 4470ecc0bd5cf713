package api

import (
	"reflect"
	"strings"
	"sync"
)

// field is a member of the JSON object that a struct is.
type field struct {
	name     string
	about    string
	index    []int
	typ      reflect.Type
	optional bool // it may be left out
}

var knownFields sync.Map // of []field, by reflect.Type

// fieldsOf returns the members of a struct, those of embedded structs among them, as
// encoding/json has them.
func fieldsOf(t reflect.Type) []field {
	if known, ok := knownFields.Load(t); ok {
		if all, ok := known.([]field); ok {
			return all
		}
	}
	var all []field
	for _, f := range reflect.VisibleFields(t) {
		tag, tagged := f.Tag.Lookup("json")
		name, options, _ := strings.Cut(tag, ",")
		if !f.IsExported() || name == "-" || f.Anonymous && !tagged {
			continue
		}
		if name == "" {
			name = f.Name
		}
		all = append(all, field{
			name: name, about: f.Tag.Get("about"), index: f.Index, typ: f.Type,
			optional: strings.Contains(options, "omitempty") || strings.Contains(options, "omitzero"),
		})
	}
	knownFields.Store(t, all)
	return all
}
