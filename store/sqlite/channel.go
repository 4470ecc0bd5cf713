package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/registry"
)

type channelStatements struct {
	enter, get, list, count, remove *sql.Stmt
	terms, removeTerm               *sql.Stmt
}

func prepareChannels(p *preparer) channelStatements {
	const ofOwner = " WHERE app = ? AND environment = ? AND term = ?"
	return channelStatements{
		enter: p.stmt("INSERT INTO channels (id, app, environment, term, policy, created)" +
			" VALUES (?, ?, ?, ?, ?, ?) RETURNING ordinal"),
		get:        p.stmt("SELECT ordinal, policy, created FROM channels" + ofOwner + " AND id = ?"),
		list:       p.stmt("SELECT id FROM channels" + ofOwner + " ORDER BY ordinal"),
		count:      p.stmt("SELECT count(*) FROM channels" + ofOwner),
		remove:     p.stmt("DELETE FROM channels" + ofOwner + " AND id = ?"),
		terms:      p.stmt("SELECT DISTINCT app, term FROM channels"),
		removeTerm: p.stmt("DELETE FROM channels WHERE app = ? AND term = ?"),
	}
}

// ownerKey returns the columns of an owner.
func ownerKey(o registry.ChannelOwner) ([]any, error) {
	if o.Term > math.MaxInt64 {
		return nil, fmt.Errorf("term %d cannot be stored", o.Term)
	}
	return []any{string(o.App), o.Environment.String(), int64(o.Term)}, nil
}

// EnterChannel implements registry.Store.
func (r *Registry) EnterChannel(ctx context.Context, c registry.Channel, limit int) (registry.Channel, error) {
	key, err := ownerKey(c.ChannelOwner)
	if err != nil {
		return registry.Channel{}, err
	}
	created, err := nanoseconds(c.Created)
	if err != nil {
		return registry.Channel{}, err
	}
	row := append([]any{string(c.ID)}, append(key, int64(c.StoragePolicy), created)...)
	err = r.db.writer.change(ctx, func(ctx context.Context) error {
		var n int
		if err := r.written.channels.count.QueryRowContext(ctx, key...).Scan(&n); err != nil {
			return fault(r.db.path, err)
		}
		if n >= limit {
			return registry.ErrChannelsFull
		}
		return fault(r.db.path, r.written.channels.enter.QueryRowContext(ctx, row...).Scan(&c.Ordinal))
	})
	if err != nil {
		return registry.Channel{}, err
	}
	return c, nil
}

// Channel implements registry.Store.
func (r *Registry) Channel(ctx context.Context, o registry.ChannelOwner, id apns.ChannelID) (registry.Channel, error) {
	key, err := ownerKey(o)
	if err != nil {
		return registry.Channel{}, err
	}
	c := registry.Channel{ID: id, ChannelOwner: o}
	var created sql.NullInt64
	if err := r.read.channels.get.QueryRowContext(ctx, append(key, string(id))...).Scan(&c.Ordinal, &c.StoragePolicy, &created); err != nil {
		return registry.Channel{}, r.missing(err)
	}
	c.Created = moment(created)
	return c, nil
}

// Channels implements registry.Store.
func (r *Registry) Channels(ctx context.Context, o registry.ChannelOwner) (ids []apns.ChannelID, err error) {
	key, err := ownerKey(o)
	if err != nil {
		return nil, err
	}
	err = r.each(ctx, r.read.channels.list, key, func(row *sql.Rows) error {
		var id string
		err := row.Scan(&id)
		ids = append(ids, apns.ChannelID(id))
		return err
	})
	if err != nil {
		return nil, err
	}
	return ids, nil
}

// RemoveChannel implements registry.Store.
func (r *Registry) RemoveChannel(ctx context.Context, o registry.ChannelOwner, id apns.ChannelID) error {
	key, err := ownerKey(o)
	if err != nil {
		return err
	}
	return r.db.writer.change(ctx, func(ctx context.Context) error {
		n, err := r.removed(ctx, r.written.channels.remove, append(key, string(id))...)
		if err == nil && n == 0 {
			return registry.ErrNotFound
		}
		return err
	})
}

// RetainChannels implements registry.Store.
func (r *Registry) RetainChannels(ctx context.Context, terms map[apns.Topic]uint64) (removed int, err error) {
	type appTerm struct {
		app  string
		term int64
	}
	err = r.db.writer.change(ctx, func(ctx context.Context) error {
		removed = 0
		var over []appTerm
		err := r.each(ctx, r.written.channels.terms, nil, func(row *sql.Rows) error {
			var x appTerm
			if err := row.Scan(&x.app, &x.term); err != nil {
				return err
			}
			if term, ok := terms[apns.Topic(x.app)]; !ok || term != uint64(x.term) { //nolint:gosec // ownerKey let it in
				over = append(over, x)
			}
			return nil
		})
		if err != nil {
			return err
		}
		for _, x := range over {
			n, err := r.removed(ctx, r.written.channels.removeTerm, x.app, x.term)
			if err != nil {
				return err
			}
			removed += n
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return removed, nil
}

// removed runs a statement and returns how many rows it removed.
func (r *Registry) removed(ctx context.Context, s *sql.Stmt, args ...any) (int, error) {
	res, err := s.ExecContext(ctx, args...)
	if err != nil {
		return 0, fault(r.db.path, err)
	}
	n, err := res.RowsAffected()
	return int(n), fault(r.db.path, err)
}

// each calls f for each row of a query.
func (r *Registry) each(ctx context.Context, s *sql.Stmt, args []any, f func(*sql.Rows) error) (err error) {
	rows, err := s.QueryContext(ctx, args...)
	if err != nil {
		return fault(r.db.path, err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := f(rows); err != nil {
			return fault(r.db.path, err)
		}
	}
	return fault(r.db.path, rows.Err())
}
