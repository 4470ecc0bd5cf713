package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"math"
	"time"

	"github.com/heraldpush/herald/provider/account"
	"github.com/heraldpush/herald/provider/event"
)

// Event is an event.Store.
type Event struct {
	db            *Database
	written, read eventStatements // for changes, and for looking
}

var _ event.Store = (*Event)(nil)

type eventStatements struct{ list, bounds, known, add, count, until, trim *sql.Stmt }

func prepareEvent(p *preparer) eventStatements {
	return eventStatements{
		list: p.stmt("SELECT sequence, id, time, app, kind, subject, body FROM events WHERE sequence > ? ORDER BY sequence LIMIT ?"),
		bounds: p.stmt("SELECT coalesce((SELECT min(sequence) FROM events), last + 1), last" +
			" FROM (SELECT coalesce((SELECT last FROM event_count), 0) AS last)"),
		known: p.stmt("SELECT 1 FROM events WHERE id = ?"),
		add:   p.stmt("INSERT INTO events (sequence, id, time, app, kind, subject, body) VALUES (?, ?, ?, ?, ?, ?, ?)"),
		count: p.stmt("INSERT OR REPLACE INTO event_count (one, last) VALUES (1, ?)"),
		until: p.stmt("SELECT sequence FROM events WHERE time >= ? ORDER BY sequence LIMIT 1"),
		trim:  p.stmt("DELETE FROM events WHERE sequence < ?"),
	}
}

// Append implements event.Store.
func (s *Event) Append(ctx context.Context, events []event.Event) error {
	for i := range events {
		if err := events[i].Check(); err != nil {
			return err
		}
	}
	return s.db.writer.change(ctx, func(ctx context.Context) error {
		return fault(s.db.path, s.append(ctx, events))
	})
}

// append adds events, within a change.
func (s *Event) append(ctx context.Context, events []event.Event) error {
	w := s.written
	_, last, err := bounds(ctx, w.bounds)
	if err != nil {
		return err
	}
	before := last
	for _, e := range events {
		var known int
		switch err := w.known.QueryRowContext(ctx, string(e.ID)).Scan(&known); {
		case err == nil:
			continue
		case !errors.Is(err, sql.ErrNoRows):
			return err
		}
		at, err := nanoseconds(e.Time)
		if err != nil {
			return err
		}
		last++
		if _, err := w.add.ExecContext(ctx, int64(last), string(e.ID), at, string(e.App), string(e.Kind), e.Subject, []byte(e.Body)); err != nil {
			return err
		}
	}
	if last == before {
		return nil
	}
	_, err = w.count.ExecContext(ctx, int64(last))
	return err
}

func bounds(ctx context.Context, s *sql.Stmt) (first, last uint64, err error) {
	err = s.QueryRowContext(ctx).Scan(&first, &last)
	return first, last, err
}

// Read implements event.Store.
func (s *Event) Read(ctx context.Context, after uint64, limit int) (events []event.Event, err error) {
	if after > math.MaxInt64 || limit <= 0 { // which SQLite takes for no limit
		return nil, nil
	}
	rows, err := s.read.list.QueryContext(ctx, int64(after), limit)
	if err != nil {
		return nil, fault(s.db.path, err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var e event.Event
		var at sql.NullInt64
		var id, app, kind string
		var body []byte
		if err := rows.Scan(&e.Sequence, &id, &at, &app, &kind, &e.Subject, &body); err != nil {
			return nil, fault(s.db.path, err)
		}
		e.ID, e.Time, e.App, e.Kind, e.Body = event.ID(id), moment(at), account.AppID(app), event.Kind(kind), body
		events = append(events, e)
	}
	return events, fault(s.db.path, rows.Err())
}

// Bounds implements event.Store.
func (s *Event) Bounds(ctx context.Context) (first, last uint64, err error) {
	first, last, err = bounds(ctx, s.read.bounds)
	return first, last, fault(s.db.path, err)
}

// Trim implements event.Store.
func (s *Event) Trim(ctx context.Context, before time.Time, keep int) (removed int, err error) {
	at, err := nanoseconds(before)
	if err != nil {
		return 0, err
	}
	err = s.db.writer.change(ctx, func(ctx context.Context) error {
		w := s.written
		first, last, err := bounds(ctx, w.bounds)
		if err != nil {
			return fault(s.db.path, err)
		}
		var until uint64 // the first that stays
		switch err := w.until.QueryRowContext(ctx, at).Scan(&until); {
		case errors.Is(err, sql.ErrNoRows):
			until = last + 1
		case err != nil:
			return fault(s.db.path, err)
		}
		if keep := uint64(max(keep, 0)); keep < last {
			until = max(until, last-keep+1)
		}
		if until = min(until, first+event.TrimBatch); until <= first {
			return nil
		}
		removed = int(until - first)
		_, err = w.trim.ExecContext(ctx, int64(until))
		return fault(s.db.path, err)
	})
	if err != nil {
		removed = 0
	}
	return removed, err
}
