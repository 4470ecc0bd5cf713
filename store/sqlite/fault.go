package sqlite

import (
	"errors"
	"io/fs"

	sqlite "modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"github.com/heraldpush/herald/provider/audience"
)

// What can be wrong with a database besides what is asked of it.
var (
	// ErrClosed says that the database was closed.
	ErrClosed = errors.New("database is closed")
	// ErrFull says that the disk has no room for a change, which was not made.
	ErrFull = audience.ErrFull
	// ErrDamaged says that the file is no database, or one that is damaged.
	ErrDamaged = errors.New("the database is damaged")
)

// fileError is an error of SQLite, with the file that it is about.
type fileError struct {
	path string
	kind error // what a caller can tell it by; nil if it is just an error
	err  error
}

// Error names the file.
func (e *fileError) Error() string {
	if e.kind == nil || errors.Is(e.err, e.kind) {
		return e.path + ": " + e.err.Error()
	}
	return e.path + ": " + e.kind.Error() + ": " + e.err.Error()
}

// Unwrap returns the error, and what it is to be told by.
func (e *fileError) Unwrap() []error {
	if e.kind == nil {
		return []error{e.err}
	}
	return []error{e.kind, e.err}
}

// fault says of an error of SQLite which file it was, once.
func fault(path string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*fileError](err); ok {
		return err
	}
	return &fileError{path, kindOf(err), err}
}

// kindOf returns what an error of SQLite is to be told by, or nil.
func kindOf(err error) error {
	e, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return nil
	}
	const primary = 0xff // what is above says more of the same
	switch e.Code() & primary {
	case lib.SQLITE_FULL:
		return ErrFull
	case lib.SQLITE_CORRUPT, lib.SQLITE_NOTADB:
		return ErrDamaged
	case lib.SQLITE_READONLY, lib.SQLITE_PERM:
		return fs.ErrPermission
	}
	return nil
}
