package pain

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestTable keeps the table true: each test that it names exists, and each test of a
// pain is named.
func TestTable(t *testing.T) {
	root := filepath.Join("..", "..")
	text, err := os.ReadFile(filepath.Join(root, "docs", "promises.md"))
	if err != nil {
		t.Fatal(err)
	}
	named := make(map[string]bool)
	for _, name := range regexp.MustCompile("`(Test[A-Za-z0-9]+)`").FindAllStringSubmatch(string(text), -1) {
		named[name[1]] = true
	}
	there := make(map[string]bool)
	for _, dir := range []string{"provider", "provider/api", "provider/pain", "platform/crash", "store/pebble", "store/sqlite"} {
		files, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(dir), "*_test.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", dir, len(files), err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range regexp.MustCompile(`(?m)^func (Test[A-Za-z0-9]+)\(`).FindAllStringSubmatch(string(text), -1) {
				there[name[1]] = true
			}
		}
	}
	for name := range named {
		if !there[name] {
			t.Errorf("docs/promises.md names %s, which is no test", name)
		}
	}
	for name := range there {
		if strings.HasPrefix(name, "TestPain") && !named[name] {
			t.Errorf("docs/promises.md does not name %s", name)
		}
	}
}
