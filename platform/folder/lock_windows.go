package folder

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/windows"
)

// takeLock takes the lock for as long as the file is open; the system gives it
// free when the process ends, however it ends.
func (f *Folder) takeLock() (*os.File, error) {
	lock, err := os.OpenFile(f.Path(lockFile), os.O_CREATE|os.O_RDWR, privateMode)
	if err != nil {
		return nil, f.Explain(err)
	}
	err = windows.LockFileEx(windows.Handle(lock.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, new(windows.Overlapped))
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return nil, errors.Join(f.inUse(), lock.Close())
	}
	if err != nil {
		return nil, errors.Join(f.refuse(err, "name a folder on a disk of this machine.", "it cannot be locked: %v", err), lock.Close())
	}
	return lock, nil
}

// removeLock gives the lock free, and removes the lock file: one that is open
// cannot be removed, here, and so neither can one that another has opened.
func removeLock(lock *os.File) error {
	err := lock.Close()
	if gone := os.Remove(lock.Name()); gone != nil && !errors.Is(gone, fs.ErrNotExist) && !errors.Is(gone, windows.ERROR_SHARING_VIOLATION) {
		err = errors.Join(err, gone)
	}
	return err
}
