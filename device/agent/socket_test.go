package agent

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/apns"
)

// shortDir is a folder whose path leaves room for a socket's.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "herald-") //nolint:usetesting // the name of the test would be in it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func TestSocketIsPrivate(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("modes say nothing here")
	}
	path := filepath.Join(shortDir(t), "s")
	l, err := listen(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode(); got != fs.ModeSocket|0o600 {
		t.Errorf("mode: got %v, want a socket of its owner's alone", got)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after its end: got %v, want that it is gone", err)
	}
}

// TestSocketLeftBehind opens a socket where a process that was killed had one.
func TestSocketLeftBehind(t *testing.T) {
	path := filepath.Join(shortDir(t), "s")
	old, err := listen(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	old.SetUnlinkOnClose(false)
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(path); err != nil {
		t.Fatal(err)
	}
	l, err := listen(t.Context(), path)
	if err != nil {
		t.Fatalf("got %v, want the socket in place of the old one", err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

func TestSocketRefused(t *testing.T) {
	dir := shortDir(t)
	letter := filepath.Join(dir, "letter.txt")
	if err := os.WriteFile(letter, []byte("Dear diary"), 0o600); err != nil {
		t.Fatal(err)
	}
	taken := filepath.Join(dir, "taken")
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", taken)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, tt := range []struct{ name, path, says string }{
		{"a file", letter, "something else with this name"},
		{"a folder", dir, "something else with this name"},
		{"in use", taken, "another process answers there"},
		{"too long", filepath.Join(dir, strings.Repeat("x", 120)), "and a socket's may have 103"},
		{"no folder", filepath.Join(dir, "no", "s"), "no such file"},
	} {
		_, err := listen(t.Context(), tt.path)
		if e := (*SocketError)(nil); !errors.As(err, &e) || e.Path != tt.path || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.says)
		}
	}
	if b, err := os.ReadFile(letter); err != nil || string(b) != "Dear diary" {
		t.Errorf("the file: got %q and %v", b, err)
	}
}

// TestFolderInUse has two processes' worth of agents for one folder.
func TestFolderInUse(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	held, err := lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" {
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("folder: got %v and %v, want mode 0700", info.Mode(), err)
		}
	}
	err = Run(t.Context(), Config{Dir: dir, Settings: Settings{Courier: "a:1", Environment: apns.Sandbox}})
	if !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), dir) {
		t.Errorf("second: got %v, want %v and the folder", err, ErrInUse)
	}
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	held, err = lock(dir)
	if err != nil {
		t.Errorf("after the first: got %v", err)
	}
	if err := held.Close(); err != nil {
		t.Error(err)
	}
}

func TestSettings(t *testing.T) {
	dir := t.TempDir()
	if _, err := ReadSettings(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("none: got %v, want that there is none", err)
	}
	want := Settings{Courier: "a:1", ServerName: "b", Environment: apns.Production, Activation: "https://a/v1", Roots: "pem", Socket: "/s"}
	if err := want.write(dir); err != nil {
		t.Fatal(err)
	}
	got, err := ReadSettings(dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
	for _, text := range []string{"", "{", `{"environment":"mars"}`, strings.Repeat(" ", maxSettings+1)} {
		if err := os.WriteFile(filepath.Join(dir, settingsFile), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadSettings(dir); err == nil || !strings.Contains(err.Error(), settingsFile) {
			t.Errorf("%.20q: got %v, want an error that names the file", text, err)
		}
	}
}

func TestConnectToNone(t *testing.T) {
	dir := shortDir(t)
	if _, err := Connect(t.Context(), dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no device: got %v", err)
	}
	if err := (Settings{Courier: "a:1", Environment: apns.Sandbox}).write(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := Connect(t.Context(), dir); !errors.Is(err, ErrNoAgent) {
		t.Errorf("no agent: got %v, want %v", err, ErrNoAgent)
	}
}
