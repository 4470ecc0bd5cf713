package folder

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/heraldpush/herald/internal/envelope"
	"github.com/heraldpush/herald/portal"
	"github.com/heraldpush/herald/registry"
	"github.com/heraldpush/herald/spool"
	"github.com/heraldpush/herald/store/pebble"
	"github.com/heraldpush/herald/store/sqlite"
)

// The files of a folder.
const (
	markFile       = "herald.json"
	lockFile       = "lock"
	keyFile        = "master.key"
	databaseFile   = "herald.db"
	runFile        = "run.json"
	spoolDir       = "spool"
	outboxDir      = "outbox"
	unfinishedFile = "unfinished"
)

// TraceDir is the folder within in which a platform keeps what happened to
// notifications. It may be removed at any time that none runs.
const TraceDir = "trace"

// databaseFiles are what SQLite makes for a database.
var databaseFiles = []string{databaseFile, databaseFile + "-wal", databaseFile + "-shm", databaseFile + "-journal"}

// ownFiles are the others that this package makes.
var ownFiles = []string{markFile, copiedFile, lockFile, keyFile, runFile, spoolDir, outboxDir, unfinishedFile}

// Modes.
const (
	folderMode  fs.FileMode = 0o700
	privateMode fs.FileMode = 0o600
)

// Folder is a platform's or a provider's folder, open for this process alone. Its stores and
// its sealer are safe for concurrent use; its methods are not.
type Folder struct {
	name   string // as whoever opened it calls it, for errors
	dir    string // absolute
	mark   mark
	making *making // what was made so far; nil once it is finished
	runs   bool    // run.json was written

	lock     *os.File // nil once it is closed
	sealer   *envelope.Sealer
	database *sqlite.Database
}

// Open opens a folder that one of the makers made. It returns an *Error for a
// folder that cannot be used, which is left as it was: one that is
// fs.ErrNotExist if there is none yet, for Create to make, and one that is
// ErrInUse if another process has it open.
func Open(ctx context.Context, dir string, makers ...Maker) (_ *Folder, err error) {
	f := &Folder{name: dir}
	if f.dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	// Whose is it? A folder that is not ours gets no lock either.
	if err := f.readMark(makers); err != nil {
		return nil, err
	}
	if f.lock, err = f.takeLock(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close())
		}
	}()
	if err := f.readMark(makers); err != nil { // now that nobody changes it
		return nil, err
	}
	// Of processes that were killed: nobody runs here, and it is finished.
	for _, name := range []string{runFile, unfinishedFile, copiedFile} {
		if err := f.remove(name); err != nil {
			return nil, err
		}
	}
	for _, name := range []string{databaseFile, keyFile} {
		if err := f.mustHave(name); err != nil {
			return nil, err
		}
	}
	if err := f.openStores(ctx, envelope.LoadKeyFile); err != nil {
		return nil, err
	}
	return f, nil
}

// Create makes a folder, which must not exist yet, or be empty, or be one whose
// making was cut short. It is not there for others until Finish is called, and
// Close before takes back all that was made. The errors are those of CheckNew,
// and one that is ErrInUse if another process makes the same folder.
func Create(ctx context.Context, dir string, by Maker) (*Folder, error) {
	return createWith(ctx, dir, by, envelope.CreateKeyFile, func(*Folder) error { return nil })
}

// createWith makes a folder with what fill puts into it, and gets its master key by key.
func createWith(ctx context.Context, dir string, by Maker, key func(path string) (envelope.Key, error), fill func(*Folder) error) (_ *Folder, err error) {
	if err := CheckNew(dir); err != nil {
		return nil, err
	}
	f := &Folder{name: dir, mark: mark{Format: Format, MadeBy: by}, making: &making{}}
	if f.dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	if err := f.making.makeFolders(f.dir); err != nil {
		return nil, f.Explain(err)
	}
	if f.lock, err = f.takeLock(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close())
		}
	}()
	if err := f.begin(); err != nil {
		return nil, err
	}
	if err := fill(f); err != nil {
		return nil, f.Explain(err)
	}
	if err := f.openStores(ctx, key); err != nil {
		return nil, err
	}
	return f, nil
}

