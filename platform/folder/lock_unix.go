//go:build unix

package folder

import (
	"errors"
	"os"
	"syscall"
)

// takeLock takes the lock for as long as the file is open; the system gives it
// free when the process ends, however it ends.
func (f *Folder) takeLock() (_ *os.File, err error) {
	lock, err := os.OpenFile(f.Path(lockFile), os.O_CREATE|os.O_RDWR, privateMode)
	if err != nil {
		return nil, f.Explain(err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, lock.Close())
		}
	}()
	err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, f.inUse()
	}
	if err != nil {
		return nil, f.refuse(err, "name a folder on a disk of this machine.", "it cannot be locked: %v", err)
	}
	// Whoever had it may have removed it meanwhile, and another made it anew.
	mine, err := lock.Stat()
	if err != nil {
		return nil, f.Explain(err)
	}
	if there, err := os.Stat(lock.Name()); err != nil || !os.SameFile(mine, there) {
		return nil, f.inUse()
	}
	return lock, nil
}

// removeLock removes the lock file, and gives the lock free.
func removeLock(lock *os.File) error { return errors.Join(os.Remove(lock.Name()), lock.Close()) }
