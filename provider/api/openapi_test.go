package api

import (
	"bytes"
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// TestDocument holds the document against the meta-schema of OpenAPI 3.1, and all its
// schemas against that of JSON Schema.
func TestDocument(t *testing.T) {
	w := newWorld(t, nil)
	got := w.as(t, "", "GET", "/openapi.json", "")
	file, err := os.ReadFile("testdata/openapi-3.1/schema.json")
	if err != nil {
		t.Fatal(err)
	}
	read := func(b []byte) any {
		t.Helper()
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("openapi.json", read(file)); err != nil {
		t.Fatal(err)
	}
	meta, err := c.Compile("openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	document := read([]byte(got.body))
	if err := meta.Validate(document); err != nil {
		t.Errorf("the document is not OpenAPI 3.1: %v", err)
	}
	if err := meta.Validate(map[string]any{"openapi": "3.1.0"}); err == nil {
		t.Error("the meta-schema takes anything")
	}
	whole, err := compiled([]byte(got.body))
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	everySchema("", document, func(pointer string) {
		checked++
		if _, err := whole.schema(pointer); err != nil {
			t.Errorf("%s: %v", pointer, err)
		}
	})
	if checked < 20 {
		t.Errorf("there are %d schemas: not all were found", checked)
	}
}

// Generators make a type of each schema and of each security scheme, in one name space,
// and hold a property with a default for one that is always there.
func TestDocumentForGenerators(t *testing.T) {
	got := newWorld(t, nil).as(t, "", "GET", "/openapi.json", "")
	var document struct {
		Components struct {
			Schemas         map[string]struct{ Properties map[string]map[string]any }
			SecuritySchemes map[string]any
		}
	}
	if err := json.Unmarshal([]byte(got.body), &document); err != nil {
		t.Fatal(err)
	}
	for name, s := range document.Components.Schemas {
		for scheme := range document.Components.SecuritySchemes {
			if strings.EqualFold(name, strings.ReplaceAll(scheme, "_", "")) {
				t.Errorf("%s is a schema, and a security scheme", name)
			}
		}
		for property, p := range s.Properties {
			if p["default"] != nil {
				t.Errorf("%s.%s has a default", name, property)
			}
		}
	}
}

// everySchema calls f with the pointers to the schemas of a document.
func everySchema(at string, v any, f func(pointer string)) {
	members, ok := v.(map[string]any)
	if list, isList := v.([]any); isList {
		for n := range list {
			everySchema(at+"/"+strconv.Itoa(n), list[n], f)
		}
	}
	if !ok {
		return
	}
	for name, below := range members {
		pointer := at + "/" + escape(name)
		switch name {
		case "schema":
			f(pointer)
		case "schemas":
			if components, ok := below.(map[string]any); ok {
				for name := range components {
					f(pointer + "/" + escape(name))
				}
			}
		default:
			everySchema(pointer, below, f)
		}
	}
}
