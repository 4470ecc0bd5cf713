package pebble

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	engine "github.com/cockroachdb/pebble/v2"

	"github.com/heraldpush/herald/provider/audience"
	"github.com/heraldpush/herald/provider/outbox"
)

// message returns a message.
func (o *Outbox) message(r engine.Reader, id outbox.MessageID) (m outbox.Message, err error) {
	// The status first: it goes last.
	status, known, err := get(r, messageKey(statusKind, id))
	if err != nil {
		return m, broken(err)
	}
	intent, also, err := get(r, messageKey(intentKind, id))
	if err != nil {
		return m, broken(err)
	}
	if !known || !also {
		return m, outbox.ErrNotFound
	}
	if m.Intent, err = outbox.ParseIntent(id, intent); err != nil {
		return m, broken(err)
	}
	m.Status, err = outbox.ParseStatus(status)
	return m, broken(err)
}

// shard returns a shard, which is there.
func (o *Outbox) shard(r engine.Reader, id shardID) (s outbox.Shard, err error) {
	value, known, err := get(r, shardKey(shardKind, id))
	if err == nil && !known {
		err = errOutboxKey
	}
	if err != nil {
		return s, err
	}
	return outbox.ParseShard(id.number, value)
}

// read calls f with the database.
func (o *Outbox) read(ctx context.Context, f func(engine.Reader) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	o.gate.RLock()
	defer o.gate.RUnlock()
	o.mu.Lock()
	closed := o.closed
	o.mu.Unlock()
	if closed {
		return outbox.ErrClosed
	}
	if err := o.failure(); err != nil {
		return err
	}
	err := f(o.db)
	if errors.Is(err, outbox.ErrNotFound) {
		return err
	}
	return explain(o.dir, err, nil)
}

// Message implements outbox.Store.
func (o *Outbox) Message(ctx context.Context, id outbox.MessageID) (m outbox.Message, err error) {
	err = o.read(ctx, func(r engine.Reader) (err error) {
		m, err = o.message(r, id)
		return err
	})
	return m, err
}

// Shards implements outbox.Store.
func (o *Outbox) Shards(ctx context.Context, id outbox.MessageID, from uint32, limit int) (all []outbox.Shard, err error) {
	err = o.read(ctx, func(r engine.Reader) error {
		return each(r, shardKey(shardKind, shardID{id, from}), after(messageKey(shardKind, id)), func(key, value []byte) (bool, error) {
			if len(all) >= limit {
				return false, nil
			}
			s, err := outbox.ParseShard(binary.BigEndian.Uint32(key[1+messageIDBytes:]), value)
			all = append(all, s)
			return true, err
		})
	})
	return all, err
}

// Failures implements outbox.Store.
func (o *Outbox) Failures(ctx context.Context, id outbox.MessageID, from outbox.FailureAt, limit int) (all []outbox.ShardFailure, err error) {
	err = o.read(ctx, func(r engine.Reader) error {
		lower := failureKey(shardID{id, from.Shard}, from.Next)
		return each(r, lower, after(messageKey(failureKind, id)), func(key, value []byte) (bool, error) {
			if len(all) >= limit {
				return false, nil
			}
			f := outbox.ShardFailure{Shard: binary.BigEndian.Uint32(key[1+messageIDBytes:])}
			var err error
			f.Failure, err = outbox.ParseFailure(value)
			all = append(all, f)
			return true, err
		})
	})
	return all, err
}

// List implements outbox.Store.
func (o *Outbox) List(ctx context.Context, app audience.AppNumber, before outbox.MessageID, limit int) (all []outbox.Message, err error) {
	err = o.read(ctx, func(r engine.Reader) (err error) {
		bounds := &engine.IterOptions{LowerBound: appendList(nil, app), UpperBound: listKey(app, before)}
		if before == (outbox.MessageID{}) {
			bounds.UpperBound = after(bounds.LowerBound)
		}
		it, err := r.NewIter(bounds)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, it.Close()) }()
		for valid := it.Last(); valid && len(all) < limit; valid = it.Prev() {
			m, err := o.message(r, outbox.MessageID(it.Key()[1+4:]))
			if errors.Is(err, outbox.ErrNotFound) { // removed meanwhile
				continue
			}
			if err != nil {
				return err
			}
			all = append(all, m)
		}
		return it.Error()
	})
	return all, err
}

// Due implements outbox.Store.
func (o *Outbox) Due(ctx context.Context, now time.Time, limit int) (all []outbox.Message, next time.Time, err error) {
	err = o.read(ctx, func(r engine.Reader) error {
		return each(r, []byte{alarmKind}, []byte{alarmKind + 1}, func(key, _ []byte) (bool, error) {
			due := binary.BigEndian.Uint64(key[1:])
			if due > millis(now) || len(all) >= limit {
				next = time.UnixMilli(int64(due)).UTC() //nolint:gosec // as it was stored
				return false, nil
			}
			m, err := o.message(r, outbox.MessageID(key[1+8:]))
			if errors.Is(err, outbox.ErrNotFound) { // removed meanwhile
				return true, nil
			}
			all = append(all, m)
			return true, err
		})
	})
	return all, next, err
}
