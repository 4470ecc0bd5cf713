package e2e

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// built is the folder for what the tests build. TestMain sets it, once.
var built string

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		os.Exit(1)
	}
	os.Exit(code)
}

// run runs the tests and removes what they built.
func run(m *testing.M) (code int, err error) {
	if built, err = os.MkdirTemp("", "herald-e2e-"); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(built)) }()
	return m.Run(), nil
}

// binary returns the path of the herald under test, which the first call builds.
func binary(t *testing.T) string {
	t.Helper()
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// build builds herald. It is done from within a test, not before all tests,
// because only there does `go test` take note of what is looked at.
var build = sync.OnceValues(func() (string, error) {
	if err := noteSources(".."); err != nil {
		return "", err
	}
	path := filepath.Join(built, "herald")
	args := []string{"build", "-o", path}
	if raceEnabled {
		args = append(args, "-race")
	}
	cmd := exec.Command("go", append(args, "./cmd/herald")...)
	cmd.Dir = ".."
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building herald: %w\n%s", err, out)
	}
	return path, nil
})

// noteSources looks at each Go file and each embedded asset of the module, so
// that `go test` counts them among the inputs of these tests. Herald is built
// here and not imported: without this, a cached result would outlive a change.
func noteSources(module string) error {
	return filepath.WalkDir(module, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if path != module && strings.HasPrefix(entry.Name(), ".") {
				return fs.SkipDir
			}
			return nil
		}
		_, err = os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) { // an editor's file, gone again
			return nil
		}
		return err
	})
}
