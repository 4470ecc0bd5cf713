package memory

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestChangeIsTakenBack proves that a change that fails leaves nothing behind,
// in memory or in the file.
func TestChangeIsTakenBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.json")
	k, err := open[map[string]int](path)
	if err != nil {
		t.Fatal(err)
	}
	set := func(v int, fail error) error {
		return k.change(func(m *map[string]int) error { put(m, "n", v); return fail })
	}
	value := func() (n int) {
		if err := k.view(func(m *map[string]int) error { n = (*m)["n"]; return nil }); err != nil {
			t.Error(err)
		}
		return n
	}
	if err := set(1, nil); err != nil {
		t.Fatal(err)
	}
	boom := errors.New("rule broken")
	if err := set(2, boom); !errors.Is(err, boom) || value() != 1 {
		t.Errorf("refused change: got %v and %d, want %v and 1", err, value(), boom)
	}
	k.path = filepath.Join(t.TempDir(), "no such folder", "state.json")
	if err := set(3, nil); err == nil || value() != 1 {
		t.Errorf("change that cannot be written: got %v and %d, want an error and 1", err, value())
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode of the file: got %v, %v, want 0600", info.Mode(), err)
	}
	if left, _ := filepath.Glob(path + ".*"); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestOpenDamaged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.json")
	if err := os.WriteFile(path, []byte(`{"n":`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := open[map[string]int](path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v, want an error that names %s", err, path)
	}
}
