package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/registry"
)

// Registry is a registry.Store.
type Registry struct {
	db            *Database
	written, read registryStatements // for changes, and for looking
}

var _ registry.Store = (*Registry)(nil)

type registryStatements struct {
	tokenKeys, putTokenKey                     *sql.Stmt
	device, enterDevice                        *sql.Stmt
	topic, enterTopic                          *sql.Stmt
	exception, putException, takeExceptionBack *sql.Stmt
	eachException                              *sql.Stmt
	feedback                                   feedbackStatements
	channels                                   channelStatements
}

func prepareRegistry(p *preparer) registryStatements {
	return registryStatements{
		tokenKeys:   p.stmt("SELECT environment, key FROM token_keys"),
		putTokenKey: p.stmt("INSERT INTO token_keys (environment, key) VALUES (?, ?)"),

		device: p.stmt("SELECT ordinal, entered FROM devices WHERE id = ?"),
		enterDevice: p.stmt("INSERT INTO devices (ordinal, id, entered)" +
			" VALUES ((SELECT coalesce(max(ordinal), 0) + 1 FROM devices), ?, ?) RETURNING ordinal"),

		topic: p.stmt("SELECT ordinal FROM topics WHERE hash = ?"),
		enterTopic: p.stmt("INSERT INTO topics (ordinal, hash)" +
			" VALUES ((SELECT coalesce(max(ordinal), 0) + 1 FROM topics), ?) RETURNING ordinal"),

		exception: p.stmt("SELECT generation, removed, former FROM exceptions" +
			" WHERE device = ? AND topic = ? AND environment = ?"),
		putException: p.stmt("INSERT OR REPLACE INTO exceptions (device, topic, environment, generation, removed, former)" +
			" VALUES (?, ?, ?, ?, ?, ?)"),
		eachException:     p.stmt("SELECT device, topic, environment FROM exceptions"),
		takeExceptionBack: p.stmt("DELETE FROM exceptions WHERE device = ? AND topic = ? AND environment = ?"),

		feedback: prepareFeedback(p),
		channels: prepareChannels(p),
	}
}

