package folder

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/heraldpush/herald/provider/outbox"
)

// createProvider makes a provider's folder.
func createProvider(t *testing.T, dir string) {
	t.Helper()
	f, err := Create(t.Context(), dir, MadeByProvider)
	if err != nil {
		t.Fatal(err)
	}
	box, err := f.OpenOutbox(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(box.Close(), f.Finish(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestProviderFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "p")
	createProvider(t, dir)
	f, err := Open(t.Context(), dir, MadeByProvider)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	box, err := f.OpenOutbox(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer box.Close()
	if _, err := box.Message(t.Context(), outbox.NewMessageID(time.Now())); !errors.Is(err, outbox.ErrNotFound) {
		t.Errorf("got %v, want %v", err, outbox.ErrNotFound)
	}
	if err := f.Write(outboxDir, nil, privateMode); err == nil {
		t.Error("the outbox was written over")
	}
	if again, err := Open(t.Context(), dir, MadeByProvider); !errors.Is(err, ErrInUse) {
		t.Errorf("a second time: got %v, %v, want %v", again, err, ErrInUse)
	}
}

// TestProviderFolderIsTakenBack proves that one that is not finished leaves
// nothing behind, its outbox included.
func TestProviderFolderIsTakenBack(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "p")
	f, err := Create(t.Context(), dir, MadeByProvider)
	if err != nil {
		t.Fatal(err)
	}
	box, err := f.OpenOutbox(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(box.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want %v", err, fs.ErrNotExist)
	}
}

// TestOtherFolders proves that a provider's folder and a platform's are not taken
// for each other, and that the remedies are those of the one that was wanted.
func TestOtherFolders(t *testing.T) {
	platform, provider, empty, broken := filepath.Join(t.TempDir(), "d"), filepath.Join(t.TempDir(), "p"), t.TempDir(), filepath.Join(t.TempDir(), "b")
	create(t, platform)
	createProvider(t, provider)
	createProvider(t, broken)
	if err := os.Remove(filepath.Join(broken, keyFile)); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, dir      string
		makers         []Maker
		reason, remedy string
	}{
		{"a provider's for a platform", provider, []Maker{MadeByPortal, MadeByDev}, "it is a provider's, made by herald provider serve", "another folder"},
		{"a platform's for a provider", platform, []Maker{MadeByProvider}, "it is a platform's, made by herald dev", "a folder of its own"},
		{"none for a provider", empty, []Maker{MadeByProvider}, "it is not a provider's folder", "herald provider serve --dir DIR"},
		{"a provider's without its key", broken, []Maker{MadeByProvider}, "master.key is missing", "herald provider restore"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Open(t.Context(), tt.dir, tt.makers...)
			if e, ok := errors.AsType[*Error](err); !ok || !strings.Contains(e.Reason, tt.reason) || !strings.Contains(e.Remedy, tt.remedy) {
				t.Errorf("got %v (%+v), want %q, and the remedy %q", err, e, tt.reason, tt.remedy)
			}
		})
	}
	if err := CheckNew(provider); err == nil || !strings.Contains(err.Error(), "it is a provider's folder already") {
		t.Errorf("made anew: got %v", err)
	}
}

// TestFindRun proves that one that was killed is not taken for one that runs.
func TestFindRun(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "p")
	if _, err := FindRun(dir, MadeByProvider); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no folder: got %v, want %v", err, fs.ErrNotExist)
	}
	createProvider(t, dir)
	stale := []byte(`{"pid": 1, "url": "http://127.0.0.1:1"}`)
	if err := os.WriteFile(filepath.Join(dir, runFile), stale, privateMode); err != nil {
		t.Fatal(err)
	}
	if r, err := FindRun(dir, MadeByProvider); !errors.Is(err, ErrNotRunning) {
		t.Errorf("one that was killed: got %v, %v, want %v", r, err, ErrNotRunning)
	}
	f, err := Open(t.Context(), dir, MadeByProvider)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if r, err := FindRun(dir, MadeByProvider); !errors.Is(err, ErrNotRunning) {
		t.Errorf("one that starts: got %v, %v, want %v", r, err, ErrNotRunning)
	}
	if err := f.WriteRun("http://127.0.0.1:2", ""); err != nil {
		t.Fatal(err)
	}
	if r, err := FindRun(dir, MadeByProvider); err != nil || r.URL != "http://127.0.0.1:2" {
		t.Errorf("one that runs: got %v, %v", r, err)
	}
}
