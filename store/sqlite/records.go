package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync/atomic"
)

// pageRecords is how many records each reads at once.
const pageRecords = 64

// records is a table of JSON documents by kind and ID.
type records[K ~string] struct {
	db            *Database
	missing       error            // what its users know that by
	written, read recordStatements // for changes, and for views
}

type recordStatements struct{ get, page, put, remove *sql.Stmt }

func prepareRecords(p *preparer, table string) recordStatements {
	return recordStatements{
		get:  p.stmt("SELECT body FROM " + table + " WHERE kind = ? AND id = ?"),
		page: p.stmt("SELECT id, body FROM " + table + " WHERE kind = ? AND id > ? ORDER BY id LIMIT ?"),
		put: p.stmt("INSERT INTO " + table + " (kind, id, body) VALUES (?, ?, ?)" +
			" ON CONFLICT (kind, id) DO UPDATE SET body = excluded.body"),
		remove: p.stmt("DELETE FROM " + table + " WHERE kind = ? AND id = ?"),
	}
}

// update runs f in a transaction. f may not call update, as it would wait for
// itself.
func (r *records[K]) update(ctx context.Context, f func(*recordTx[K]) error) error {
	return r.db.writer.change(ctx, func(whole context.Context) error {
		s := r.written
		change := func(s *sql.Stmt) func(...any) error {
			return func(args ...any) error {
				_, err := s.ExecContext(whole, args...)
				return err
			}
		}
		tx := &recordTx[K]{
			path: r.db.path, missing: r.missing, alive: ctx.Err,
			get:  func(args ...any) *sql.Row { return s.get.QueryRowContext(whole, args...) },
			page: func(args ...any) (*sql.Rows, error) { return s.page.QueryContext(whole, args...) },
			put:  change(s.put), remove: change(s.remove),
		}
		defer tx.over.Store(true)
		return f(tx)
	})
}

// view runs f on a consistent state.
func (r *records[K]) view(ctx context.Context, f func(*recordTx[K]) error) (err error) {
	t, err := r.db.reads.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return fault(r.db.path, err)
	}
	get, page := t.StmtContext(ctx, r.read.get), t.StmtContext(ctx, r.read.page)
	refuse := func(...any) error { return errors.New("a change in a view") }
	tx := &recordTx[K]{
		path: r.db.path, missing: r.missing, alive: ctx.Err,
		get:  func(args ...any) *sql.Row { return get.QueryRowContext(ctx, args...) },
		page: func(args ...any) (*sql.Rows, error) { return page.QueryContext(ctx, args...) },
		put:  refuse, remove: refuse,
	}
	defer func() {
		tx.over.Store(true)
		// It has ended already if ctx has.
		if end := t.Rollback(); end != nil && !errors.Is(end, sql.ErrTxDone) {
			err = errors.Join(err, fault(r.db.path, end))
		}
	}()
	return f(tx)
}

// recordTx is a transaction on records.
type recordTx[K ~string] struct {
	path    string       // of the database
	missing error        // says that there is no such record
	over    atomic.Bool  // its function has returned
	alive   func() error // of the context
	get     func(args ...any) *sql.Row
	page    func(args ...any) (*sql.Rows, error)
	put     func(args ...any) error
	remove  func(args ...any) error
}

// usable returns why the transaction cannot go on, or nil.
func (tx *recordTx[K]) usable() error {
	if tx.over.Load() {
		return errors.New("transaction is over")
	}
	return tx.alive()
}

// Get returns the body of a record.
func (tx *recordTx[K]) Get(kind K, id string) ([]byte, error) {
	if err := tx.usable(); err != nil {
		return nil, err
	}
	var body []byte
	err := tx.get(string(kind), id).Scan(&body)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("%s %s: %w", kind, id, tx.missing)
	}
	if err = fault(tx.path, err); err != nil {
		return nil, fmt.Errorf("%s %s: %w", kind, id, err)
	}
	return body, nil
}

// Put stores a record. An empty ID or body is an error.
func (tx *recordTx[K]) Put(kind K, id string, body []byte) error {
	if err := tx.usable(); err != nil {
		return err
	}
	if id == "" || len(body) == 0 {
		return fmt.Errorf("%s %q: a record needs an ID and a body", kind, id)
	}
	if err := fault(tx.path, tx.put(string(kind), id, body)); err != nil {
		return fmt.Errorf("storing %s %s: %w", kind, id, err)
	}
	return nil
}

// Delete removes a record, if it is there.
func (tx *recordTx[K]) Delete(kind K, id string) error {
	if err := tx.usable(); err != nil {
		return err
	}
	if err := fault(tx.path, tx.remove(string(kind), id)); err != nil {
		return fmt.Errorf("removing %s %s: %w", kind, id, err)
	}
	return nil
}

// each calls f for the records of a kind that follow an ID. It reads a page at a
// time, so that f may use tx, and change what is not yet read.
func (tx *recordTx[K]) each(kind K, after string, f func(id string, body []byte) error) error {
	for {
		page, err := tx.next(kind, after)
		if err != nil {
			return fmt.Errorf("reading all of %s: %w", kind, err)
		}
		for _, r := range page {
			if err := f(r.id, r.body); err != nil {
				return err
			}
		}
		if len(page) < pageRecords {
			return nil
		}
		after = page[len(page)-1].id
	}
}

type record struct {
	id   string
	body []byte
}

// next returns the records of a kind that follow an ID, up to a page of them.
func (tx *recordTx[K]) next(kind K, after string) (page []record, err error) {
	if err := tx.usable(); err != nil {
		return nil, err
	}
	defer func() { err = fault(tx.path, err) }()
	rows, err := tx.page(string(kind), after, pageRecords)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var r record
		if err := rows.Scan(&r.id, &r.body); err != nil {
			return nil, err
		}
		page = append(page, r)
	}
	return page, rows.Err()
}
