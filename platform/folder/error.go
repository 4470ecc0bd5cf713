package folder

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/heraldpush/herald/internal/envelope"
	"github.com/heraldpush/herald/provider/outbox"
	"github.com/heraldpush/herald/spool"
	"github.com/heraldpush/herald/store/pebble"
	"github.com/heraldpush/herald/store/sqlite"
)

// ErrInUse says that another process has the folder open.
var ErrInUse = errors.New("another herald runs on it")

// Error says why a folder cannot be used, or not any longer.
type Error struct {
	// Dir is the folder, as whoever opened it calls it.
	Dir string
	// Reason is for people.
	Reason string
	// Remedy says what to do about it, a sentence.
	Remedy string
	// Err is what it comes from: ErrInUse, fs.ErrNotExist or one of the
	// packages below. It may be nil.
	Err error
}

// Error names the folder and the reason.
func (e *Error) Error() string { return e.Dir + ": " + e.Reason }

// Unwrap returns what the error comes from.
func (e *Error) Unwrap() error { return e.Err }

func (f *Folder) refuse(err error, remedy, format string, args ...any) error {
	return &Error{Dir: f.name, Reason: fmt.Sprintf(format, args...), Remedy: remedy, Err: err}
}

// elsewhere is the remedy for a folder that is somebody's.
const elsewhere = "give --dir a folder that is empty or does not exist yet."

// putBack is the remedy for a file that is missing or damaged.
func (f *Folder) putBack(name string) string {
	return "put " + name + " back as it was; or " + f.fromBackup()
}

// fromBackup is the remedy for a folder that nothing in it can mend.
func (f *Folder) fromBackup() string {
	if f.mark.MadeBy == MadeByProvider {
		return "make a new folder from a backup: herald provider restore FILE --dir NEWDIR."
	}
	return "make a new folder from a backup: herald portal restore FILE --dir NEWDIR."
}

// storeDir is where what waits is stored.
func (f *Folder) storeDir() string {
	if f.mark.MadeBy == MadeByProvider {
		return outboxDir
	}
	return spoolDir
}

func isExplained(err error) bool {
	_, ok := errors.AsType[*Error](err)
	return ok
}

// Explain turns an error that a room met in what the folder holds into an
// *Error: a full disk, a file that cannot be written, a damaged database, a
// master key that is not the one. Others it returns as they are.
func (f *Folder) Explain(err error) error {
	if err == nil {
		return nil
	}
	if isExplained(err) {
		return err
	}
	if wrong, ok := errors.AsType[*envelope.WrongKeyError](err); ok {
		return f.refuse(err, f.putBack(keyFile), "the secrets in %s were sealed with another master key (%v, and the one here is %v)",
			databaseFile, wrong.Sealed, wrong.Have)
	}
	if key, ok := errors.AsType[*envelope.KeyFileError](err); ok {
		return f.refuse(err, "put that right, or "+f.fromBackup(), "%v", key)
	}
	if later, ok := errors.AsType[*sqlite.VersionError](err); ok {
		return f.refuse(err, "use the version of herald that wrote it, or a later one.",
			"%s is of a later version of herald (schema %d, this one knows up to %d)", databaseFile, later.Have, later.Known)
	}
	if later, ok := errors.AsType[*pebble.VersionError](err); ok {
		return f.refuse(err, "use the version of herald that wrote it, or a later one.", "%v", later)
	}
	switch {
	case errors.Is(err, pebble.ErrInUse):
		return f.refuse(err, "end that one, or give --dir another folder.", "%v", err)
	case errors.Is(err, pebble.ErrForeign):
		return f.refuse(err, "move "+f.storeDir()+" elsewhere; it is made anew.", "%v", err)
	case errors.Is(err, sqlite.ErrFull), errors.Is(err, spool.ErrStoreFull), errors.Is(err, outbox.ErrFull), errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return f.refuse(err, "make room on the disk; what was confirmed before is stored.", "%v", err)
	case errors.Is(err, sqlite.ErrDamaged):
		return f.refuse(err, f.putBack(databaseFile), "%v", err)
	case errors.Is(err, pebble.ErrDamaged):
		return f.refuse(err, "put "+f.storeDir()+" back as it was, from a copy made while nobody ran on the folder; or move it elsewhere, to start with nothing stored.", "%v", err)
	case errors.Is(err, pebble.ErrFailed):
		return f.refuse(err, "see to the disk, and start herald again; what was confirmed before is stored.", "%v", err)
	case errors.Is(err, envelope.ErrDamaged):
		return f.refuse(err, f.putBack(databaseFile), "a secret in %s cannot be opened: %v", databaseFile, err)
	case errors.Is(err, syscall.ENOTDIR):
		return f.refuse(err, elsewhere, "it is not a folder")
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return f.refuse(err, "herald needs to read and write everything in it, and to make files there.", "%v", err)
	}
	return err
}

func (f *Folder) inUse() error {
	return f.refuse(ErrInUse, "end that one, or give --dir another folder.", "%v", ErrInUse)
}
