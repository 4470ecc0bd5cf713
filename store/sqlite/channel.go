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
	enter, get, list, count, remove, end *sql.Stmt
}

func prepareChannels(p *preparer) channelStatements {
	const ofOwner = " WHERE app = ? AND environment = ? AND term = ?"
	return channelStatements{
		enter: p.stmt("INSERT INTO channels (id, app, environment, term, policy, created)" +
			" VALUES (?, ?, ?, ?, ?, ?) RETURNING ordinal"),
		get:    p.stmt("SELECT ordinal, policy, created FROM channels" + ofOwner + " AND id = ?"),
		list:   p.stmt("SELECT id FROM channels" + ofOwner + " ORDER BY ordinal"),
		count:  p.stmt("SELECT count(*) FROM channels" + ofOwner),
		remove: p.stmt("DELETE FROM channels" + ofOwner + " AND id = ?"),
		end:    p.stmt("DELETE FROM channels WHERE app = ? AND term <= ?"),
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
	rows, err := r.read.channels.list.QueryContext(ctx, key...)
	if err != nil {
		return nil, fault(r.db.path, err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, fault(r.db.path, err)
		}
		ids = append(ids, apns.ChannelID(id))
	}
	return ids, fault(r.db.path, rows.Err())
}

// RemoveChannel implements registry.Store.
func (r *Registry) RemoveChannel(ctx context.Context, o registry.ChannelOwner, id apns.ChannelID) error {
	key, err := ownerKey(o)
	if err != nil {
		return err
	}
	return r.db.writer.change(ctx, func(ctx context.Context) error {
		res, err := r.written.channels.remove.ExecContext(ctx, append(key, string(id))...)
		if err != nil {
			return fault(r.db.path, err)
		}
		n, err := res.RowsAffected()
		if err == nil && n == 0 {
			return registry.ErrNotFound
		}
		return fault(r.db.path, err)
	})
}

// EndChannels implements registry.Store.
func (r *Registry) EndChannels(ctx context.Context, ended map[apns.Topic]uint64) (removed int, err error) {
	err = r.db.writer.change(ctx, func(ctx context.Context) error {
		removed = 0
		for app, last := range ended {
			res, err := r.written.channels.end.ExecContext(ctx, string(app), int64(min(last, math.MaxInt64)))
			if err != nil {
				return fault(r.db.path, err)
			}
			n, err := res.RowsAffected()
			if err != nil {
				return fault(r.db.path, err)
			}
			removed += int(n)
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return removed, nil
}
