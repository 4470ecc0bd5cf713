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

// The pages that are held to the code.
const (
	page      = "../docs/protocol/provider.md"
	broadcast = "../docs/protocol/broadcast.md"
)

// section returns the lines of a page below a heading.
func section(t *testing.T, page, heading string) string {
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

// The tables of the pages and the table of the code are one.
func TestReasonsAreDocumented(t *testing.T) {
	want := make(map[string]int)
	for _, r := range apns.AllReasons() {
		want[string(r)] = r.Status()
	}
	got := documentedReasons(t, page)
	for name, status := range documentedReasons(t, broadcast) {
		if known, ok := got[name]; ok && known != status {
			t.Errorf("%s: got %d in %s and %d in %s", name, known, page, status, broadcast)
		}
		got[name] = status
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("reasons and statuses in the pages (-code +pages):\n%s", d)
	}
}

// documentedReasons returns the table of reasons of a page, with their
// statuses.
func documentedReasons(t *testing.T, page string) map[string]int {
	t.Helper()
	got := make(map[string]int)
	row := regexp.MustCompile("(?m)^\\| (\\d{3}) \\| `(\\w+)` \\| \\S.* \\|$")
	for _, m := range row.FindAllStringSubmatch(section(t, page, "Reasons"), -1) {
		status, err := strconv.Atoi(m[1])
		if err != nil {
			t.Fatal(err)
		}
		if _, twice := got[m[2]]; twice {
			t.Errorf("%s stands in the table of %s twice", m[2], page)
		}
		got[m[2]] = status
	}
	return got
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
	for _, m := range row.FindAllStringSubmatch(section(t, page, "Push types"), -1) {
		got[m[1]] = m[2]
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("push types and suffixes in %s (-code +page):\n%s", page, d)
	}
}

// What the code and the pages cite is there.
func TestCitedHeadingsExist(t *testing.T) {
	for _, page := range []string{page, broadcast} {
		testCitedHeadings(t, page)
	}
}

func testCitedHeadings(t *testing.T, page string) {
	t.Helper()
	b, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	anchors := make(map[string]bool)
	for _, m := range regexp.MustCompile(`(?m)^#+ (.+)$|^<a id="([^"]+)">`).FindAllStringSubmatch(string(b), -1) {
		slug := strings.ToLower(strings.ReplaceAll(strings.ReplaceAll(m[1], "/", ""), " ", "-"))
		anchors[slug+m[2]] = true
	}
	name := regexp.QuoteMeta(filepath.Base(page))
	cite := regexp.MustCompile(`docs/protocol/` + name + `#([a-z0-9-]+)`)
	inPage := regexp.MustCompile(`\]\(#([a-z0-9-]+)\)`)
	amongPages := regexp.MustCompile(`\]\(` + name + `#([a-z0-9-]+)\)`)
	check := func(file string, cites [][]string) {
		for _, m := range cites {
			if !anchors[m[1]] {
				t.Errorf("%s cites #%s, which %s does not have", file, m[1], page)
			}
		}
	}
	check(page, inPage.FindAllStringSubmatch(string(b), -1))
	err = filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		links := cite
		switch filepath.Ext(path) {
		case ".go":
		case ".md":
			links = amongPages
		default:
			return nil
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		check(path, links.FindAllStringSubmatch(string(src), -1))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
