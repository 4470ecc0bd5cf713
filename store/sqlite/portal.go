package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/heraldpush/herald/portal"
)

// Portal is a portal.Store.
type Portal struct {
	db            *Database
	written, read portalStatements // for changes, and for views
}

var _ portal.Store = (*Portal)(nil)

// pageRecords is how many records Each reads at once.
const pageRecords = 64

type portalStatements struct{ get, page, put *sql.Stmt }

func preparePortal(p *preparer) portalStatements {
	return portalStatements{
		get:  p.stmt("SELECT body FROM records WHERE kind = ? AND id = ?"),
		page: p.stmt("SELECT id, body FROM records WHERE kind = ? AND id > ? ORDER BY id LIMIT ?"),
		put: p.stmt("INSERT INTO records (kind, id, body) VALUES (?, ?, ?)" +
			" ON CONFLICT (kind, id) DO UPDATE SET body = excluded.body"),
	}
}

// Update implements portal.Store. f may not call Update, as it would wait for
// itself.
func (p *Portal) Update(ctx context.Context, f func(portal.Tx) error) error {
	return p.db.writer.change(ctx, func(whole context.Context) error {
		s := p.written
		tx := &portalTx{
			path: p.db.path, alive: ctx.Err,
			get:  func(args ...any) *sql.Row { return s.get.QueryRowContext(whole, args...) },
			page: func(args ...any) (*sql.Rows, error) { return s.page.QueryContext(whole, args...) },
			put: func(args ...any) error {
				_, err := s.put.ExecContext(whole, args...)
				return err
			},
		}
		defer tx.over.Store(true)
		return f(tx)
	})
}

// View implements portal.Store.
func (p *Portal) View(ctx context.Context, f func(portal.Tx) error) (err error) {
	t, err := p.db.reads.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return fault(p.db.path, err)
	}
	get, page := t.StmtContext(ctx, p.read.get), t.StmtContext(ctx, p.read.page)
	tx := &portalTx{
		path: p.db.path, alive: ctx.Err,
		get:  func(args ...any) *sql.Row { return get.QueryRowContext(ctx, args...) },
		page: func(args ...any) (*sql.Rows, error) { return page.QueryContext(ctx, args...) },
		put:  func(...any) error { return errors.New("put in a view") },
	}
	defer func() {
		tx.over.Store(true)
		// It has ended already if ctx has.
		if end := t.Rollback(); end != nil && !errors.Is(end, sql.ErrTxDone) {
			err = errors.Join(err, fault(p.db.path, end))
		}
	}()
	return f(tx)
}

// portalTx is a portal.Tx.
type portalTx struct {
	path  string       // of the database
	over  atomic.Bool  // its function has returned
	alive func() error // of the context
	get   func(args ...any) *sql.Row
	page  func(args ...any) (*sql.Rows, error)
	put   func(args ...any) error
}

// usable returns why the transaction cannot go on, or nil.
func (tx *portalTx) usable() error {
	if tx.over.Load() {
		return errors.New("transaction is over")
	}
	return tx.alive()
}

// Get implements portal.Tx.
func (tx *portalTx) Get(kind portal.Kind, id string) ([]byte, error) {
	if err := tx.usable(); err != nil {
		return nil, err
	}
	var body []byte
	err := tx.get(string(kind), id).Scan(&body)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("%s %s: %w", kind, id, portal.ErrNotFound)
	}
	if err = fault(tx.path, err); err != nil {
		return nil, fmt.Errorf("%s %s: %w", kind, id, err)
	}
	return body, nil
}

// Put implements portal.Tx. An empty ID or body is an error.
func (tx *portalTx) Put(kind portal.Kind, id string, body []byte) error {
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

// Each implements portal.Tx. It reads a page at a time, so that f may use tx,
// and change what is not yet read.
func (tx *portalTx) Each(kind portal.Kind, f func(id string, body []byte) error) error {
	for after := ""; ; {
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
func (tx *portalTx) next(kind portal.Kind, after string) (page []record, err error) {
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
