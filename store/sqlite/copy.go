package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
)

// Copy writes what the database has, as of one moment, to a file that does not exist
// yet: a database that Open opens. Changes go on meanwhile; a file of it takes about
// as much room as the database. It is not durable. After an error there is no file.
func (d *Database) Copy(ctx context.Context, path string) (err error) {
	defer func() {
		if err != nil {
			err = fault(d.path, fmt.Errorf("copying the database: %w", err))
		}
	}()
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) // that nobody else can read
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(path))
		}
	}()
	if err := file.Close(); err != nil {
		return err
	}
	// A connection of its own: what the others may do would not allow it.
	pool, err := openPool(d.path, 1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pool.Close()) }()
	_, err = pool.ExecContext(ctx, "VACUUM INTO ?", path)
	return err
}
