package pebble

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"slices"

	engine "github.com/cockroachdb/pebble/v2"

	"github.com/heraldpush/herald/provider/outbox"
)

// maxRemoved bounds how many messages are removed while others wait.
const maxRemoved = 256

// Remove implements outbox.Store. When nothing is left, the disk gets back what was
// used.
func (o *Outbox) Remove(ctx context.Context, ids ...outbox.MessageID) error {
	for some := range slices.Chunk(ids, maxRemoved) {
		err := o.errand(ctx, func(b *engine.Batch) error {
			for _, id := range some {
				m, err := o.look(b, id)
				if errors.Is(err, outbox.ErrNotFound) {
					continue
				}
				if err == nil {
					err = broken(o.remove(b, m))
				}
				if err != nil {
					return err
				}
				o.removed += removedBytes + uint64(len(m.Notification.Payload)) + uint64(m.Counts.Targeted) //nolint:gosec // not negative
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Of what is given back to the disk: when about so much was removed, and how much a
// message takes there but for its payload.
const (
	giveBackBytes = 8 << 20
	removedBytes  = 500
)

// giveBack has the engine forget, in the background, what was removed, once that is
// much and nothing is left: else it would wait for others to be written over it.
func (o *Outbox) giveBack() {
	if o.removed < giveBackBytes || o.messages > 0 {
		return
	}
	o.removed = 0
	select {
	case o.emptied <- struct{}{}:
	default: // it is at it
	}
}

// compact does what giveBack asks for, until Close.
func (o *Outbox) compact(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-o.emptied:
		}
		if o.failure() != nil {
			return
		}
		// All keys of messages are between these; a fault is the fuse's to tell.
		if err := o.db.Compact(ctx, []byte{0}, []byte{0xff}, false); err != nil && ctx.Err() == nil {
			o.log.LogAttrs(ctx, slog.LevelWarn, "outbox could not give room back to the disk", slog.Any("error", err))
		}
	}
}

// fewMembers is of how many a message is removed key by key. Of one that has more,
// ranges are removed, which all that is read later has to pass.
const fewMembers = 256

// remove removes a message.
func (o *Outbox) remove(b *engine.Batch, m *recentMessage) error {
	q := queueOf(&m.Intent)
	var err error
	switch {
	case m.shard != nil:
		id := shardID{m.ID, m.number}
		delete(o.holds, id)
		err = errors.Join(o.leave(b, q, id), b.Delete(shardKey(shardKind, id), nil))
	case m.Counts.Targeted <= fewMembers:
		err = o.removeEach(b, shardKind, m.ID, func(key []byte) error {
			id := shardID{m.ID, binary.BigEndian.Uint32(key[1+messageIDBytes:])}
			delete(o.holds, id)
			return o.leave(b, q, id)
		})
	default:
		err = o.removeShards(b, m)
	}
	switch {
	case len(m.Counts.Reasons) == 0: // there are no failures
	case m.Counts.Targeted <= fewMembers:
		err = errors.Join(err, o.removeEach(b, failureKind, m.ID, func([]byte) error { return nil }))
	default:
		prefix := messageKey(failureKind, m.ID)
		err = errors.Join(err, b.DeleteRange(prefix, after(prefix), nil))
	}
	if alarm := m.Alarm(); !alarm.IsZero() {
		err = errors.Join(err, b.Delete(timeKey(alarmKind, alarm, m.ID), nil))
	}
	if !m.EndedAt.IsZero() {
		err = errors.Join(err, b.Delete(timeKey(endedKind, m.EndedAt, m.ID), nil))
	}
	o.recent.remove(m.ID)
	o.messages--
	return errors.Join(
		err,
		b.Delete(messageKey(intentKind, m.ID), nil),
		b.Delete(messageKey(statusKind, m.ID), nil),
		b.Delete(listKey(m.App, m.ID), nil),
	)
}

// removeEach removes the keys of a kind that a message has, each after f was called
// with it.
func (o *Outbox) removeEach(b *engine.Batch, kind byte, id outbox.MessageID, f func(key []byte) error) error {
	prefix := messageKey(kind, id)
	var keys [][]byte // first all, as what is looked through is not to change
	err := each(b, prefix, after(prefix), func(key, _ []byte) (bool, error) {
		keys = append(keys, slices.Clone(key))
		return true, nil
	})
	for _, key := range keys {
		err = errors.Join(err, f(key), b.Delete(key, nil))
	}
	return err
}

// removeShards removes the shards of a message that has many.
func (o *Outbox) removeShards(b *engine.Batch, m *recentMessage) error {
	var waiting []shardID
	prefix := messageKey(sinceKind, m.ID)
	err := each(b, prefix, after(prefix), func(key, _ []byte) (bool, error) {
		waiting = append(waiting, shardID{m.ID, binary.BigEndian.Uint32(key[1+messageIDBytes:])})
		return true, nil
	})
	for _, id := range waiting {
		err = errors.Join(err, o.leave(b, queueOf(&m.Intent), id))
	}
	for id := range o.holds {
		if id.message == m.ID {
			delete(o.holds, id)
		}
	}
	prefix = messageKey(shardKind, m.ID)
	return errors.Join(err, b.DeleteRange(prefix, after(prefix), nil))
}
