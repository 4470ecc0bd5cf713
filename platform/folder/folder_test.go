package folder

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMain(m *testing.M) {
	for name, child := range children {
		if dir := os.Getenv(name); dir != "" {
			os.Exit(child(dir))
		}
	}
	os.Exit(m.Run())
}

// children are what a process of a test does instead of testing, by the
// environment variable that gives it a folder. They return its status.
var children = map[string]func(dir string) int{}

// create makes a folder with a portal, and returns the portal's root
// certificate.
func create(t *testing.T, dir string) (root []byte) {
	t.Helper()
	f, err := Create(t.Context(), dir, MadeByDev)
	if err != nil {
		t.Fatal(err)
	}
	p, err := f.Portal(t.Context())
	if err == nil {
		err = f.Keep(map[string]string{"code": "blue"})
	}
	if err == nil {
		err = f.Finish()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	return p.Root().Raw
}

// openAgain returns the root certificate of the portal in a folder.
func openAgain(t *testing.T, dir string) (root []byte, err error) {
	t.Helper()
	f, err := Open(t.Context(), dir, MadeByPortal, MadeByDev)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}()
	p, err := f.Portal(t.Context())
	if err != nil {
		return nil, err
	}
	return p.Root().Raw, nil
}

// modes returns the mode of each file below dir, and of dir itself.
func modes(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		all[name] = info.Mode().String()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestCreate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "p")
	f, err := Create(t.Context(), dir, MadeByPortal)
	if err != nil {
		t.Fatal(err)
	}
	if Exists(dir) {
		t.Error("it is a platform's folder before it is finished")
	}
	if err := errors.Join(f.Write("ca.pem", []byte("root"), 0o644), f.Finish(), f.Finish()); err != nil {
		t.Fatal(err)
	}
	const private = "-rw-------"
	want := map[string]string{
		".": "drwx------", "herald.json": private, "lock": private, "master.key": private,
		"herald.db": private, "herald.db-wal": private, "herald.db-shm": private, "ca.pem": "-rw-r--r--",
	}
	if diff := cmp.Diff(want, modes(t, dir)); diff != "" {
		t.Errorf("open (-want +got):\n%s", diff)
	}
	if err := errors.Join(f.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	delete(want, "herald.db-wal")
	delete(want, "herald.db-shm")
	if diff := cmp.Diff(want, modes(t, dir)); diff != "" {
		t.Errorf("closed (-want +got):\n%s", diff)
	}
}

func TestOpenAgain(t *testing.T) {
	dir := t.TempDir()
	want := create(t, dir)
	for range 2 {
		if got, err := openAgain(t, dir); err != nil || string(got) != string(want) {
			t.Fatalf("got another root, %v", err)
		}
	}
	f, err := Open(t.Context(), dir, MadeByDev)
	if err != nil {
		t.Fatal(err)
	}
	var kept map[string]string
	err = errors.Join(f.Kept(&kept), f.Keep(map[string]string{"code": "red"}), f.Close())
	if err != nil || kept["code"] != "blue" {
		t.Errorf("got %v, %v, want what was kept", kept, err)
	}
	if f, err = Open(t.Context(), dir, MadeByDev); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Kept(&kept), f.Close()); err != nil || kept["code"] != "red" {
		t.Errorf("got %v, %v, want what was kept last", kept, err)
	}
}

// TestInUse proves that one process has a folder at a time, whether it is
// finished or not.
func TestInUse(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "p")
	f, err := Create(t.Context(), dir, MadeByDev)
	if err != nil {
		t.Fatal(err)
	}
	refused := func(err error, want string) {
		t.Helper()
		e, ok := errors.AsType[*Error](err)
		if !ok || !errors.Is(err, ErrInUse) || err.Error() != dir+": "+want || e.Remedy == "" {
			t.Errorf("got %v, want %s, and a remedy", err, want)
		}
	}
	_, err = Create(t.Context(), dir, MadeByDev)
	refused(err, "another herald runs on it")
	if err := f.Finish(); err != nil {
		t.Fatal(err)
	}
	_, err = Open(t.Context(), dir, MadeByDev)
	refused(err, "another herald runs on it")
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := openAgain(t, dir); err != nil {
		t.Error(err)
	}
}

// TestCredential proves that a service manager can hold the master key.
func TestCredential(t *testing.T) {
	dir, credentials := filepath.Join(t.TempDir(), "p"), t.TempDir()
	other := t.TempDir()
	create(t, other)
	t.Setenv("CREDENTIALS_DIRECTORY", credentials)
	copyFile(t, filepath.Join(other, keyFile), filepath.Join(credentials, credentialName))
	if err := os.Chmod(filepath.Join(credentials, credentialName), 0o440); err != nil {
		t.Fatal(err)
	}
	want := create(t, dir)
	if _, err := os.Stat(filepath.Join(dir, keyFile)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("master.key: got %v, want none", err)
	}
	if got, err := openAgain(t, dir); err != nil || string(got) != string(want) {
		t.Errorf("got another root, %v", err)
	}
	t.Setenv("CREDENTIALS_DIRECTORY", t.TempDir()) // of a service that has others
	if _, err := openAgain(t, dir); err == nil {
		t.Error("without the credential: got no error")
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestWriteNames(t *testing.T) {
	dir := t.TempDir()
	create(t, dir)
	f, err := Open(t.Context(), dir, MadeByDev)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, name := range []string{"", ".", "..", "a/b", "/a", "../a", markFile, "herald.db-wal", "lock"} {
		if err := f.Write(name, nil, 0o600); err == nil {
			t.Errorf("%q: got no error", name)
		}
	}
}
