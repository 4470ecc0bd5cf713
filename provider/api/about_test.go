package api

import (
	"slices"
	"testing"
)

// TestMembers has something said of every member of the types that are not this
// package's, and of none that there is not.
func TestMembers(t *testing.T) {
	for of, said := range members {
		fields := fieldsOf(of)
		for name := range said {
			if !slices.ContainsFunc(fields, func(f field) bool { return f.name == name }) {
				t.Errorf("%v has no %s", of, name)
			}
		}
		for _, f := range fields {
			if said[f.name] == nil && texts[f.typ] == nil {
				t.Errorf("nothing is said of %s of %v", f.name, of)
			}
		}
	}
}
