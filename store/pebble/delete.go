package pebble

import (
	"context"

	engine "github.com/cockroachdb/pebble/v2"

	"github.com/heraldpush/herald/spool"
)

// Delete implements spool.Store. It is durable with the next Put, or after a
// moment.
func (s *Spool) Delete(ctx context.Context, versions []spool.Version) error {
	if len(versions) == 0 {
		return s.check(ctx)
	}
	for len(versions) > 0 {
		n := min(len(versions), maxBatchRecords)
		if err := s.deleteSome(ctx, versions[:n]); err != nil {
			return err
		}
		versions = versions[n:]
	}
	return nil
}

// deleteSome deletes no more than go into a batch.
func (s *Spool) deleteSome(ctx context.Context, versions []spool.Version) error {
	done, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer done()
	return s.alter(func(c *change) error {
		for _, v := range versions {
			key := newNotificationKey(v.Address)
			have, err := c.find(key[:], "")
			if err != nil {
				return err
			}
			if !have.stored || have.timestamp != v.Timestamp {
				continue
			}
			if err := c.remove(key[:], "", have); err != nil {
				return err
			}
			if err := c.deleteExpiry(have.due, key[:]); err != nil {
				return err
			}
		}
		return nil
	})
}

// alter makes a change that need not be durable at once.
func (s *Spool) alter(f func(*change) error) error {
	s.changing.Lock()
	defer s.changing.Unlock()
	if err := s.failure(); err != nil {
		return err
	}
	c := s.newChange()
	err := f(c)
	if err == nil {
		_, err = c.commit(engine.NoSync)
	} else {
		s.fuse.blow(err)
	}
	if end := c.end(); err == nil {
		err = end
	}
	return explain(s.dir, err, nil)
}
