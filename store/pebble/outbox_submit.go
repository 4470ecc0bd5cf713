package pebble

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"time"

	engine "github.com/cockroachdb/pebble/v2"

	"github.com/heraldpush/herald/provider/outbox"
)

// Submit implements outbox.Store.
func (o *Outbox) Submit(ctx context.Context, s outbox.Submission, now time.Time) (outbox.Message, bool, error) {
	members, repeated := 0, false
	for i := range s.Shards {
		members += s.Shards[i].Receipts.Len()
	}
	m := outbox.Message{Intent: s.Intent, Status: s.Intent.Begin(members, now.UTC().Round(0))}
	m.Notification.Payload = bytes.Clone(m.Notification.Payload) // it is kept
	intent := s.Intent.Append(nil)
	err := o.errand(ctx, func(b *engine.Batch) (err error) {
		if s.Once.Key != [16]byte{} {
			var known outbox.Message
			if known, repeated, err = o.seen(b, &s, now); err != nil || repeated {
				m = known
				return err
			}
		}
		if err := o.checkRoom(now); err != nil {
			return err
		}
		return broken(o.enter(b, &m, intent, s.Shards, s.Once, now))
	})
	if err != nil {
		return outbox.Message{}, false, err
	}
	return m, repeated, nil
}

// enter stores a new message.
func (o *Outbox) enter(b *engine.Batch, m *outbox.Message, intent []byte, shards []outbox.Shard, once outbox.Once, now time.Time) error {
	if err := b.Set(messageKey(intentKind, m.ID), intent, nil); err != nil {
		return err
	}
	if once.Key != [16]byte{} {
		if err := o.remember(b, m, once); err != nil {
			return err
		}
	}
	if err := b.Set(listKey(m.App, m.ID), nil, nil); err != nil {
		return err
	}
	o.messages++
	kept := &recentMessage{Message: *m}
	if len(shards) == 1 && !m.Open() {
		if stored := shards[0].Append(nil); len(stored) <= maxRecentShard {
			kept.shard, kept.number = stored, shards[0].Number
		}
	}
	o.recent.add(kept)
	if err := o.putShards(b, m, shards, now); err != nil {
		return err
	}
	return o.putStatus(b, &outbox.Message{Intent: m.Intent}, m)
}

// putShards stores shards, which can be claimed if their message is running.
func (o *Outbox) putShards(b *engine.Batch, m *outbox.Message, shards []outbox.Shard, now time.Time) error {
	for i := range shards {
		s := &shards[i]
		id := shardID{m.ID, s.Number}
		if err := b.Set(shardKey(shardKind, id), s.Append(nil), nil); err != nil {
			return err
		}
		if m.State.Running() && s.Receipts.Cursor() < s.Receipts.Len() {
			if err := o.lineUp(b, queueOf(&m.Intent), id, now); err != nil {
				return err
			}
		}
	}
	return nil
}

// lineUp has a shard wait to be claimed, from a time on. It does not wait yet.
func (o *Outbox) lineUp(b *engine.Batch, q outbox.Queue, id shardID, from time.Time) error {
	r := ready{q, millis(from), id}
	key := r.key()
	if m := o.recent.only(id); m != nil {
		m.due, m.waits = r.due, true
	}
	if line, ok := o.lines[q]; !ok || string(key) < string(line) {
		o.lines[q] = key
	}
	return errors.Join(
		b.Set(key, nil, nil),
		b.Set(shardKey(sinceKind, id), binary.BigEndian.AppendUint64(nil, r.due), nil),
	)
}

// leave has a shard wait no more, if it does.
func (o *Outbox) leave(b *engine.Batch, q outbox.Queue, id shardID) error {
	since := shardKey(sinceKind, id)
	r := ready{queue: q, shard: id}
	if m := o.recent.only(id); m != nil {
		if !m.waits {
			return nil
		}
		m.waits = false
		r.due = m.due
	} else {
		due, known, err := get(b, since)
		if err != nil || !known {
			return err
		}
		if len(due) != 8 {
			return errOutboxKey
		}
		r.due = binary.BigEndian.Uint64(due)
	}
	return errors.Join(b.Delete(since, nil), b.Delete(r.key(), nil))
}

// putStatus stores the status of a message in the place of the one before, and
// when it has to be looked at.
func (o *Outbox) putStatus(b *engine.Batch, before, m *outbox.Message) error {
	err := b.Set(messageKey(statusKind, m.ID), m.Status.Append(nil), nil)
	if err != nil {
		return err
	}
	if was, is := before.Alarm(), m.Alarm(); !was.Equal(is) {
		if !was.IsZero() {
			err = b.Delete(timeKey(alarmKind, was, m.ID), nil)
		}
		if !is.IsZero() {
			err = errors.Join(err, b.Set(timeKey(alarmKind, is, m.ID), nil, nil))
		}
	}
	if before.EndedAt.IsZero() && !m.EndedAt.IsZero() {
		key := timeKey(endedKind, m.EndedAt, m.ID)
		if string(key) < string(o.ended) {
			o.ended = key
		}
		err = errors.Join(err, b.Set(key, nil, nil))
	}
	if kept := o.recent.of[m.ID]; kept != nil {
		kept.Status = m.Status
	}
	return err
}

// Step implements outbox.Store.
func (o *Outbox) Step(ctx context.Context, id outbox.MessageID, e outbox.Event, shards []outbox.Shard, now time.Time) (outbox.Message, error) {
	var m outbox.Message
	err := o.errand(ctx, func(b *engine.Batch) error {
		kept, err := o.look(b, id)
		if err != nil {
			return err
		}
		before := kept.Message
		m = before
		if len(shards) > 0 {
			if err := o.checkRoom(now); err != nil {
				return err
			}
		}
		if m.Status, err = before.Step(e, now); err != nil {
			return err
		}
		if !before.State.Running() && m.State.Running() {
			err = o.lineUpAll(b, &m, now)
		}
		return broken(errors.Join(err, o.putShards(b, &m, shards, now), o.putStatus(b, &before, &m)))
	})
	if err != nil {
		return outbox.Message{}, err
	}
	return m, nil
}

// lineUpAll has all shards of a message wait to be claimed that have some pending
// and do not wait.
func (o *Outbox) lineUpAll(b *engine.Batch, m *outbox.Message, now time.Time) error {
	var idle []shardID
	prefix := messageKey(shardKind, m.ID)
	err := each(b, prefix, after(prefix), func(key, value []byte) (bool, error) {
		id := shardID{m.ID, binary.BigEndian.Uint32(key[1+messageIDBytes:])}
		s, err := outbox.ParseShard(id.number, value)
		if err != nil {
			return false, err
		}
		if s.Receipts.Cursor() == s.Receipts.Len() {
			return true, nil
		}
		_, waits, err := get(b, shardKey(sinceKind, id))
		if !waits {
			idle = append(idle, id)
		}
		return true, err
	})
	for _, id := range idle {
		err = errors.Join(err, o.lineUp(b, queueOf(&m.Intent), id, now))
	}
	return err
}
