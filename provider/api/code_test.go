package api

import (
	"cmp"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/problems.md as the table has it")

// TestProblemsPage holds the page that problems point to against the table.
func TestProblemsPage(t *testing.T) {
	const path = "../../docs/problems.md"
	codes := slices.SortedFunc(maps.Keys(problems), func(a, b Code) int {
		return cmp.Or(cmp.Compare(problems[a].status, problems[b].status), cmp.Compare(a, b))
	})
	var b strings.Builder
	b.WriteString("# Problems of the provider's API\n\n" +
		"What the [provider](provider.md)'s API refuses is answered with `application/problem+json` (RFC 9457). Its `type` is the address of a heading on this page; its\n" +
		"`code` is for programs and never changes its meaning; `errors` has everything that is wrong with the request, each with a JSON pointer into\n" +
		"the body (RFC 6901) or the name of a parameter. `instance` has the ID of the request, which is also in the header `Request-Id` and in the log.\n\n" +
		"This page is made from the table in `provider/api/code.go`: `go test ./provider/api -run Problems -update`.\n")
	for _, c := range codes {
		fmt.Fprintf(&b, "\n## %s\n\n**%d** %s. %s\n", c, problems[c].status, problems[c].title, problems[c].about)
	}
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != b.String() {
		t.Error("docs/problems.md is not as the table has it: run this test with -update")
	}
}
