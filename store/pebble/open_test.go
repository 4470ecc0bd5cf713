package pebble

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	engine "github.com/cockroachdb/pebble/v2"

	"github.com/heraldpush/herald/spool"
)

// newDir returns where a store may be made.
func newDir(t *testing.T) string { return filepath.Join(t.TempDir(), "spool") }

// fill makes a store that holds something, in tables and in a log.
func fill(t *testing.T, dir string) {
	t.Helper()
	s, err := Open(dir, Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for n := range 600 {
		if err := s.Put(t.Context(), []spool.Write{someWrite(n, 1000)}); err != nil {
			t.Fatal(err)
		}
		if n == 100 {
			if err := s.db.Flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// alterEngine changes a store behind the back of this package.
func alterEngine(t *testing.T, dir string, o *engine.Options, f func(*engine.DB) error) {
	t.Helper()
	db, err := engine.Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f(db), db.Close()); err != nil {
		t.Fatal(err)
	}
}

// overwrite damages all files of a kind, from an eighth of each to so many eighths.
func overwrite(t *testing.T, dir, pattern string, to int) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no %s: %v", pattern, err)
	}
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for i := range b {
			if i > len(b)/8 && i < to*len(b)/8 {
				b[i] ^= 0x55
			}
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	for _, tt := range []struct {
		name  string
		setUp func(t *testing.T, dir string)
		want  error // nil for any
		text  string
	}{
		{"no folder around it", func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Dir(dir)); err != nil {
				t.Fatal(err)
			}
		}, fs.ErrNotExist, ""},
		{"a file in its place", func(t *testing.T, dir string) {
			if err := os.WriteFile(dir, []byte("thesis"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, nil, ""},
		{"somebody's folder", func(t *testing.T, dir string) {
			if err := errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(filepath.Join(dir, "thesis.txt"), nil, 0o600)); err != nil {
				t.Fatal(err)
			}
		}, ErrForeign, "thesis.txt"},
		{"in use", func(t *testing.T, dir string) {
			s, err := Open(dir, Config{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = s.Close() })
		}, ErrInUse, ""},
		{"a database of somebody else", func(t *testing.T, dir string) {
			alterEngine(t, dir, &engine.Options{Logger: engineLogger{&Spool{log: quiet}}}, func(db *engine.DB) error { return db.Set([]byte("a"), []byte("b"), nil) })
		}, nil, "comparer"},
		{"of a later version", func(t *testing.T, dir string) {
			fill(t, dir)
			alterEngine(t, dir, &engine.Options{Logger: engineLogger{&Spool{log: quiet}}, Comparer: comparer, FormatMajorVersion: engineFormat}, func(db *engine.DB) error {
				return db.Set(formatKey, binary.BigEndian.AppendUint16([]byte(formatMagic), format+1), nil)
			})
		}, nil, "later version of herald (format 2, this one knows up to 1)"},
		{"of a later engine", func(t *testing.T, dir string) {
			fill(t, dir)
			markers, err := filepath.Glob(filepath.Join(dir, "marker.format-version.*"))
			if err != nil || len(markers) != 1 {
				t.Fatalf("markers: %v, %v", markers, err)
			}
			if err := os.Rename(markers[0], filepath.Join(dir, "marker.format-version.000099.999")); err != nil {
				t.Fatal(err)
			}
		}, nil, "later version of herald"},
		{"no manifest", func(t *testing.T, dir string) {
			fill(t, dir)
			manifests, err := filepath.Glob(filepath.Join(dir, "MANIFEST-*"))
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range manifests {
				if err := os.Remove(m); err != nil {
					t.Fatal(err)
				}
			}
		}, ErrDamaged, ""},
		{"no tables", func(t *testing.T, dir string) {
			fill(t, dir)
			tables, err := filepath.Glob(filepath.Join(dir, "*.sst"))
			if err != nil || len(tables) == 0 {
				t.Fatalf("tables: %v, %v", tables, err)
			}
			for _, m := range tables {
				if err := os.Remove(m); err != nil {
					t.Fatal(err)
				}
			}
		}, ErrDamaged, ""},
		{"an overwritten log", func(t *testing.T, dir string) {
			fill(t, dir)
			overwrite(t, dir, "*.log", 3)
		}, ErrDamaged, ""},
		{"overwritten tables", func(t *testing.T, dir string) {
			fill(t, dir)
			overwrite(t, dir, "*.sst", 7)
		}, ErrDamaged, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := newDir(t)
			tt.setUp(t, dir)
			s, err := Open(dir, Config{Logger: quiet})
			if err == nil {
				// What is damaged where it is not looked at is found when it is read.
				_, err = s.Load(t.Context(), spool.MailboxOf(someWrite(1, 1000).Address), 10)
				_ = s.Close()
			}
			if err == nil || tt.want != nil && !errors.Is(err, tt.want) ||
				!strings.Contains(err.Error(), tt.text) || !strings.HasPrefix(err.Error(), dir+": ") {
				t.Errorf("got %v, want %v behind the folder, and %q", err, tt.want, tt.text)
			}
		})
	}
}

// TestVersionError proves that the format can be told by the error.
func TestVersionError(t *testing.T) {
	dir := newDir(t)
	fill(t, dir)
	alterEngine(t, dir, &engine.Options{Logger: engineLogger{&Spool{log: quiet}}, Comparer: comparer, FormatMajorVersion: engineFormat}, func(db *engine.DB) error {
		return db.Set(formatKey, binary.BigEndian.AppendUint16([]byte(formatMagic), 7), nil)
	})
	_, err := Open(dir, Config{})
	if got, ok := errors.AsType[*VersionError](err); !ok || *got != (VersionError{dir, 7, format}) {
		t.Errorf("got %v, want a version error", err)
	}
	if _, err := Open(dir, Config{}); errors.Is(err, ErrInUse) {
		t.Error("a store that was refused is still locked")
	}
}

// TestBegunAndKilled proves that a folder in which a store was being made is taken.
func TestBegunAndKilled(t *testing.T) {
	dir := newDir(t)
	if err := errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(filepath.Join(dir, "LOCK"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	fill(t, dir)
}
