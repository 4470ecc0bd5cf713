package main

import (
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// maxSmallFile bounds requests, keys and passphrases, in bytes.
const maxSmallFile = 1 << 20

// readSmallFile reads a file, or standard input if the name is "-".
func readSmallFile(name string) ([]byte, error) {
	in := os.Stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, maxSmallFile+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading %s: %w", name, err)
	case len(b) > maxSmallFile:
		return nil, fmt.Errorf("%s has more than 1 MiB: this is another kind of file", name)
	case len(b) == 0:
		return nil, fmt.Errorf("%s is empty", name)
	}
	return b, nil
}

// readRequest reads a certificate signing request and returns it as text.
func readRequest(name string) (string, error) {
	b, err := readSmallFile(name)
	if err != nil {
		return "", unreadable(err)
	}
	if len(b) > 0 && b[0] == 0x30 { // DER: it begins a SEQUENCE, text does not
		b = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: b})
	}
	return string(b), nil
}

// The modes of files.
const (
	public  fs.FileMode = 0o644
	private fs.FileMode = 0o600
)

// newFile is a file that comes into being as a whole, or not at all: it is
// written under another name in the same folder, and renamed by keep.
type newFile struct {
	*os.File
	path    string
	replace bool
	done    bool
}

// newFileAt begins the file at path. A private file takes the place of another
// only by force; a public one always does.
func newFileAt(path string, mode fs.FileMode, force bool) (*newFile, error) {
	f := &newFile{path: path, replace: force || mode != private}
	if err := f.mayBe(); err != nil {
		return nil, err
	}
	var err error
	if f.File, err = os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*"); err != nil {
		return nil, err
	}
	if err := f.Chmod(mode); err != nil {
		return nil, errors.Join(err, f.discard())
	}
	return f, nil
}

// mayBe checks that nothing is at the path which may not be replaced.
func (f *newFile) mayBe() error {
	info, err := os.Lstat(f.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.IsDir():
		return fmt.Errorf("%s is a folder", f.path)
	case !f.replace:
		return withHint(fmt.Errorf("%s exists", f.path), "--force replaces it.")
	}
	return nil
}

// moveTo gives the file another name in its folder, before keep.
func (f *newFile) moveTo(name string) error {
	f.path = filepath.Join(filepath.Dir(f.path), name)
	return f.mayBe()
}

// keep finishes the file.
func (f *newFile) keep() error {
	err := errors.Join(f.Sync(), f.Close())
	if err == nil && !f.replace {
		// A link, unlike a renaming, does not replace. Where there are no
		// links, mayBe has to do.
		if err = os.Link(f.Name(), f.path); err == nil {
			f.done = true
			return os.Remove(f.Name())
		}
		if !errors.Is(err, fs.ErrExist) {
			err = f.mayBe()
		}
	}
	if err == nil {
		err = os.Rename(f.Name(), f.path)
	}
	if err != nil {
		f.done = true
		return fmt.Errorf("writing %s: %w", f.path, errors.Join(err, os.Remove(f.Name())))
	}
	f.done = true
	return nil
}

// discard takes the file back, if it was not kept.
func (f *newFile) discard() error {
	if f.done {
		return nil
	}
	f.done = true
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// writeFile writes a whole file: see newFileAt.
func writeFile(path string, data []byte, mode fs.FileMode, force bool) (err error) {
	f, err := newFileAt(path, mode, force)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.discard()) }()
	if _, err := f.Write(data); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return f.keep()
}
