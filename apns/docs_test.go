package apns_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/apns"
)

const page = "../docs/protocol/provider.md"

// section returns the lines of the page below a heading.
func section(t *testing.T, heading string) string {
	t.Helper()
	b, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(b), "\n## "+heading+"\n")
	if !ok {
		t.Fatalf("%s has no heading %q", page, heading)
	}
	s, _, _ := strings.Cut(rest, "\n## ")
	return s
}

// The table of the page and the table of the code are one.
func TestReasonsAreDocumented(t *testing.T) {
	want := make(map[string]int)
	for _, r := range apns.AllReasons() {
		want[string(r)] = r.Status()
	}
	got := make(map[string]int)
	row := regexp.MustCompile("(?m)^\\| (\\d{3}) \\| `(\\w+)` \\| \\S.* \\|$")
	for _, m := range row.FindAllStringSubmatch(section(t, "Reasons"), -1) {
		status, err := strconv.Atoi(m[1])
		if err != nil {
			t.Fatal(err)
		}
		if _, twice := got[m[2]]; twice {
			t.Errorf("%s stands in the table twice", m[2])
		}
		got[m[2]] = status
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("reasons and statuses in %s (-code +page):\n%s", page, d)
	}
}

// Every constant of the type Reason has a row in the code's table.
func TestReasonConstantsAreInTheTable(t *testing.T) {
	src, err := os.ReadFile("rejection.go")
	if err != nil {
		t.Fatal(err)
	}
	known := make(map[string]bool)
	for _, r := range apns.AllReasons() {
		known[string(r)] = true
	}
	constants := regexp.MustCompile(`(?m)^\t\w+ +Reason = "(\w+)"$`).FindAllStringSubmatch(string(src), -1)
	for _, m := range constants {
		if !known[m[1]] {
			t.Errorf("%s is not in the table", m[1])
		}
	}
	if len(constants) != len(known) {
		t.Errorf("got %d constants, want %d", len(constants), len(known))
	}
}

func TestPushTypesAreDocumented(t *testing.T) {
	want := make(map[string]string)
	for _, p := range apns.AllPushTypes() {
		want[string(p)] = p.Suffix()
	}
	got := make(map[string]string)
	row := regexp.MustCompile("(?m)^\\| `(\\w+)` \\| (?:\\+ `([^`]+)`)?")
	for _, m := range row.FindAllStringSubmatch(section(t, "Push types"), -1) {
		got[m[1]] = m[2]
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("push types and suffixes in %s (-code +page):\n%s", page, d)
	}
}

// What the code cites is there.
func TestCitedHeadingsExist(t *testing.T) {
	b, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	anchors := make(map[string]bool)
	for _, m := range regexp.MustCompile(`(?m)^#+ (.+)$|^<a id="([^"]+)">`).FindAllStringSubmatch(string(b), -1) {
		slug := strings.ToLower(strings.ReplaceAll(strings.ReplaceAll(m[1], "/", ""), " ", "-"))
		anchors[slug+m[2]] = true
	}
	cite := regexp.MustCompile(`docs/protocol/provider\.md#([a-z0-9-]+)`)
	inPage := regexp.MustCompile(`\]\(#([a-z0-9-]+)\)`)
	check := func(file string, cites [][]string) {
		for _, m := range cites {
			if !anchors[m[1]] {
				t.Errorf("%s cites #%s, which %s does not have", file, m[1], page)
			}
		}
	}
	check(page, inPage.FindAllStringSubmatch(string(b), -1))
	err = filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".go" {
			return err
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		check(path, cite.FindAllStringSubmatch(string(src), -1))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
