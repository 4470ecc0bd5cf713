package folder

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestRun(t *testing.T) {
	dir := t.TempDir()
	create(t, dir)
	if r, err := ReadRun(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("before: got %v, %v, want %v", r, err, fs.ErrNotExist)
	}
	f, err := Open(t.Context(), dir, MadeByDev)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.WriteRun("http://127.0.0.1:8030", "secret"); err != nil {
		t.Fatal(err)
	}
	if got := modes(t, dir)[runFile]; got != "-rw-------" {
		t.Errorf("run.json: got mode %s, want -rw-------", got)
	}
	r, err := ReadRun(dir)
	if err != nil || r.PID != os.Getpid() || r.URL != "http://127.0.0.1:8030" || r.AdminKey != "secret" || time.Since(r.Started) > time.Minute {
		t.Errorf("got %v, %v, want what was written", r, err)
	}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("run", slog.Any("run", r))
	if shown := fmt.Sprintf("%v %+v %#v %s", r, r, r, r) + log.String(); strings.Contains(shown, "secret") {
		t.Errorf("it shows its key: %s", shown)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadRun(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after: got %v, want %v", err, fs.ErrNotExist)
	}
}

// TestStaleRun proves that what a killed platform said of itself is removed at
// the next start, whoever has its process ID by now.
func TestStaleRun(t *testing.T) {
	dead := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
	if err := dead.Run(); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		pid  int
	}{
		{"of nobody", dead.Process.Pid},
		{"of another program", os.Getppid()},
		{"of this process", os.Getpid()},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			create(t, dir)
			stale := fmt.Sprintf(`{"pid": %d, "url": "http://127.0.0.1:1", "admin_key": "secret"}`, tt.pid)
			if err := os.WriteFile(filepath.Join(dir, runFile), []byte(stale), 0o600); err != nil {
				t.Fatal(err)
			}
			f, err := Open(t.Context(), dir, MadeByDev)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if r, err := ReadRun(dir); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("got %v, %v, want %v", r, err, fs.ErrNotExist)
			}
		})
	}
}

func TestReadRunDamaged(t *testing.T) {
	dir := t.TempDir()
	for _, text := range []string{"", "{", `{"pid": 1}`, "null", strings.Repeat(" ", maxMark+1)} {
		if err := os.WriteFile(filepath.Join(dir, runFile), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if r, err := ReadRun(dir); err == nil || !strings.Contains(err.Error(), runFile) {
			t.Errorf("%.20q: got %v, %v, want an error that names the file", text, r, err)
		}
	}
}
