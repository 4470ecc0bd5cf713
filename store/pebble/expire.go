package pebble

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"time"

	engine "github.com/cockroachdb/pebble/v2"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/spool"
)

// maxExpired is how many are looked at in one change, which others wait for.
const maxExpired = 512

// Expire implements spool.Store. It reads the minutes that are over and were not
// read before, and nothing else.
func (s *Spool) Expire(ctx context.Context, now time.Time) (total int, err error) {
	done, err := s.enter(ctx)
	if err != nil {
		return 0, err
	}
	defer done()
	until := minuteOf(now)
	for more := true; more; {
		if err := ctx.Err(); err != nil {
			return total, err
		}
		err := s.alter(func(c *change) error {
			n, left, err := c.expire(until)
			total += n
			more = left
			if !left {
				s.repeats.forget(now.UnixNano())
			}
			return err
		})
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

// expire deletes what expired before a minute, or as much of it as goes into one
// change, and its index. It returns how many, and whether there may be more.
func (c *change) expire(until minute) (n int, more bool, err error) {
	if c.expired >= until {
		return 0, false, nil
	}
	from, to := appendExpiryPrefix(nil, c.expired), appendExpiryPrefix(nil, until)
	it, err := c.db.NewIter(&engine.IterOptions{LowerBound: from, UpperBound: to})
	if err != nil {
		return 0, false, err
	}
	defer func() { err = errors.Join(err, it.Error(), it.Close()) }()
	looked, valid := 0, it.First()
	for ; valid && looked < maxExpired; valid = it.Next() {
		looked++
		b, err := it.ValueAndErr()
		if err != nil {
			return n, false, err
		}
		removed, err := c.expireOne(it.Key(), b)
		if err != nil {
			return n, false, err
		}
		if removed {
			n++
		}
	}
	if valid {
		to = bytes.Clone(it.Key())
	}
	if looked > 0 {
		if err := c.batch.DeleteRange(from, to, nil); err != nil {
			return n, false, err
		}
	}
	c.expired = until
	if valid {
		c.expired = minute(binary.BigEndian.Uint32(to[1:]))
	}
	return n, valid, nil
}

// expireOne deletes what a key of the index names, if it still is that version.
func (c *change) expireOne(index, b []byte) (bool, error) {
	if len(index) <= expiryPrefixBytes || len(b) != 8 {
		return false, errValue
	}
	key := index[expiryPrefixBytes:]
	var channel apns.ChannelID
	switch {
	case key[0] == messageKind:
		channel = apns.ChannelID(key[1:])
	case len(key) != notificationKeyBytes:
		return false, errValue
	}
	v, err := c.find(key, channel)
	if err != nil || !v.stored || v.timestamp != spool.Timestamp(binary.BigEndian.Uint64(b)) {
		return false, err
	}
	return true, c.remove(key, channel, v)
}
