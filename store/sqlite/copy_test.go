package sqlite

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/heraldpush/herald/provider/account"
)

// A copy has what was stored before it, and none of what comes after, and nobody
// else can read it.
func TestCopy(t *testing.T) {
	d := open(t, newPath(t))
	put := func(id string) {
		t.Helper()
		if err := d.Account().Update(t.Context(), func(tx account.Tx) error { return tx.Put("app", id, []byte("{}")) }); err != nil {
			t.Fatal(err)
		}
	}
	put("before")
	path := filepath.Join(t.TempDir(), "copy.db")
	if err := d.Copy(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	put("after")
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v, want mode 0600", info, err)
	}
	if err := d.Copy(t.Context(), path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("onto a file: got %v, want %v", err, fs.ErrExist)
	}
	c := open(t, path)
	err := c.Account().View(t.Context(), func(tx account.Tx) error {
		if _, err := tx.Get("app", "before"); err != nil {
			t.Errorf("what was there before: %v", err)
		}
		if _, err := tx.Get("app", "after"); !errors.Is(err, account.ErrNotFound) {
			t.Errorf("what came after: got %v, want %v", err, account.ErrNotFound)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
