package agent

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestDocumentedEvent reads the notification that docs/device.md shows: it has
// each member that there can be, and no other.
func TestDocumentedEvent(t *testing.T) {
	page, err := os.ReadFile("../../docs/device.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, ok := strings.Cut(string(page), "```json\n")
	text, _, end := strings.Cut(text, "```\n")
	if !ok || !end {
		t.Fatal("the page shows no event")
	}
	var e Event
	dec := json.NewDecoder(strings.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&e); err != nil {
		t.Fatalf("the event of the page: %v", err)
	}
	back, err := e.JSON()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(members(t, []byte(text)), members(t, back)); diff != "" {
		t.Errorf("members (-page +written):\n%s", diff)
	}
	e.Reason, e.DeviceToken, e.Environment, e.Courier, e.Device = "x", "x", "x", "x", "x"
	all, err := e.JSON()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range members(t, all) {
		if name, _, _ = strings.Cut(name, "."); !bytes.Contains(page, []byte("`"+name+"`")) && !bytes.Contains(page, []byte(`"`+name+`":`)) {
			t.Errorf("the page does not tell of %s", name)
		}
	}
}

// members returns the names in a JSON object, and in that of what is shown.
func members(t *testing.T, text []byte) []string {
	t.Helper()
	var doc map[string]json.RawMessage
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	names := slices.Collect(maps.Keys(doc))
	if shown := doc["shown"]; shown != nil {
		for _, name := range members(t, shown) {
			names = append(names, "shown."+name)
		}
	}
	slices.Sort(names)
	return names
}
