package folder

import (
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	_ "modernc.org/sqlite" // for a database that is not of Herald
)

// content returns the bytes of each file below dir.
func content(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		all[path] = string(b)
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return all
}

func TestOpenRefuses(t *testing.T) {
	write := func(name, text string) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			t.Helper()
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	remove := func(names ...string) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			t.Helper()
			for _, name := range names {
				if err := os.Remove(filepath.Join(dir, name)); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	for _, tt := range []struct {
		name   string
		isNew  bool // and so nothing is there before change
		change func(t *testing.T, dir string)
		want   string
		remedy string
		is     error
	}{
		{"empty", true, func(*testing.T, string) {}, "it is not a platform's folder", "herald portal init", fs.ErrNotExist},
		{"missing", true, func(t *testing.T, dir string) {
			t.Helper()
			if err := os.Remove(dir); err != nil {
				t.Fatal(err)
			}
		}, "it is not a platform's folder", "herald portal init", fs.ErrNotExist},
		{"a file", true, func(t *testing.T, dir string) {
			t.Helper()
			if err := errors.Join(os.Remove(dir), os.WriteFile(dir, nil, 0o600)); err != nil {
				t.Fatal(err)
			}
		}, "it is not a folder", "give --dir", nil},
		{"somebody else's", true, write("thesis.txt", "my life's work"), "it is not a platform's folder", "herald portal init", fs.ErrNotExist},
		{"cut short", true, write(unfinishedFile, preamble), "its making was cut short", "herald portal init", fs.ErrNotExist},
		{"mark is no JSON", true, write(markFile, "my life's work"), "herald.json there is not one of herald portal or herald dev", "give --dir", nil},
		{"mark of something else", true, write(markFile, `{"format": 2, "made_by": "heraldry"}`), "herald.json there is not one of", "give --dir", nil},
		{"format 1", true, write(markFile, `{"format": 1, "made_by": "herald dev"}`), "(format 1, this one has 2)", "herald portal backup there", nil},
		{"a later format", true, write(markFile, `{"format": 3, "made_by": "herald dev"}`), "(format 3, this one has 2)", "or a later one", nil},

		{"no mark", false, remove(markFile), "herald.json is missing, and herald.db is there", "put herald.json back", nil},
		{"no mark and no database", false, remove(markFile, databaseFile), "herald.json is missing, and master.key is there", "put herald.json back", nil},
		{"no database", false, remove(databaseFile), "herald.db is missing", "put herald.db back", nil},
		{
			"no master key", false, remove(keyFile),
			"master.key is missing, and without it the secrets in herald.db cannot be opened", "put master.key back", nil,
		},
		{"neither", false, remove(keyFile, databaseFile), "herald.db is missing", "restore", nil},
		{"empty master key", false, write(keyFile, ""), "it is empty", "restore", nil},
		{"master key that others can read", false, func(t *testing.T, dir string) {
			t.Helper()
			if err := os.Chmod(filepath.Join(dir, keyFile), 0o640); err != nil {
				t.Fatal(err)
			}
		}, "others can read it (mode 0640)", "restore", nil},
		{"master key of another", false, func(t *testing.T, dir string) {
			t.Helper()
			other := t.TempDir()
			create(t, other)
			copyFile(t, filepath.Join(other, keyFile), filepath.Join(dir, keyFile))
		}, "the secrets in herald.db were sealed with another master key (", "put master.key back", nil},
		{"damaged database", false, func(t *testing.T, dir string) {
			t.Helper()
			path := filepath.Join(dir, databaseFile)
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			copy(b[100:], strings.Repeat("?", 3000))
			write(databaseFile, string(b))(t, dir)
		}, "herald.db: the database is damaged", "put herald.db back", nil},
		{"text for a database", false, write(databaseFile, strings.Repeat("my life's work\n", 100)), "herald.db: the database is damaged", "put herald.db back", nil},
		{"somebody else's database", false, func(t *testing.T, dir string) {
			t.Helper()
			remove(databaseFile)(t, dir)
			execute(t, dir, "CREATE TABLE thesis (page INTEGER)")
		}, "is not a database of herald", "put herald.db back", nil},
		{"a later database", false, func(t *testing.T, dir string) {
			t.Helper()
			execute(t, dir, "PRAGMA user_version=99")
		}, "herald.db is of a later version of herald (schema 99, ", "or a later one", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "p")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			if !tt.isNew {
				create(t, dir)
			}
			tt.change(t, dir)
			before := content(t, dir)
			_, err := openAgain(t, dir)
			e, ok := errors.AsType[*Error](err)
			if !ok || e.Dir != dir || !strings.Contains(e.Reason, tt.want) || !strings.Contains(e.Remedy, tt.remedy) {
				t.Errorf("got %v (%+v), want %q, and the remedy %q", err, e, tt.want, tt.remedy)
			}
			if tt.is != nil != errors.Is(err, fs.ErrNotExist) {
				t.Errorf("got %v: is it %v? want %v", err, fs.ErrNotExist, tt.is != nil)
			}
			if diff := cmp.Diff(before, content(t, dir)); diff != "" {
				t.Errorf("it was changed (-before +after):\n%s", diff)
			}
		})
	}
}

