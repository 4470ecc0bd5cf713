package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

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
	return newFileReplacing(path, mode, force || mode != private)
}

// newSecretFile begins the private file of a secret that is shown once. It takes the
// place of no other, whatever that is.
func newSecretFile(path string) (*newFile, error) {
	if _, err := os.Lstat(path); err == nil {
		return nil, withHint(fmt.Errorf("%s exists", plain(path)), "name another file: what is in that one may still be needed.")
	}
	return newFileAt(path, private, false)
}

// newFileReplacing begins the file at path, which takes the place of another
// only if replace says so.
func newFileReplacing(path string, mode fs.FileMode, replace bool) (*newFile, error) {
	if path == "-" {
		return nil, usageError("standard output cannot be written as a whole or not at all: give the name of a file")
	}
	f := &newFile{path: path, replace: replace}
	if err := f.mayBe(); err != nil {
		return nil, err
	}
	var err error
	if f.File, err = os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*"); err != nil {
		return nil, cannotWrite(path, err)
	}
	if err := f.Chmod(mode); err != nil {
		return nil, errors.Join(cannotWrite(path, err), f.discard())
	}
	return f, nil
}

// cannotWrite says that path could not be written, and why. The name under
// which it was begun says nothing to a person.
func cannotWrite(path string, err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		err = p.Err
	}
	return fmt.Errorf("writing %s: %w", plain(path), err)
}

// mayBe checks that nothing is at the path which may not be replaced.
func (f *newFile) mayBe() error {
	info, err := os.Lstat(f.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return cannotWrite(f.path, err)
	case info.IsDir():
		return fmt.Errorf("%s is a folder", plain(f.path))
	case !f.replace:
		return withHint(fmt.Errorf("%s exists", plain(f.path)), "--force replaces it.")
	}
	return nil
}

// moveTo gives the file another name in its folder, before keep.
func (f *newFile) moveTo(name string) error {
	f.path = filepath.Join(filepath.Dir(f.path), name)
	return f.mayBe()
}

// put writes data into the file.
func (f *newFile) put(data []byte) error {
	if _, err := f.Write(data); err != nil {
		return cannotWrite(f.path, err)
	}
	return nil
}

// keepAll writes the whole content and finishes the file.
func (f *newFile) keepAll(data []byte) error {
	if err := f.put(data); err != nil {
		return err
	}
	return f.keep()
}

// keep finishes the file.
func (f *newFile) keep() error {
	err := errors.Join(f.Sync(), f.Close())
	if err == nil && !f.replace {
		// A link, unlike a renaming, does not replace. Where there are no
		// links, mayBe has to do.
		if os.Link(f.Name(), f.path) == nil {
			f.done = true
			return os.Remove(f.Name())
		}
		if err := f.mayBe(); err != nil {
			return errors.Join(err, f.remove())
		}
	}
	if err == nil {
		err = os.Rename(f.Name(), f.path)
	}
	if err != nil {
		return errors.Join(cannotWrite(f.path, err), f.remove())
	}
	f.done = true
	return nil
}

// remove takes back a file that was closed.
func (f *newFile) remove() error {
	f.done = true
	return os.Remove(f.Name())
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
	return f.keepAll(data)
}

// output is a file to be written.
type output struct {
	path string
	data []byte
	mode fs.FileMode
	// note says in brackets what is worth knowing. It may be empty.
	note string
}

// String names the file with its note, for a list.
func (o output) String() string {
	if o.note == "" {
		return plain(o.path)
	}
	return fmt.Sprintf("%s (%s)", plain(o.path), o.note)
}

// writeOutputs writes all files, or none: each is written in full under another
// name in its folder before the first takes its place. Without force none may
// exist.
func writeOutputs(force bool, outputs ...output) (err error) {
	var begun []*newFile
	defer func() {
		for _, f := range begun {
			err = errors.Join(err, f.discard())
		}
	}()
	seen := make(map[string]bool)
	for _, o := range outputs {
		if path := filepath.Clean(o.path); seen[path] {
			return usageError("%s is to be two files at once", plain(path))
		}
		seen[filepath.Clean(o.path)] = true
		f, err := newFileReplacing(o.path, o.mode, force)
		if err != nil {
			return err
		}
		begun = append(begun, f)
		if err := f.put(o.data); err != nil {
			return err
		}
	}
	for i, f := range begun {
		if err := f.keep(); err != nil {
			return errors.Join(err, takeBack(force, outputs[:i]))
		}
	}
	return nil
}

// mayWrite checks that nothing is at the paths which may not be replaced, before
// anybody is asked for anything. An empty path is none.
func mayWrite(force bool, paths ...string) error {
	for _, path := range paths {
		if path == "" {
			continue
		}
		if err := (&newFile{path: path, replace: force}).mayBe(); err != nil {
			return err
		}
	}
	return nil
}

// takeBack removes the files that were written before another could not be.
// Those that took another's place stay.
func takeBack(force bool, kept []output) (err error) {
	if force {
		return nil
	}
	for _, o := range kept {
		err = errors.Join(err, os.Remove(o.path))
	}
	return err
}

// wrote is the line that says which files were written.
func wrote(outputs []output) string {
	names := make([]string, 0, len(outputs))
	for _, o := range outputs {
		names = append(names, o.String())
	}
	return "Wrote " + strings.Join(names, ", ") + "\n"
}

// writtenFile is a file that was written, as JSON.
type writtenFile struct {
	File string `json:"file"`
	Note string `json:"note,omitempty"`
	Mode string `json:"mode"`
}

// writtenFiles is what verbs print as JSON of what they wrote.
func writtenFiles(outputs []output) []writtenFile {
	list := make([]writtenFile, 0, len(outputs))
	for _, o := range outputs {
		list = append(list, writtenFile{o.path, o.note, fmt.Sprintf("%04o", o.mode)})
	}
	return list
}
