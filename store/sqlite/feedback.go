package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/registry"
)

type feedbackStatements struct {
	gone, list                *sql.Stmt
	replace, add, trim, clear *sql.Stmt
}

func prepareFeedback(p *preparer) feedbackStatements {
	const ofList = " WHERE topic = ? AND environment = ?"
	return feedbackStatements{
		gone:    p.stmt("SELECT gone FROM feedback" + ofList + " AND device_token = ?"),
		list:    p.stmt("SELECT number, device_token, gone, noted FROM feedback" + ofList + " AND number > ? ORDER BY number LIMIT ?"),
		replace: p.stmt("DELETE FROM feedback" + ofList + " AND device_token = ? AND gone < ?"),
		add:     p.stmt("INSERT OR IGNORE INTO feedback (topic, environment, device_token, gone, noted) VALUES (?, ?, ?, ?, ?)"),
		trim: p.stmt("DELETE FROM feedback" + ofList + " AND number <= (SELECT number FROM feedback" + ofList +
			" ORDER BY number DESC LIMIT 1 OFFSET ?)"),
		clear: p.stmt("DELETE FROM feedback" + ofList + " AND number <= ?"),
	}
}

// AddFeedback implements registry.Store.
func (r *Registry) AddFeedback(ctx context.Context, entries []registry.FeedbackEntry, most int) error {
	// Those that push to a device token that is gone mostly do so again and
	// again: what is known needs no writing.
	entries, err := r.newFeedback(ctx, entries)
	if err != nil || len(entries) == 0 {
		return err
	}
	return r.db.writer.change(ctx, func(ctx context.Context) error {
		w := r.written.feedback
		lists := make(map[registry.FeedbackList]bool)
		for _, e := range entries {
			gone, err := nanoseconds(e.Gone)
			if err != nil {
				return err
			}
			noted, err := nanoseconds(e.Noted)
			if err != nil {
				return err
			}
			key := []any{e.List.Topic[:], e.List.Environment.String(), []byte(e.DeviceToken)}
			if _, err := w.replace.ExecContext(ctx, append(key, gone)...); err != nil {
				return fault(r.db.path, err)
			}
			if _, err := w.add.ExecContext(ctx, append(key, gone, noted)...); err != nil {
				return fault(r.db.path, err)
			}
			lists[e.List] = true
		}
		for list := range lists {
			key := []any{list.Topic[:], list.Environment.String()}
			if _, err := w.trim.ExecContext(ctx, key[0], key[1], key[0], key[1], most); err != nil {
				return fault(r.db.path, err)
			}
		}
		return nil
	})
}

// newFeedback returns the entries that the database does not have.
func (r *Registry) newFeedback(ctx context.Context, entries []registry.FeedbackEntry) (unknown []registry.FeedbackEntry, err error) {
	for _, e := range entries {
		at, err := nanoseconds(e.Gone)
		if err != nil {
			return nil, err
		}
		var known int64
		err = r.read.feedback.gone.QueryRowContext(ctx, e.List.Topic[:], e.List.Environment.String(), []byte(e.DeviceToken)).Scan(&known)
		switch {
		case errors.Is(err, sql.ErrNoRows), err == nil && known < at.Int64:
			unknown = append(unknown, e)
		case err != nil:
			return nil, fault(r.db.path, err)
		}
	}
	return unknown, nil
}

// Feedback implements registry.Store.
func (r *Registry) Feedback(ctx context.Context, list registry.FeedbackList, after uint64, limit int) (entries []registry.FeedbackEntry, err error) {
	rows, err := r.read.feedback.list.QueryContext(ctx, list.Topic[:], list.Environment.String(), int64(after), limit)
	if err != nil {
		return nil, fault(r.db.path, err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		e := registry.FeedbackEntry{List: list}
		var token []byte
		var gone, noted sql.NullInt64
		if err := rows.Scan(&e.Number, &token, &gone, &noted); err != nil {
			return nil, fault(r.db.path, err)
		}
		e.DeviceToken, e.Gone, e.Noted = apns.DeviceToken(token), moment(gone), moment(noted)
		entries = append(entries, e)
	}
	return entries, fault(r.db.path, rows.Err())
}

// DeleteFeedback implements registry.Store.
func (r *Registry) DeleteFeedback(ctx context.Context, list registry.FeedbackList, last uint64) error {
	return r.db.writer.change(ctx, func(ctx context.Context) error {
		_, err := r.written.feedback.clear.ExecContext(ctx, list.Topic[:], list.Environment.String(), int64(last))
		return fault(r.db.path, err)
	})
}
