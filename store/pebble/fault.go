package pebble

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	engine "github.com/cockroachdb/pebble/v2"

	"github.com/heraldpush/herald/spool"
)

// What can be wrong with a store besides what is asked of it.
var (
	// ErrInUse says that another process has the store open.
	ErrInUse = errors.New("another process has it open")
	// ErrDamaged says that files of the store are damaged or missing.
	ErrDamaged = errors.New("the stored notifications are damaged")
	// ErrForeign says that the folder is somebody else's.
	ErrForeign = errors.New("the folder holds other files")
	// ErrFailed says that the disk failed while the store was open. It takes
	// nothing any more until it is opened again; what it confirmed is there then.
	ErrFailed = errors.New("the disk failed")
)

// VersionError says that a store was written by a later version of Herald.
type VersionError struct {
	// Dir is the folder of the store.
	Dir string
	// Have is the format of the store; 0 if even that cannot be read. Known is the
	// latest one that this version reads.
	Have, Known int
}

// Error names the folder and the formats.
func (e *VersionError) Error() string {
	if e.Have == 0 {
		return fmt.Sprintf("%s: written by a later version of herald, in a format that this one does not know", e.Dir)
	}
	return fmt.Sprintf("%s: written by a later version of herald (format %d, this one knows up to %d)", e.Dir, e.Have, e.Known)
}

// fault is an error with the folder it is about, and what it can be told by.
type fault struct {
	dir  string
	kind error // nil if it is just an error
	err  error // nil if kind says it all
}

// Error names the folder.
func (e *fault) Error() string {
	switch {
	case e.err == nil:
		return e.dir + ": " + e.kind.Error()
	case e.kind == nil:
		return e.dir + ": " + e.err.Error()
	}
	return e.dir + ": " + e.kind.Error() + ": " + e.err.Error()
}

// Unwrap returns the error, and what it can be told by.
func (e *fault) Unwrap() (all []error) {
	for _, err := range []error{e.kind, e.err} {
		if err != nil {
			all = append(all, err)
		}
	}
	return all
}

// explain says of an error of the engine which folder it was, and what it can be
// told by: otherwise if it is none of those that tell themselves.
func explain(dir string, err, otherwise error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*fault](err); ok {
		return err
	}
	if _, ok := errors.AsType[*VersionError](err); ok {
		return err
	}
	kind := otherwise
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), errors.Is(err, spool.ErrStoreFull):
		kind = spool.ErrStoreFull
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		kind = nil
	case engine.IsCorruptionError(err), errors.Is(err, fs.ErrNotExist), errors.Is(err, errValue), errors.Is(err, errRepeats):
		kind = ErrDamaged
	}
	return &fault{dir, kind, err}
}
