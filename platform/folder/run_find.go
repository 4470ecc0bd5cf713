package folder

import (
	"errors"
	"io/fs"
	"path/filepath"
)

// ErrNotRunning says that nobody runs on a folder.
var ErrNotRunning = errors.New("nothing runs on it")

// FindRun returns how to reach who runs on a folder that one of the makers made. It
// returns an *Error for a folder that is none of theirs, and one that is
// ErrNotRunning where nobody runs on it, or does not answer yet or any more.
func FindRun(dir string, makers ...Maker) (r Run, err error) {
	f := &Folder{name: dir}
	if f.dir, err = filepath.Abs(dir); err != nil {
		return r, err
	}
	if err := f.readMark(makers); err != nil {
		return r, err
	}
	// What run.json says may be of a process that was killed; its address may be
	// another's by now.
	lock, err := f.takeLock()
	switch {
	case err == nil:
		return r, errors.Join(f.notRunning(), lock.Close())
	case !errors.Is(err, ErrInUse):
		return r, err
	}
	r, err = ReadRun(f.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return r, f.notRunning()
	}
	return r, err
}

func (f *Folder) notRunning() error {
	remedy := "herald serve --dir DIR runs it."
	if f.mark.MadeBy == MadeByProvider {
		remedy = "herald provider serve --dir DIR runs it."
	}
	return f.refuse(ErrNotRunning, remedy, "%v", ErrNotRunning)
}
