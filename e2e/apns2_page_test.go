package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestApns2Page compiles the code of docs/coming-from-apns2.md: the blocks of
// either library, one behind the other, are one file.
func TestApns2Page(t *testing.T) {
	t.Parallel()
	code := make(map[string]string)
	for _, b := range codeBlocks(t, "../docs/coming-from-apns2.md") {
		if b.language != "go" || b.info != "apns2" && b.info != "herald" {
			t.Errorf("line %d: the code is of no library: %s %s", b.line, b.language, b.info)
		}
		code[b.info] += b.text
	}
	for name := range strings.Lines(code["apns2"]) {
		if function, ok := strings.CutPrefix(name, "func "); ok {
			function, _, _ = strings.Cut(function, "(")
			twin := map[string]string{"manager": "pool"}[function]
			if twin == "" {
				twin = function
			}
			if !strings.Contains(code["herald"], "func "+twin+"(") {
				t.Errorf("there is no func %s for Herald", twin)
			}
		}
	}
	if err := noteSources(".."); err != nil {
		t.Fatal(err)
	}
	t.Run("herald", func(t *testing.T) {
		compilePage(t, "..", filepath.Join("docs", "page.go"), code["herald"])
	})
	t.Run("apns2", func(t *testing.T) {
		buildModule(t, "sideshow", "the library sideshow/apns2")
		compilePage(t, filepath.Join("testdata", "sideshow"), filepath.Join("page", "page.go"), code["apns2"]+"\nfunc main() {}\n")
	})
}

// compilePage compiles a file of a module that exists nowhere else.
func compilePage(t *testing.T, module, path, code string) {
	t.Helper()
	module, err := filepath.Abs(module)
	if err != nil {
		t.Fatal(err)
	}
	source, replace := filepath.Join(t.TempDir(), "page.go"), filepath.Join(t.TempDir(), "overlay.json")
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {filepath.Join(module, path): source}})
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{source: []byte(code), replace: overlay} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", os.DevNull, "-overlay", replace, "./"+filepath.Dir(path))
	build.Dir = module
	build.Env = append(os.Environ(), "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		t.Errorf("building the code of the page: %v\n%s", err, out)
	}
}
