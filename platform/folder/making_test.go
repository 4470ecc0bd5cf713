package folder

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/internal/envelope"
)

// TestTakeBack proves that what is not finished leaves nothing behind, and what
// was there before as it was.
func TestTakeBack(t *testing.T) {
	for _, tt := range []struct {
		name string
		dir  string // below what is there
	}{
		{"an empty folder", "a"},
		{"a new one", "a/p"},
		{"new ones in each other", "a/b/c"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			around := t.TempDir()
			if err := os.Mkdir(filepath.Join(around, "a"), 0o750); err != nil {
				t.Fatal(err)
			}
			before := modes(t, around)
			dir := filepath.Join(around, filepath.FromSlash(tt.dir))
			f, err := Create(t.Context(), dir, MadeByPortal)
			if err != nil {
				t.Fatal(err)
			}
			_, err = f.Portal(t.Context())
			err = errors.Join(err, f.Write("ca.pem", []byte("root"), 0o644), f.WriteRun("http://127.0.0.1:1", "key"))
			if err := errors.Join(err, f.Close()); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(before, modes(t, around)); diff != "" {
				t.Errorf("after Close (-before +after):\n%s", diff)
			}
			// An error within Create.
			credentials := t.TempDir()
			t.Setenv("CREDENTIALS_DIRECTORY", credentials)
			if err := os.WriteFile(filepath.Join(credentials, credentialName), []byte("blue"), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err = Create(t.Context(), dir, MadeByPortal)
			if _, ok := errors.AsType[*envelope.KeyFileError](err); !ok {
				t.Errorf("got %v, want a KeyFileError", err)
			}
			if diff := cmp.Diff(before, modes(t, around)); diff != "" {
				t.Errorf("after an error (-before +after):\n%s", diff)
			}
		})
	}
}

// TestTakeBackSparesOthers proves that a file of somebody else, which came
// meanwhile, stays.
func TestTakeBackSparesOthers(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "p")
	f, err := Create(t.Context(), dir, MadeByPortal)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "thesis.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{".": "drwx------", "thesis.txt": "-rw-------"}
	if diff := cmp.Diff(want, modes(t, dir)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestCutShort opens what a machine that stops while a folder is made leaves at
// each step.
func TestCutShort(t *testing.T) {
	dir, stopped := filepath.Join(t.TempDir(), "p"), t.TempDir()
	step := 0
	check := func() {
		t.Helper()
		step++
		left := filepath.Join(stopped, fmt.Sprint(step))
		copyFolder(t, dir, left)
		mustGoOn(t, left)
	}
	f, err := Create(t.Context(), dir, MadeByDev)
	if err != nil {
		t.Fatal(err)
	}
	check()
	if _, err := f.Portal(t.Context()); err != nil {
		t.Fatal(err)
	}
	check()
	if err := f.Write("ca.pem", []byte("root"), 0o644); err != nil {
		t.Fatal(err)
	}
	check()
	for _, name := range []string{"ca.pem", markFile} { // not yet renamed
		if err := os.WriteFile(f.Path(tempName(name)), []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	check()
	if err := f.remove(tempName("ca.pem")); err != nil {
		t.Fatal(err)
	}
	if err := f.writeMark(); err != nil {
		t.Fatal(err)
	}
	check()
	if err := errors.Join(f.Finish(), f.Close()); err != nil {
		t.Fatal(err)
	}
	check()
}

// copyFolder copies a folder, with the modes of its files.
func copyFolder(t *testing.T, from, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(to, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(to, path)
		if err != nil {
			return err
		}
		info, err := os.Stat(filepath.Join(from, name))
		if err != nil {
			return err
		}
		return os.Chmod(path, info.Mode().Perm())
	})
	if err != nil {
		t.Fatal(err)
	}
}

// mustGoOn checks that a folder whose making may have been cut short is either
// a platform's or is made anew, and is whole then.
func mustGoOn(t *testing.T, dir string) {
	t.Helper()
	_, err := openAgain(t, dir)
	if Exists(dir) != (err == nil) {
		t.Errorf("%s: is a platform's folder: %v, and opening it: %v", dir, Exists(dir), err)
	}
	if errors.Is(err, fs.ErrNotExist) {
		create(t, dir)
		_, err = openAgain(t, dir)
	}
	if err != nil {
		t.Error(err)
	}
	got := modes(t, dir)
	delete(got, "ca.pem")
	want := map[string]string{
		".": "drwx------", "herald.json": "-rw-------", "lock": "-rw-------", "master.key": "-rw-------", "herald.db": "-rw-------",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", dir, diff)
	}
}

// makeForever makes folders in dir, one after the other, until it is killed. It
// says a line before each.
func makeForever(dir string) int {
	for n := 0; ; n++ {
		fmt.Println(n) //nolint:forbidigo // to the process that kills this one
		f, err := Create(context.Background(), filepath.Join(dir, fmt.Sprint(n)), MadeByDev)
		if err == nil {
			_, err = f.Portal(context.Background())
			err = errors.Join(err, f.Write("ca.pem", []byte("root"), 0o644), f.Finish(), f.Close())
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
}

func init() { children["HERALD_TEST_MAKE"] = makeForever }

// TestKill kills processes that make folders. What they leave is a platform's
// folder, or is made anew.
func TestKill(t *testing.T) {
	rounds := 5
	if os.Getenv("HERALD_LONG") != "" {
		rounds = 100
	}
	for range rounds {
		dir := t.TempDir()
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), "HERALD_TEST_MAKE="+dir)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		said := bufio.NewScanner(out)
		said.Scan()
		timer := time.AfterFunc(rand.N(60*time.Millisecond), func() { _ = cmd.Process.Kill() })
		for said.Scan() { // until it is dead
		}
		timer.Stop()
		if err := cmd.Wait(); err == nil {
			t.Error("the process ended by itself")
		}
		left, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range left {
			mustGoOn(t, filepath.Join(dir, d.Name()))
		}
	}
}
