package folder

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
)

// tempName is what a file is called until it is whole.
func tempName(name string) string { return "." + name + ".new" }

// isName reports whether a name is that of a file in the folder.
func isName(name string) bool {
	return name != "" && name != "." && name == filepath.Base(name) && filepath.IsLocal(name)
}

// Write writes a file of the folder's user, as a whole: after a crash it is
// there, durable, or as it was before.
func (f *Folder) Write(name string, data []byte, mode fs.FileMode) error {
	if !isName(name) || slices.Contains(slices.Concat(databaseFiles, ownFiles), name) {
		return fmt.Errorf("%q is no name for a file in %s", name, f.name)
	}
	if f.making != nil {
		if err := f.makes(name); err != nil {
			return err
		}
	}
	return f.write(name, data, mode)
}

func (f *Folder) writeJSON(name string, v any) error {
	b, err := json.MarshalIndent(v, "", "\t")
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return f.write(name, append(b, '\n'), privateMode)
}

func (f *Folder) write(name string, data []byte, mode fs.FileMode) (err error) {
	defer func() {
		if err != nil {
			err = f.Explain(fmt.Errorf("writing %s: %w", name, err))
		}
	}()
	temp := f.Path(tempName(name))
	defer func() {
		if err != nil {
			err = errors.Join(err, f.remove(tempName(name)))
		}
	}()
	file, err := os.OpenFile(temp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, privateMode)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err == nil {
		err = errors.Join(file.Chmod(mode), file.Sync())
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	if err := os.Rename(temp, f.Path(name)); err != nil {
		return err
	}
	return f.sync()
}

// sync makes durable which files are in the folder. Windows has no such call.
func (f *Folder) sync() error {
	if runtime.GOOS == "windows" {
		return nil
	}
	dir, err := os.Open(f.dir)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// remove removes a file, if it is there.
func (f *Folder) remove(name string) error {
	err := os.Remove(f.Path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return f.Explain(err)
}
