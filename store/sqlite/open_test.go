package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestFileModes(t *testing.T) {
	path := newPath(t)
	check := func(d *Database) {
		put(t, d, "a", "1")
		for _, suffix := range []string{"", "-wal", "-shm"} {
			info, err := os.Stat(path + suffix)
			if err != nil {
				t.Error(err)
			} else if got := info.Mode(); got != 0o600 {
				t.Errorf("herald.db%s: got mode %v, want -rw-------", suffix, got)
			}
		}
	}
	d := open(t, path)
	check(d)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	check(open(t, path))
}

// TestCloseLeavesOneFile proves that a closed database is the file alone: a
// copy of it is whole.
func TestCloseLeavesOneFile(t *testing.T) {
	path := newPath(t)
	d := open(t, path)
	put(t, d, "a", "1")
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("got %v, %v, want herald.db alone", entries, err)
	}
}

// TestDurable proves that every change waits for the disk.
func TestDurable(t *testing.T) {
	d := open(t, newPath(t))
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "5000"} {
		var got string
		if err := d.writer.conn.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got); err != nil || got != want {
			t.Errorf("%s: got %s, %v, want %s", pragma, got, err, want)
		}
	}
}

// TestPath proves that no letter of a path means anything.
func TestPath(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "50% of #1? file:a b&c=d;é")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	put(t, open(t, filepath.Join(dir, "herald.db")), "a", "1")
	if _, err := os.Stat(filepath.Join(dir, "herald.db-wal")); err != nil {
		t.Error(err)
	}
}

func TestOpenRefuses(t *testing.T) {
	for _, tt := range []struct {
		name  string
		setUp func(t *testing.T, path string)
		want  string
	}{
		{"a folder that is missing", func(t *testing.T, path string) {
			remove(t, filepath.Dir(path))
		}, "no such file"},
		{"a folder that cannot be written", func(t *testing.T, path string) {
			if os.Geteuid() == 0 {
				t.Skip("root can write anywhere")
			}
			if err := os.Chmod(filepath.Dir(path), 0o500); err != nil { //nolint:gosec // a folder
				t.Fatal(err)
			}
		}, "permission denied"},
		{"a folder in its place", func(t *testing.T, path string) {
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
		}, "unable to open"},
		{"a file that is no database", func(t *testing.T, path string) {
			write(t, path, strings.Repeat("my life's work\n", 100))
		}, "not a database"},
		{"a database of somebody else", func(t *testing.T, path string) {
			execute(t, path, "CREATE TABLE thesis (page INTEGER)")
		}, "is not a database of herald"},
		{"a later version", func(t *testing.T, path string) {
			if err := open(t, path).Close(); err != nil {
				t.Fatal(err)
			}
			execute(t, path, fmt.Sprintf("PRAGMA user_version=%d", len(migrations)+5))
		}, fmt.Sprintf("later version of herald (schema %d, this one knows up to %d)", len(migrations)+5, len(migrations))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := newPath(t)
			tt.setUp(t, path)
			before, _ := os.ReadFile(path)
			d, err := Open(t.Context(), path)
			if err == nil {
				_ = d.Close()
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "herald.db") {
				t.Fatalf("got %v, want an error that names the file and says %q", err, tt.want)
			}
			if after, _ := os.ReadFile(path); string(after) != string(before) {
				t.Error("the file was changed")
			}
		})
	}
}

func TestVersionError(t *testing.T) {
	path := newPath(t)
	if err := open(t, path).Close(); err != nil {
		t.Fatal(err)
	}
	execute(t, path, "PRAGMA user_version=99")
	_, err := Open(t.Context(), path)
	got, ok := errors.AsType[*VersionError](err)
	if want := (VersionError{path, 99, len(migrations)}); !ok || *got != want {
		t.Errorf("got %v, want %+v", err, want)
	}
}

// TestMigrate opens a database that lacks the last migration, as one of an
// earlier version does.
func TestMigrate(t *testing.T) {
	path := newPath(t)
	d := open(t, path)
	put(t, d, "a", "1")
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	known := migrations
	t.Cleanup(func() { migrations = known })

	migrations = append(slices.Clip(known), "CREATE TABLE extra (n INTEGER); INSERT INTO nowhere VALUES (1)")
	if _, err := Open(t.Context(), path); err == nil {
		t.Fatal("a migration that fails: got no error")
	}
	migrations[len(known)] = "CREATE TABLE extra (n INTEGER) STRICT; INSERT INTO extra VALUES (7)"
	for range 2 {
		d := open(t, path)
		var n, version int
		err := errors.Join(
			d.reads.QueryRowContext(t.Context(), "SELECT sum(n) FROM extra").Scan(&n),
			d.reads.QueryRowContext(t.Context(), "PRAGMA user_version").Scan(&version),
		)
		if err != nil || n != 7 || version != len(known)+1 {
			t.Errorf("got %d and version %d, %v, want 7 and %d", n, version, err, len(known)+1)
		}
		if got := read(t, d, "app", "a"); got != "1" {
			t.Errorf("got %s, want the record of the earlier version", got)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), fs.FileMode(0o600)); err != nil {
		t.Fatal(err)
	}
}

// execute changes a database behind the back of this package.
func execute(t *testing.T, path, query string) {
	t.Helper()
	db, err := openPool(path, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), query); err != nil {
		t.Fatal(err)
	}
}
