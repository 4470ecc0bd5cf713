package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

const (
	lockFile   = "agent.lock"
	fileMode   = fs.FileMode(0o600)
	folderMode = fs.FileMode(0o700)
)

// ErrInUse says that another process has the folder of a device.
var ErrInUse = errors.New("another process runs this device")

// lock makes a folder, if it is missing, and takes it for this process, until
// the file is closed or the process ends, however it ends. The error wraps
// ErrInUse if another has it.
func lock(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, folderMode); err != nil {
		return nil, fmt.Errorf("making the folder: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_CREATE|os.O_RDWR, fileMode)
	if err != nil {
		return nil, err
	}
	if err := lockWhole(f); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", dir, err), f.Close())
	}
	return f, nil
}
