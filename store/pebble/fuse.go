package pebble

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// fuse is the disk, until a change of it fails. From then on, nothing on the disk
// is changed any more, so that whatever the engine makes of the fault, the disk
// stays as a crash at that moment would have left it.
//
// Of a fault in one of its logs, the engine makes a panic with locks held, or goes
// on as if nothing had happened, or waits for ever; so it is not told of those.
// After a fault it goes on with what is a memory of its own, which comes to its
// end when it is closed. Whoever has the engine change anything asks the fuse
// afterwards whether that is worth anything.
type fuse struct {
	vfs.FS // the disk
	// blown is closed when it has failed.
	blown chan struct{}
	once  sync.Once
	why   error // set by once, before blown is closed
	// memory has the files that were made since.
	memory *vfs.MemFS
	// onFault is told of the fault, once.
	onFault func(error)
}

func newFuse(disk vfs.FS, onFault func(error)) *fuse {
	return &fuse{FS: disk, blown: make(chan struct{}), memory: vfs.NewMem(), onFault: onFault}
}

// blow notes that something failed.
func (f *fuse) blow(err error) {
	f.once.Do(func() {
		f.why = err
		close(f.blown)
		f.onFault(err)
	})
}

// err returns what failed, nil if nothing has.
func (f *fuse) err() error {
	select {
	case <-f.blown:
		return f.why
	default:
		return nil
	}
}

// changed is told how a change of the disk ended, and returns what the engine is
// told.
func (f *fuse) changed(err error, hide bool) error {
	if err == nil || errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrExist) {
		return err
	}
	f.blow(err)
	if hide {
		return nil
	}
	return err
}

// hidden reports whether faults in a file are hidden from the engine: in all but
// tables, which it makes anew when making one failed.
func hidden(name string) bool {
	return !strings.HasSuffix(name, ".sst") && !strings.HasSuffix(name, ".blob")
}

// make has a file made: on the disk, or in memory after a fault, be it of this
// very file.
func (f *fuse) make(name string, onDisk func() (vfs.File, error)) (vfs.File, error) {
	if f.err() == nil {
		file, err := onDisk()
		if err == nil {
			return &fuseFile{file, f, hidden(name)}, nil
		}
		if err := f.changed(err, hidden(name)); err != nil {
			return nil, err
		}
	}
	if err := f.memory.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return nil, err
	}
	return f.memory.Create(name, vfs.WriteCategoryUnspecified)
}

// Create implements vfs.FS.
func (f *fuse) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return f.make(name, func() (vfs.File, error) { return f.FS.Create(name, category) })
}

// ReuseForWrite implements vfs.FS.
func (f *fuse) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return f.make(newname, func() (vfs.File, error) { return f.FS.ReuseForWrite(oldname, newname, category) })
}

// OpenReadWrite implements vfs.FS.
func (f *fuse) OpenReadWrite(name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return f.make(name, func() (vfs.File, error) { return f.FS.OpenReadWrite(name, category, opts...) })
}

// Open implements vfs.FS.
func (f *fuse) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	if f.err() != nil {
		if file, err := f.memory.Open(name, opts...); err == nil {
			return file, nil
		}
	}
	return f.FS.Open(name, opts...)
}

// OpenDir implements vfs.FS.
func (f *fuse) OpenDir(name string) (vfs.File, error) {
	file, err := f.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return &fuseFile{file, f, true}, nil
}

// Stat implements vfs.FS.
func (f *fuse) Stat(name string) (vfs.FileInfo, error) {
	if f.err() != nil {
		if info, err := f.memory.Stat(name); err == nil {
			return info, nil
		}
	}
	return f.FS.Stat(name)
}

// change makes a change that is no file's, or after a fault the same in memory,
// where it may not find what it is about.
func (f *fuse) change(onDisk func() error, inMemory func() error) error {
	if f.err() == nil {
		return f.changed(onDisk(), true)
	}
	_ = inMemory() // what is not there was on the disk
	return nil
}

// Remove implements vfs.FS.
func (f *fuse) Remove(name string) error {
	return f.change(func() error { return f.FS.Remove(name) }, func() error { return f.memory.Remove(name) })
}

// RemoveAll implements vfs.FS.
func (f *fuse) RemoveAll(name string) error {
	return f.change(func() error { return f.FS.RemoveAll(name) }, func() error { return f.memory.RemoveAll(name) })
}

// Rename implements vfs.FS.
func (f *fuse) Rename(oldname, newname string) error {
	return f.change(func() error { return f.FS.Rename(oldname, newname) }, func() error { return f.memory.Rename(oldname, newname) })
}

// Link implements vfs.FS.
func (f *fuse) Link(oldname, newname string) error {
	return f.change(func() error { return f.FS.Link(oldname, newname) }, func() error { return f.memory.Link(oldname, newname) })
}

// MkdirAll implements vfs.FS.
func (f *fuse) MkdirAll(dir string, perm os.FileMode) error {
	return f.change(func() error { return f.FS.MkdirAll(dir, perm) }, func() error { return f.memory.MkdirAll(dir, perm) })
}

// Unwrap implements vfs.FS.
func (f *fuse) Unwrap() vfs.FS { return f.FS }

// fuseFile is a file on the disk. After a fault, what is done to it does nothing:
// it fails where faults are not hidden.
type fuseFile struct {
	vfs.File
	fuse *fuse
	hide bool
}

// change makes a change, and returns what the engine is told.
func (f *fuseFile) change(onDisk func() error) error {
	err := f.fuse.err()
	if err == nil {
		err = onDisk()
	}
	return f.fuse.changed(err, f.hide)
}

// Write implements vfs.File.
func (f *fuseFile) Write(p []byte) (n int, err error) {
	if f.fuse.err() == nil { // a closure less
		if n, err = f.File.Write(p); err == nil {
			return n, nil
		}
	} else {
		err = f.fuse.err()
	}
	if err := f.fuse.changed(err, f.hide); err != nil {
		return n, err
	}
	return len(p), nil
}

// WriteAt implements vfs.File.
func (f *fuseFile) WriteAt(p []byte, offset int64) (n int, err error) {
	if err := f.change(func() (err error) { n, err = f.File.WriteAt(p, offset); return err }); err != nil {
		return n, err
	}
	return len(p), nil
}

// Sync implements vfs.File.
func (f *fuseFile) Sync() error { return f.change(f.File.Sync) }

// SyncData implements vfs.File.
func (f *fuseFile) SyncData() error { return f.change(f.File.SyncData) }

// SyncTo implements vfs.File.
func (f *fuseFile) SyncTo(length int64) (full bool, err error) {
	err = f.change(func() (err error) { full, err = f.File.SyncTo(length); return err })
	return full, err
}

// Close implements vfs.File. It closes the file in any case.
func (f *fuseFile) Close() error { return f.fuse.changed(f.File.Close(), f.hide) }