// execute changes a database behind the back of Herald.
func execute(t *testing.T, dir, query string) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(dir, databaseFile))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), query); err != nil {
		t.Fatal(err)
	}
}

func TestCreateRefuses(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(t *testing.T, dir string) error
		want   string
	}{
		{"other files", func(_ *testing.T, dir string) error {
			return os.WriteFile(filepath.Join(dir, "thesis.txt"), nil, 0o644)
		}, "it holds other files (thesis.txt)"},
		{"a lock of something else", func(_ *testing.T, dir string) error {
			return os.WriteFile(filepath.Join(dir, lockFile), []byte("1234"), 0o600)
		}, "it holds other files (lock)"},
		{"a platform's", func(t *testing.T, dir string) error { t.Helper(); create(t, dir); return nil }, "it is a platform's folder already"},
		{"of format 1", func(_ *testing.T, dir string) error {
			return os.WriteFile(filepath.Join(dir, markFile), []byte(`{"format": 1, "made_by": "herald dev"}`), 0o600)
		}, "it is a platform's folder already"},
		{"a platform's that lost its mark", func(t *testing.T, dir string) error {
			t.Helper()
			create(t, dir)
			return os.Remove(filepath.Join(dir, markFile))
		}, "herald.json is missing, and herald.db is there"},
		{"a file", func(_ *testing.T, dir string) error {
			return errors.Join(os.Remove(dir), os.WriteFile(dir, nil, 0o600))
		}, "it is not a folder"},
		{"within a file", func(_ *testing.T, dir string) error {
			return errors.Join(os.Remove(dir), os.Remove(filepath.Dir(dir)), os.WriteFile(filepath.Dir(dir), nil, 0o600))
		}, "it is not a folder"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			around := t.TempDir()
			dir := filepath.Join(around, "a", "p")
			if err := errors.Join(os.MkdirAll(dir, 0o755), tt.change(t, dir)); err != nil {
				t.Fatal(err)
			}
			before, modesBefore := content(t, around), modes(t, around)
			checked := CheckNew(dir)
			_, err := Create(t.Context(), dir, MadeByPortal)
			for _, err := range []error{checked, err} {
				if e, ok := errors.AsType[*Error](err); !ok || e.Reason != tt.want || e.Remedy == "" {
					t.Errorf("got %v (%+v), want %q, and a remedy", err, e, tt.want)
				}
			}
			if diff := cmp.Diff(before, content(t, around)) + cmp.Diff(modesBefore, modes(t, around)); diff != "" {
				t.Errorf("it was changed (-before +after):\n%s", diff)
			}
		})
	}
}