// openStores opens the database, and gets the master key: by key, if it is in
// the folder.
func (f *Folder) openStores(ctx context.Context, key func(path string) (envelope.Key, error)) error {
	var master envelope.Key
	path, err := credential()
	if path != "" {
		master, err = envelope.LoadCredential(path)
	} else if err == nil {
		master, err = key(f.Path(keyFile))
	}
	if err != nil {
		return f.Explain(err)
	}
	if f.sealer, err = envelope.New(master); err != nil {
		return err
	}
	if f.database, err = sqlite.Open(ctx, f.Path(databaseFile)); err == nil || ctx.Err() != nil {
		return err
	}
	if err = f.Explain(err); !isExplained(err) { // somebody else's, for one
		err = f.refuse(err, f.putBack(databaseFile), "%v", err)
	}
	return err
}

// mustHave checks that a file of a finished folder is there: made anew, it
// would be another platform's.
func (f *Folder) mustHave(name string) error {
	if name == keyFile {
		if path, err := credential(); path != "" || err != nil {
			return err
		}
	}
	_, err := os.Stat(f.Path(name))
	switch {
	case !errors.Is(err, fs.ErrNotExist):
		return f.Explain(err)
	case name == keyFile:
		return f.refuse(nil, f.putBack(keyFile), "%s is missing, and without it the secrets in %s cannot be opened", keyFile, databaseFile)
	}
	return f.refuse(nil, f.putBack(name), "%s is missing", name)
}

// Dir returns the path of the folder, absolute.
func (f *Folder) Dir() string { return f.dir }

// Path returns the path of a file in the folder, absolute.
func (f *Folder) Path(name string) string { return filepath.Join(f.dir, name) }

// PortalStore returns the portal's store. Its secrets are to be sealed with
// Sealer.
func (f *Folder) PortalStore() portal.Store { return f.database.Portal() }

// RegistryStore returns the registry's store. Its secrets are to be sealed with
// Sealer.
func (f *Folder) RegistryStore() registry.Store { return f.database.Registry() }

// OpenSpool opens the spool's store, and makes it if there is none, as in a
// folder that nobody served yet. Whoever opens it closes it, before the folder.
func (f *Folder) OpenSpool(log *slog.Logger) (spool.Store, error) {
	if f.making != nil {
		if err := f.makes(spoolDir); err != nil {
			return nil, err
		}
	}
	s, err := pebble.Open(f.Path(spoolDir), pebble.Config{Logger: log})
	if err != nil {
		return nil, f.Explain(err)
	}
	return s, nil
}

// OpenOutbox opens the store of a provider's outbox, and makes it if there is
// none. Whoever opens it closes it, before the folder.
func (f *Folder) OpenOutbox(log *slog.Logger) (*pebble.Outbox, error) {
	if f.making != nil {
		if err := f.makes(outboxDir); err != nil {
			return nil, err
		}
	}
	o, err := pebble.OpenOutbox(f.Path(outboxDir), pebble.Config{Logger: log})
	if err != nil {
		return nil, f.Explain(err)
	}
	return o, nil
}

// Provider returns the database with a provider's stores. It is closed with the
// folder.
func (f *Folder) Provider() *sqlite.Database { return f.database }

// Sealer returns what seals with the folder's master key.
func (f *Folder) Sealer() *envelope.Sealer { return f.sealer }

// Portal opens the portal alone, for who works on a folder that nobody serves.
func (f *Folder) Portal(ctx context.Context) (*portal.Portal, error) {
	p, err := portal.Open(ctx, portal.Config{Store: f.PortalStore(), Sealer: f.sealer, RSA: true})
	return p, f.Explain(err)
}

// Close closes the stores, removes run.json, and gives the folder free. What
// was made of a folder that is not finished is taken back. A second Close does
// nothing.
func (f *Folder) Close() error {
	if f.lock == nil {
		return nil
	}
	var errs []error
	if f.database != nil {
		errs = append(errs, f.database.Close())
	}
	if f.runs {
		errs = append(errs, f.RemoveRun())
	}
	if f.making == nil {
		errs = append(errs, f.lock.Close())
	} else {
		errs = append(errs, f.takeBack())
	}
	f.lock = nil
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("closing %s: %w", f.name, err)
	}
	return nil
}
