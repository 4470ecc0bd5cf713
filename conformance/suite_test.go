package conformance_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/conformance"
)

func load(t *testing.T) *conformance.Suite {
	t.Helper()
	suite, err := conformance.Load()
	if err != nil {
		t.Fatal(err)
	}
	return suite
}

// TestSuite proves that the cases are as many as they claim to be, and that
// each reason that a gateway can be brought to say from outside is wanted.
func TestSuite(t *testing.T) {
	suite := load(t)
	written := 0
	wanted := make(map[string]bool)
	for _, c := range suite.Cases {
		if c.Theme != "order" {
			written++
		}
		for _, s := range append(c.Steps, c.Step) {
			for want := range strings.SplitSeq(strings.Join([]string{s.Want, s.Last, s.Some}, " or "), " or ") {
				wanted[want] = true
			}
		}
	}
	if written < 500 || len(suite.Cases)-written < 700 {
		t.Errorf("got %d cases that are written and %d of order, want 500 and 700 at least", written, len(suite.Cases)-written)
	}
	notFromOutside := []apns.Reason{apns.IdleTimeout, apns.ExpiredToken, apns.InternalServerError, apns.ServiceUnavailable, apns.Shutdown}
	for _, r := range reasons(t) {
		if !wanted[string(r)] && !slices.Contains(notFromOutside, r) {
			t.Errorf("no case wants %s", r)
		}
	}
}

// reasons returns the reasons that the table of the protocol has.
func reasons(t *testing.T) (all []apns.Reason) {
	t.Helper()
	for _, m := range regexp.MustCompile("(?m)^\\| [45][0-9]{2} \\| `([A-Za-z]+)` ").FindAllStringSubmatch(document(t, "provider.md"), -1) {
		all = append(all, apns.Reason(m[1]))
	}
	if len(all) < 30 {
		t.Fatalf("provider.md has %d reasons: the table is not read", len(all))
	}
	return all
}

func document(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "docs", "protocol", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestSources proves that each case says where its rule stands, and that there
// is such a place. A page on a feature that is not there yet may be missing.
func TestSources(t *testing.T) {
	anchors := make(map[string][]string)
	notWord := regexp.MustCompile(`[^a-z0-9 -]`)
	for _, c := range load(t).Cases {
		if strings.HasPrefix(c.Why, "https://") {
			continue
		}
		page, anchor, _ := strings.Cut(c.Why, "#")
		if _, err := os.Stat(filepath.Join("..", "docs", "protocol", page)); err != nil && len(c.Needs) > 0 {
			continue
		}
		if anchors[page] == nil {
			for line := range strings.SplitSeq(document(t, page), "\n") {
				if heading, ok := strings.CutPrefix(strings.TrimLeft(line, "#"), " "); ok && strings.HasPrefix(line, "#") {
					heading = notWord.ReplaceAllString(strings.ToLower(heading), "")
					anchors[page] = append(anchors[page], strings.ReplaceAll(heading, " ", "-"))
				}
				if _, id, ok := strings.Cut(line, `<a id="`); ok {
					id, _, _ = strings.Cut(id, `"`)
					anchors[page] = append(anchors[page], id)
				}
			}
		}
		if !slices.Contains(anchors[page], anchor) {
			t.Errorf("%s: there is no %s", c.ID(), c.Why)
		}
	}
}

// TestLoad proves that what is wrong with a file is told.
func TestLoad(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"no TOML", "[[case", "line 1"},
		{"an unknown key", "by = ['token']\n[[case]]\nname = 'a'\nwhy = 'b'\nwant = 'accepted'\nspeed = 1", "case.speed is unknown"},
		{"no mode", "[[case]]\nname = 'a'\nwhy = 'b'\nwant = 'accepted'", "neither token nor certificate"},
		{"an unknown mode", "by = ['magic']\n[[case]]\nname = 'a'\nwhy = 'b'\nwant = 'accepted'", `by "magic"`},
		{"no source", "by = ['token']\n[[case]]\nname = 'a'\nwant = 'accepted'", "lacks a name or a source"},
		{"no outcome", "by = ['token']\n[[case]]\nname = 'a'\nwhy = 'b'", "outcome is not said"},
		{"an unknown feature", "by = ['token']\n[[case]]\nname = 'a'\nwhy = 'b'\nneeds = ['wings']\nwant = 'accepted'", `no probe "wings"`},
		{"two of a name", "by = ['token']\n[[case]]\nname = 'a'\nwhy = 'b'\nwant = 'accepted'\n[[case]]\nname = 'a'\nwhy = 'b'\nwant = 'accepted'", "there are two"},
		{"a body and a size", "by = ['token']\n[[case]]\nname = 'a'\nwhy = 'b'\nwant = 'accepted'\nbody = ''\nsize = 30", "a body and a size"},
		{"a header without a value", "by = ['token']\n[[case]]\nname = 'a'\nwhy = 'b'\nwant = 'accepted'\nadd = [['x']]", "name and value"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := conformance.LoadFS(fstest.MapFS{"test.toml": {Data: []byte(tt.text)}})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// TestPairs proves which cases a table of faults makes.
func TestPairs(t *testing.T) {
	const table = `
[[fault]]
name = "m"
place = "method"
why = "provider.md#order"
method = "GET"
want = "MethodNotAllowed"

[[fault]]
name = "t"
place = "authorization"
why = "provider.md#order"
begin = {}
set = { authorization = "bearer x" }
want = "InvalidProviderToken"

[[fault]]
name = "p"
place = "path method"
why = "provider.md#order"
path = "/"
want = "BadPath"
`
	suite, err := conformance.LoadFS(fstest.MapFS{"order.toml": {Data: []byte(table)}})
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]string)
	for _, c := range suite.Cases {
		outcomes := make([]string, 0, 2)
		for _, s := range c.Steps {
			outcomes = append(outcomes, s.Want)
		}
		got[c.Name] = strings.Join(outcomes, ", ")
	}
	want := map[string]string{
		"m, by token": "MethodNotAllowed", "m, by certificate": "MethodNotAllowed",
		"t, by token": "accepted, InvalidProviderToken", "t, by certificate": "accepted",
		"p, by token": "BadPath", "p, by certificate": "BadPath",
		"m before t, by token": "accepted, MethodNotAllowed", "m before t, by certificate": "MethodNotAllowed",
		"t before p, by token": "accepted, InvalidProviderToken", "t and p, by certificate": "BadPath",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("cases (-want +got):\n%s", diff)
	}
}

