package folder

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// making is what has been made of a folder that is not finished.
type making struct {
	folders []string    // made for it, the outermost first
	mode    fs.FileMode // it had before, if it was there
	files   []string    // names, in unfinishedFile too
}

// preamble tells those who find an unfinished folder.
const preamble = "# herald was making this folder, and was cut short. The next start removes these files and makes it anew.\n"

// CheckNew checks that Create would take a folder: it does not exist, or is
// empty, or its making was cut short. If not, it returns an *Error.
func CheckNew(dir string) error { return (&Folder{name: dir, dir: dir}).checkNew() }

func (f *Folder) checkNew() error {
	entries, err := os.ReadDir(f.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return f.Explain(err)
	}
	entries = slices.DeleteFunc(entries, isLock) // of one that just begins
	if len(entries) == 0 {
		return nil
	}
	if Exists(f.dir) {
		if err := f.readMark([]Maker{MadeByProvider}); err == nil {
			return f.refuse(nil, "herald provider serve runs it.", "it is a provider's folder already")
		}
		return f.refuse(nil, "the other verbs take it as --dir.", "it is a platform's folder already")
	}
	if _, err := os.Stat(f.Path(unfinishedFile)); err == nil {
		return nil
	}
	if err := f.missing(); !errors.Is(err, fs.ErrNotExist) {
		return err // it was a platform's
	}
	return f.refuse(nil, elsewhere, "it holds other files (%s)", entries[0].Name())
}

// isLock reports whether a file is a lock of ours: they are empty.
func isLock(e fs.DirEntry) bool {
	if e.Name() != lockFile || !e.Type().IsRegular() {
		return false
	}
	info, err := e.Info()
	return err == nil && info.Size() == 0
}

// makeFolders makes a folder and those around it.
func (m *making) makeFolders(dir string) error {
	for outer := dir; ; outer = filepath.Dir(outer) {
		if _, err := os.Stat(outer); !errors.Is(err, fs.ErrNotExist) || outer == filepath.Dir(outer) {
			break
		}
		m.folders = slices.Insert(m.folders, 0, outer)
	}
	if err := os.MkdirAll(dir, folderMode); err != nil {
		return errors.Join(err, m.removeFolders())
	}
	return nil
}

// removeFolders removes the folders that were made. One that was not made after
// all is no error, and one that others have put something into stays.
func (m *making) removeFolders() error {
	for _, dir := range slices.Backward(m.folders) {
		if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			if entries, unreadable := os.ReadDir(dir); unreadable == nil && len(entries) > 0 {
				return nil
			}
			return err
		}
	}
	return nil
}

// begin makes sure that the folder, now locked, is empty, and private.
func (f *Folder) begin() error {
	if err := f.clean(); err != nil {
		return err
	}
	if err := f.checkNew(); err != nil {
		return err
	}
	info, err := os.Stat(f.dir)
	if err != nil {
		return f.Explain(err)
	}
	if mode := info.Mode().Perm(); mode&^folderMode != 0 {
		if err := os.Chmod(f.dir, folderMode); err != nil {
			return f.refuse(err, "name a folder within it, for herald to make.",
				"others can read it (mode %04o), and that cannot be changed", mode)
		}
		f.making.mode = mode
	}
	return f.makes(append([]string{keyFile}, databaseFiles...)...)
}

// makes notes that files are about to be made, where a process that finds them
// after a kill reads it.
func (f *Folder) makes(names ...string) (err error) {
	defer func() { err = f.Explain(err) }()
	text := strings.Join(names, "\n") + "\n"
	if len(f.making.files) == 0 {
		text = preamble + text
	}
	f.making.files = append(f.making.files, names...)
	file, err := os.OpenFile(f.Path(unfinishedFile), os.O_CREATE|os.O_WRONLY|os.O_APPEND, privateMode)
	if err != nil {
		return err
	}
	_, err = file.WriteString(text)
	return errors.Join(err, file.Close())
}

// Finish makes the folder a platform's, durably. It does nothing in one that is
// already.
func (f *Folder) Finish() error {
	if f.making == nil {
		return nil
	}
	if err := f.writeMark(); err != nil {
		return err
	}
	f.making = nil
	return f.remove(unfinishedFile)
}

// takeBack removes what was made, and gives the folder free.
func (f *Folder) takeBack() error {
	var errs []error
	if len(f.making.files) > 0 {
		errs = append(errs, f.removeMade(f.making.files))
	}
	if f.making.mode != 0 {
		errs = append(errs, os.Chmod(f.dir, f.making.mode))
	}
	return errors.Join(append(errs, removeLock(f.lock), f.making.removeFolders())...)
}

// clean removes what a process that was killed had made.
func (f *Folder) clean() error {
	if Exists(f.dir) {
		return nil
	}
	b, err := readSmall(f.Path(unfinishedFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return f.Explain(err)
	}
	var names []string
	for line := range strings.Lines(string(b)) {
		name, whole := strings.CutSuffix(line, "\n")
		if whole && isName(name) && !strings.HasPrefix(name, "#") {
			names = append(names, name)
		}
	}
	return f.Explain(f.removeMade(names))
}

// removeMade removes files of an unfinished folder: the mark first, so that at
// no time it says what is not true, and last what says that it is unfinished.
func (f *Folder) removeMade(names []string) error {
	var errs []error
	for _, name := range append([]string{markFile}, names...) {
		if name == spoolDir || name == outboxDir {
			errs = append(errs, f.Explain(os.RemoveAll(f.Path(name))))
			continue
		}
		errs = append(errs, f.remove(name), f.remove(tempName(name)))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return f.remove(unfinishedFile)
}
