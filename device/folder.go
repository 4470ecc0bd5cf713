package device

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/heraldpush/herald/apns"
)

// The files of a folder. All have mode 0600.
const (
	identityFile = "identity.pem"      // key and certificate
	pendingFile  = "activation.pem"    // key that awaits its certificate
	memoryFile   = "device.json"       // memory
	maxFileBytes = 4 << 20             // bounds what is read of any of them
	partSuffix   = ".part"             // of a file that is being written
	fileMode     = fs.FileMode(0o600)  // what they hold is secret
	folderMode   = fs.FileMode(0o0700) // so is what it holds
)

// folder keeps what must outlive the process. One without dir keeps nothing,
// and never fails.
type folder struct {
	dir         string
	environment apns.Environment
}

func (f folder) path(name string) string { return filepath.Join(f.dir, name) }

// make creates the folder if it is missing.
func (f folder) make() error {
	if f.dir == "" {
		return nil
	}
	if err := os.MkdirAll(f.dir, folderMode); err != nil {
		return fmt.Errorf("making the folder: %w", err)
	}
	return nil
}

// read returns a file, nil if there is none.
func (f folder) read(name string) ([]byte, error) {
	if f.dir == "" {
		return nil, nil
	}
	file, err := os.Open(f.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // it was only read
	data, err := io.ReadAll(io.LimitReader(file, maxFileBytes+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading %s: %w", f.path(name), err)
	case len(data) > maxFileBytes:
		return nil, fmt.Errorf("%s: more than %d bytes", f.path(name), maxFileBytes)
	case len(data) == 0:
		return nil, fmt.Errorf("%s: empty", f.path(name))
	}
	return data, nil
}

// write replaces a file. After a crash there is the old one or the new one.
func (f folder) write(name string, data []byte) error {
	if f.dir == "" {
		return nil
	}
	part := f.path(name + partSuffix)
	if err := writeSynced(part, data); err != nil {
		return fmt.Errorf("writing %s: %w", f.path(name), err)
	}
	if err := os.Rename(part, f.path(name)); err != nil {
		return fmt.Errorf("writing %s: %w", f.path(name), err)
	}
	return f.sync()
}

// remove removes a file, if there is one.
func (f folder) remove(name string) error {
	if f.dir == "" {
		return nil
	}
	if err := os.Remove(f.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return f.sync()
}

// sync makes the names in the folder last.
func (f folder) sync() error {
	dir, err := os.Open(f.dir)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func writeSynced(path string, data []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, fileMode)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}
