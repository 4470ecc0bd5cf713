package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestTestingPage runs the Go code of docs/testing.md: its blocks, one behind the
// other, are the one file of a package of this module that exists nowhere else.
func TestTestingPage(t *testing.T) {
	t.Parallel()
	var code strings.Builder
	tests := 0
	for _, b := range codeBlocks(t, "../docs/testing.md") {
		if b.language == "go" {
			code.WriteString(b.text)
			tests += strings.Count(b.text, "\nfunc Test") + strings.Count(b.text[:min(len(b.text), 9)], "func Test")
		}
	}
	if tests < 3 {
		t.Fatalf("the page has %d tests", tests)
	}
	if err := noteSources(".."); err != nil {
		t.Fatal(err)
	}
	module, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	source := filepath.Join(t.TempDir(), "page_test.go")
	if err := os.WriteFile(source, []byte(code.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]map[string]string{
		"Replace": {filepath.Join(module, "docs", "page_test.go"): source},
	})
	if err != nil {
		t.Fatal(err)
	}
	replace, tested := filepath.Join(t.TempDir(), "overlay.json"), filepath.Join(t.TempDir(), "page.test")
	if err := os.WriteFile(replace, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	build := exec.CommandContext(t.Context(), "go", "test", "-c", "-o", tested, "-overlay", replace, "./docs")
	build.Dir = module
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the code of the page: %v\n%s", err, out)
	}
	o := tool(t, tested, "-test.v")
	if got := strings.Count(o.stdout, "--- PASS: "); got != tests {
		t.Errorf("%d of %d tests of the page passed:\n%s", got, tests, o.stdout)
	}
}
