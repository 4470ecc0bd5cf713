package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"

	sqlite "modernc.org/sqlite"

	"github.com/heraldpush/herald/portal"
	"github.com/heraldpush/herald/provider/account"
)

// readers is how many may look at the same time.
const readers = 4

// Database is a platform's database file, open. It is safe for concurrent
// use. One process at a time may have it open.
type Database struct {
	path   string
	writes *sql.DB // of one connection, which writer has
	reads  *sql.DB
	writer *writer
	// statements are those of the writer's connection, which does not close
	// before they are closed.
	statements []*sql.Stmt

	portal   *Portal
	registry *Registry
	audience *Audience
	account  *Account
	events   *Event
	archive  *Archive

	closing sync.Once
	closed  error // what closing met; set by closing
}

// Open opens the database at path, and makes it if there is none; the folder
// must exist. A database of an earlier version is brought up to date. It
// returns a *VersionError for one of a later version, which is left as it is,
// as is a file that is no database of Herald. What ErrFull, ErrDamaged and
// fs.ErrPermission say may have happened to the file, here and later.
func Open(ctx context.Context, path string) (_ *Database, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("opening database: %w", err)
		}
	}()
	if path, err = filepath.Abs(path); err != nil {
		return nil, err
	}
	if err := begin(path); err != nil {
		return nil, err
	}
	d := &Database{path: path}
	if d.writes, err = openPool(path, 1, "_pragma=cache_size(-65536)"); err != nil { // KiB
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.writes.Close())
		}
	}()
	conn, err := d.writes.Conn(ctx)
	if err != nil {
		return nil, fault(path, err)
	}
	if err := prepareFile(ctx, conn, path); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	if d.reads, err = openPool(path, readers, "_query_only=1"); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	if err := d.prepare(ctx, conn); err != nil {
		return nil, errors.Join(err, d.closeStatements(), d.reads.Close(), conn.Close())
	}
	go d.writer.run() //nolint:contextcheck // it lives until Close, not until ctx ends
	return d, nil
}

// prepareFile makes sure that the file is ours, brings it up to date, and
// keeps others from reading it.
func prepareFile(ctx context.Context, conn *sql.Conn, path string) error {
	if err := checkVersion(ctx, conn, path); err != nil {
		return err
	}
	var mode string
	if err := conn.QueryRowContext(ctx, "PRAGMA journal_mode=WAL").Scan(&mode); err != nil {
		return fault(path, err)
	}
	if mode != "wal" {
		return fmt.Errorf("%s: no write-ahead log is possible there (journal mode %s)", path, mode)
	}
	if err := migrate(ctx, conn, path); err != nil {
		return err
	}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Chmod(path+suffix, 0o600); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// prepare prepares all statements.
func (d *Database) prepare(ctx context.Context, conn *sql.Conn) error {
	w := &preparer{ctx: ctx, prepare: conn.PrepareContext}
	r := &preparer{ctx: ctx, prepare: d.reads.PrepareContext}
	d.writer = newWriter(d.path, conn, w)
	d.portal = &Portal{records[portal.Kind]{
		db: d, missing: portal.ErrNotFound, written: prepareRecords(w, "records"), read: prepareRecords(r, "records"),
	}}
	d.registry = &Registry{db: d, written: prepareRegistry(w), read: prepareRegistry(r)}
	d.audience = &Audience{db: d, written: prepareAudience(w), read: prepareAudience(r)}
	d.account = &Account{records[account.Kind]{
		db: d, missing: account.ErrNotFound, written: prepareRecords(w, "accounts"), read: prepareRecords(r, "accounts"),
	}}
	d.events = &Event{db: d, written: prepareEvent(w), read: prepareEvent(r)}
	d.archive = &Archive{db: d, written: prepareArchive(w), read: prepareArchive(r)}
	d.statements = w.all
	return fault(d.path, errors.Join(w.err, r.err))
}

// Portal returns the portal's store.
func (d *Database) Portal() *Portal { return d.portal }

// Registry returns the registry's store.
func (d *Database) Registry() *Registry { return d.registry }

// Audience returns the store of the provider's audience.
func (d *Database) Audience() *Audience { return d.audience }

// Account returns the store of the provider's apps, credentials and keys.
func (d *Database) Account() *Account { return d.account }

// Events returns the store of the provider's log of events.
func (d *Database) Events() *Event { return d.events }

// Archive returns the store of the provider's messages that have ended.
func (d *Database) Archive() *Archive { return d.archive }

// Close waits for the changes that have begun and closes the database. What
// comes later is refused with ErrClosed. A second Close does nothing.
func (d *Database) Close() error {
	d.closing.Do(func() {
		d.writer.close()
		// The writer last: the last to close puts the log back into the file.
		d.closed = errors.Join(d.reads.Close(), d.closeStatements(), d.writer.conn.Close(), d.writes.Close())
	})
	return d.closed
}

func (d *Database) closeStatements() error {
	var errs []error
	for _, s := range d.statements {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}

// begin makes an empty file for a database that does not exist, as SQLite
// would make one that others can read.
func begin(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return f.Close()
}

// openPool returns up to n connections to the database.
func openPool(path string, n int, more ...string) (*sql.DB, error) {
	// A URI, as only then no letter of the path means anything.
	slashed := filepath.ToSlash(path)
	if !strings.HasPrefix(slashed, "/") {
		slashed = "/" + slashed // a drive
	}
	name := (&url.URL{Scheme: "file", Path: slashed}).String() + "?" + strings.Join(append([]string{
		"_busy_timeout=5000", // milliseconds; for a backup that looks on
		"_synchronous=FULL",
		"_foreign_keys=1",
		"_pragma=fullfsync(1)", // where fsync alone does not reach the disk
		"_pragma=journal_size_limit(67108864)",
		// In pages: the log goes back into the file less often than by default, as
		// that is a sync and scattered writes.
		"_pragma=wal_autocheckpoint(8192)",
		"_pragma=temp_store(MEMORY)", // also what a savepoint keeps to be put back
		"_defensive=1", "_dqs=0", "_error_rc=1",
	}, more...), "&")
	connector, err := sqlite.NewConnector(name)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(n)
	db.SetMaxIdleConns(n)
	return db, nil
}
