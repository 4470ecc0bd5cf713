package pebble

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"slices"

	engine "github.com/cockroachdb/pebble/v2"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/spool"
)

// Load implements spool.Store.
func (s *Spool) Load(ctx context.Context, box spool.Mailbox, limit int) (list []spool.Entry, err error) {
	done, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	defer func() { err = explain(s.dir, err, nil) }()
	it, err := s.db.NewIter(&engine.IterOptions{UseL6Filters: true})
	if err != nil {
		return nil, err
	}
	var room [mailboxKeyBytes]byte
	for valid := it.SeekPrefixGE(appendMailboxKey(room[:0], box)); valid; valid = it.Next() {
		key := it.Key()
		if len(key) != notificationKeyBytes {
			return nil, errors.Join(errValue, it.Close())
		}
		b, err := it.ValueAndErr()
		if err != nil {
			return nil, errors.Join(err, it.Close())
		}
		e, err := parseEntry(notificationKey(key), bytes.Clone(b))
		if err != nil {
			return nil, errors.Join(err, it.Close())
		}
		list = append(list, e)
	}
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		return nil, err
	}
	if len(list) > 0 {
		if err := s.last(ctx); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(list, func(x, y spool.Entry) int { return cmp.Compare(x.Timestamp, y.Timestamp) })
	return list[:min(len(list), limit)], nil
}

// Message implements spool.Store.
func (s *Spool) Message(ctx context.Context, c apns.ChannelID) (m spool.Message, ok bool, err error) {
	done, err := s.enter(ctx)
	if err != nil {
		return spool.Message{}, false, err
	}
	defer done()
	err = s.get(appendMessageKey(nil, c), func(b []byte) (err error) {
		m, err = parseMessage(c, bytes.Clone(b))
		ok = err == nil
		return err
	})
	if ok {
		if err := s.last(ctx); err != nil {
			return spool.Message{}, false, err
		}
	}
	return m, ok, explain(s.dir, err, nil)
}
