package folder

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/spool"
	"github.com/heraldpush/herald/store/pebble"
)

var quiet = slog.New(slog.DiscardHandler)

// spoolIn opens the spool's store of a folder, which the test closes.
func spoolIn(t *testing.T, f *Folder) spool.Store {
	t.Helper()
	s, err := f.OpenSpool(quiet)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// TestSpool proves that the spool is in the folder, and nowhere without it.
func TestSpool(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "p")
	f, err := Create(t.Context(), dir, MadeByDev)
	if err != nil {
		t.Fatal(err)
	}
	s := spoolIn(t, f)
	w := []spool.Write{{Entry: spool.Entry{Address: apns.Address{Device: 1}, Timestamp: 1}, Keep: true}}
	if err := errors.Join(s.Put(t.Context(), w), s.Close(), f.Finish(), f.Close()); err != nil {
		t.Fatal(err)
	}
	for _, keeps := range []bool{true, false} {
		if f, err = Open(t.Context(), dir, MadeByDev); err != nil {
			t.Fatal(err)
		}
		s := spoolIn(t, f)
		if got := s.Usage().Notifications == 1; got != keeps {
			t.Errorf("stored: got %t, want %t", got, keeps)
		}
		if err := errors.Join(s.Close(), f.Close(), os.RemoveAll(filepath.Join(dir, spoolDir))); err != nil {
			t.Fatal(err)
		}
	}
}

// TestSpoolIsTakenBack proves that a folder that is not finished leaves nothing of a
// spool.
func TestSpoolIsTakenBack(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "p")
	f, err := Create(t.Context(), dir, MadeByDev)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(spoolIn(t, f).Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want no folder", err)
	}
}

// TestSpoolRefused proves that whoever meets a spool that cannot be used is told
// what, why, and what to do.
func TestSpoolRefused(t *testing.T) {
	for _, tt := range []struct {
		name string
		harm func(dir string) error
		want error
	}{
		{"damaged", func(dir string) error {
			tables, err := filepath.Glob(filepath.Join(dir, "MANIFEST-*"))
			for _, table := range tables {
				err = errors.Join(err, os.Remove(table))
			}
			return err
		}, pebble.ErrDamaged},
		{"somebody's", func(dir string) error {
			return errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o700), os.WriteFile(filepath.Join(dir, "thesis.txt"), nil, 0o600))
		}, pebble.ErrForeign},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "p")
			f, err := Create(t.Context(), dir, MadeByDev)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if err := errors.Join(spoolIn(t, f).Close(), tt.harm(filepath.Join(dir, spoolDir))); err != nil {
				t.Fatal(err)
			}
			_, err = f.OpenSpool(quiet)
			got, ok := errors.AsType[*Error](err)
			if !ok || !errors.Is(err, tt.want) || got.Remedy == "" || !strings.Contains(err.Error(), spoolDir) {
				t.Errorf("got %v, want %v with a remedy", err, tt.want)
			}
		})
	}
}