// TokenKeys implements registry.Store.
func (r *Registry) TokenKeys(ctx context.Context, make func() (map[apns.Environment][]byte, error)) (map[apns.Environment][]byte, error) {
	keys, err := r.tokenKeys(ctx, r.read)
	if err != nil || len(keys) > 0 {
		return keys, err
	}
	err = r.db.writer.change(ctx, func(ctx context.Context) error {
		if keys, err = r.tokenKeys(ctx, r.written); err != nil || len(keys) > 0 {
			return err
		}
		if keys, err = make(); err != nil {
			return err
		}
		for env, key := range keys {
			if _, err := r.written.putTokenKey.ExecContext(ctx, env.String(), key); err != nil {
				return fault(r.db.path, err)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return keys, nil
}

func (r *Registry) tokenKeys(ctx context.Context, s registryStatements) (_ map[apns.Environment][]byte, err error) {
	rows, err := s.tokenKeys.QueryContext(ctx)
	if err != nil {
		return nil, fault(r.db.path, err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	keys := make(map[apns.Environment][]byte)
	for rows.Next() {
		var name string
		var key []byte
		if err := rows.Scan(&name, &key); err != nil {
			return nil, fault(r.db.path, err)
		}
		env, err := apns.ParseEnvironment(name)
		if err != nil {
			return nil, fault(r.db.path, err)
		}
		keys[env] = key
	}
	return keys, fault(r.db.path, rows.Err())
}

// EnterDevice implements registry.Store.
func (r *Registry) EnterDevice(ctx context.Context, d registry.Device) (registry.Device, error) {
	known, err := r.device(ctx, r.read, d.ID)
	if !errors.Is(err, registry.ErrNotFound) {
		return known, err
	}
	entered, err := nanoseconds(d.Entered)
	if err != nil {
		return registry.Device{}, err
	}
	err = r.db.writer.change(ctx, func(ctx context.Context) error {
		known, err = r.device(ctx, r.written, d.ID)
		if !errors.Is(err, registry.ErrNotFound) {
			return err
		}
		known = d
		return fault(r.db.path, r.written.enterDevice.QueryRowContext(ctx, string(d.ID), entered).Scan(&known.Ordinal))
	})
	if err != nil {
		return registry.Device{}, err
	}
	return known, nil
}

// Device implements registry.Store.
func (r *Registry) Device(ctx context.Context, id apns.DeviceID) (registry.Device, error) {
	return r.device(ctx, r.read, id)
}

func (r *Registry) device(ctx context.Context, s registryStatements, id apns.DeviceID) (registry.Device, error) {
	d := registry.Device{ID: id}
	var entered sql.NullInt64
	if err := s.device.QueryRowContext(ctx, string(id)).Scan(&d.Ordinal, &entered); err != nil {
		return registry.Device{}, r.missing(err)
	}
	d.Entered = moment(entered)
	return d, nil
}

// EnterTopic implements registry.Store.
func (r *Registry) EnterTopic(ctx context.Context, h apns.TopicHash) (n uint32, err error) {
	if n, err = r.topic(ctx, r.read, h); !errors.Is(err, registry.ErrNotFound) {
		return n, err
	}
	err = r.db.writer.change(ctx, func(ctx context.Context) error {
		if n, err = r.topic(ctx, r.written, h); !errors.Is(err, registry.ErrNotFound) {
			return err
		}
		return fault(r.db.path, r.written.enterTopic.QueryRowContext(ctx, h[:]).Scan(&n))
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}

// TopicOrdinal implements registry.Store.
func (r *Registry) TopicOrdinal(ctx context.Context, h apns.TopicHash) (uint32, error) {
	return r.topic(ctx, r.read, h)
}

func (r *Registry) topic(ctx context.Context, s registryStatements, h apns.TopicHash) (n uint32, err error) {
	err = r.missing(s.topic.QueryRowContext(ctx, h[:]).Scan(&n))
	return n, err
}

// Exception implements registry.Store.
func (r *Registry) Exception(ctx context.Context, a apns.Address) (x registry.Exception, err error) {
	var removed, former sql.NullInt64
	err = r.read.exception.QueryRowContext(ctx, int64(a.Device), a.Topic[:], a.Environment.String()).
		Scan(&x.Generation, &removed, &former)
	if errors.Is(err, sql.ErrNoRows) {
		return registry.Exception{}, nil
	}
	if err != nil {
		return registry.Exception{}, fault(r.db.path, err)
	}
	x.Removed, x.Former = moment(removed), moment(former)
	return x, nil
}

// PutException implements registry.Store.
func (r *Registry) PutException(ctx context.Context, a apns.Address, x registry.Exception) error {
	removed, err := nanoseconds(x.Removed)
	if err != nil {
		return err
	}
	former, err := nanoseconds(x.Former)
	if err != nil {
		return err
	}
	key := []any{int64(a.Device), a.Topic[:], a.Environment.String()}
	return r.db.writer.change(ctx, func(ctx context.Context) (err error) {
		if x == (registry.Exception{}) {
			_, err = r.written.takeExceptionBack.ExecContext(ctx, key...)
		} else {
			_, err = r.written.putException.ExecContext(ctx, append(key, x.Generation, removed, former)...)
		}
		return fault(r.db.path, err)
	})
}

// EachException implements registry.Store.
func (r *Registry) EachException(ctx context.Context, f func(apns.Address) error) (err error) {
	rows, err := r.read.eachException.QueryContext(ctx)
	if err != nil {
		return fault(r.db.path, err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var device int64
		var topic sql.RawBytes
		var name string
		if err := rows.Scan(&device, &topic, &name); err != nil {
			return fault(r.db.path, err)
		}
		a := apns.Address{Device: apns.DeviceOrdinal(device)} //nolint:gosec // as it was stored
		if len(topic) != len(a.Topic) {
			return fault(r.db.path, fmt.Errorf("an exception for a topic of %d bytes", len(topic)))
		}
		copy(a.Topic[:], topic)
		if a.Environment, err = apns.ParseEnvironment(name); err != nil {
			return fault(r.db.path, err)
		}
		if err := f(a); err != nil {
			return err
		}
	}
	return fault(r.db.path, rows.Err())
}

// missing turns the absence of a row into registry.ErrNotFound.
func (r *Registry) missing(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return registry.ErrNotFound
	}
	return fault(r.db.path, err)
}

// The times that a number of nanoseconds can tell.
var (
	firstMoment = time.Unix(0, math.MinInt64)
	lastMoment  = time.Unix(0, math.MaxInt64)
)

// nanoseconds returns a time as it is stored.
func nanoseconds(t time.Time) (sql.NullInt64, error) {
	if t.IsZero() {
		return sql.NullInt64{}, nil
	}
	if t.Before(firstMoment) || t.After(lastMoment) {
		return sql.NullInt64{}, fmt.Errorf("time %v cannot be stored", t)
	}
	return sql.NullInt64{Int64: t.UnixNano(), Valid: true}, nil
}

// moment returns a time that was stored.
func moment(n sql.NullInt64) time.Time {
	if !n.Valid {
		return time.Time{}
	}
	return time.Unix(0, n.Int64).UTC()
}