func TestRequires(t *testing.T) {
	const text = `
by = ["token"]
[[probe]]
name = "wings"
want = "accepted"
[[case]]
name = "a"
why = "provider.md#order"
needs = ["wings"]
connect = { at = "legacy", certificate = "revoked certificate" }
to = "voip device token"
token = { key = "topic key", sign = "unknown key" }
set = { x = "${upper uuid} ${now+1} ${repeat a 3} ${second topic}" }
want = "accepted"
`
	suite, err := conformance.LoadFS(fstest.MapFS{"a.toml": {Data: []byte(text)}})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"address of legacy", "feature: wings", "revoked certificate", "second topic", "topic key", "voip device token"}
	if diff := cmp.Diff(want, suite.Cases[0].Requires()); diff != "" {
		t.Errorf("requires (-want +got):\n%s", diff)
	}
}

func TestReport(t *testing.T) {
	report := conformance.Report{
		{Theme: "a", Name: "x", Result: conformance.Passed, Why: "provider.md#order"},
		{Theme: "a", Name: "y", Result: conformance.Failed, Got: "accepted", Want: "BadPath", Why: "provider.md#order"},
		{Theme: "b", Name: "z", Result: conformance.Skipped, Detail: "no wings", Why: "https://example.com/z"},
	}
	var got []string
	for _, r := range report {
		got = append(got, r.Line())
	}
	want := []string{
		"ok    a/x",
		"FAIL  a/y: got accepted, want BadPath; see docs/protocol/provider.md#order",
		"skip  b/z: no wings",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
	b, err := report[1].JSON()
	if want := `{"theme":"a","name":"y","result":"fail","got":"accepted","want":"BadPath","why":"provider.md#order","ms":0}`; err != nil || string(b) != want {
		t.Errorf("got %s, %v, want %s", b, err, want)
	}
	var table strings.Builder
	if err := report.WriteTable(&table); err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(table.String())
	if want := strings.Fields("THEME OK FAIL SKIP a 1 1 0 b 0 0 1 all 1 1 1"); !slices.Equal(fields, want) {
		t.Errorf("table: got %q, want %q", fields, want)
	}
}
