package pebble

import (
	"context"
	"errors"
	"fmt"
	"time"

	engine "github.com/cockroachdb/pebble/v2"

	"github.com/heraldpush/herald/spool"
)

// Put implements spool.Store. When ctx ends before the disk has answered, it is
// unknown whether the writes were carried out.
func (s *Spool) Put(ctx context.Context, writes []spool.Write) error {
	if len(writes) == 0 {
		return s.check(ctx)
	}
	size := 0
	for i := range writes {
		if w := &writes[i]; w.Keep {
			size += notificationKeyBytes + valueBytes(w.DeviceToken, &w.Notification)
		}
	}
	r := newRequest(size)
	for i := range writes {
		r.addWrite(&writes[i])
	}
	if err := s.carryOut(ctx, r); err != nil {
		return err
	}
	for i := range writes {
		writes[i].Repeat = r.records[i].isRepeat
	}
	r.release()
	return nil
}

// PutMessage implements spool.Store, as Put.
func (s *Spool) PutMessage(ctx context.Context, m spool.Message) error {
	r := newRequest(1 + len(m.Channel) + valueBytes("", &m.Notification))
	r.addMessage(&m)
	if err := s.carryOut(ctx, r); err != nil {
		return err
	}
	r.release()
	return nil
}

// check returns what a call fails with that has nothing to do.
func (s *Spool) check(ctx context.Context) error {
	done, err := s.enter(ctx)
	if err == nil {
		done()
	}
	return err
}

// carryOut has a request carried out and waits until it is. After an error the
// request may still be in work.
func (s *Spool) carryOut(ctx context.Context, r *request) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(r.text) > maxValueBytes && len(r.records) == 1 {
		return &fault{s.dir, nil, fmt.Errorf("a notification of %d bytes is too large", len(r.text))}
	}
	if err := s.failure(); err != nil {
		return err
	}
	if !s.queue.add(r) {
		return spool.ErrStoreClosed
	}
	select {
	case <-r.done:
		return r.err
	case <-s.fuse.blown:
		return s.failure()
	case <-ctx.Done():
		return &fault{s.dir, nil, fmt.Errorf("waiting for the disk: %w", ctx.Err())}
	}
}

// committed is a batch that waits for the disk, and those who wait for it.
type committed struct {
	batch  *engine.Batch // nil if there was nothing to write
	group  []*request
	number uint64 // see lasting
}

// syncDeletes is how long a delete may wait for a sync that others pay for.
const syncDeletes = 250 * time.Millisecond

// commitAll carries out what is queued, until Close.
func (s *Spool) commitAll() {
	defer close(s.committed)
	timer := time.NewTimer(syncDeletes)
	defer timer.Stop()
	waiting := true // the timer runs
	for {
		select {
		case <-s.queue.some:
			if !waiting && s.unsynced.Load() {
				timer.Reset(syncDeletes)
				waiting = true
			}
		case <-timer.C:
			waiting = false
			if s.unsynced.Load() {
				s.commit(nil)
			}
		case <-s.stop:
			for s.commitQueued() {
			}
			s.commit(nil)
			return
		}
		for s.commitQueued() {
		}
	}
}

// commitQueued carries out as much of what is queued as goes into a batch. It
// reports whether there was any.
func (s *Spool) commitQueued() bool {
	group := s.queue.take(nil)
	if len(group) == 0 {
		return false
	}
	s.commit(group)
	return true
}

// commit carries out requests, and hands them over to be told so once that is
// durable.
func (s *Spool) commit(group []*request) {
	number := s.lasting.begin() // before anybody can see it
	batch, err := s.apply(group)
	if err != nil {
		for _, r := range group {
			r.end(err)
		}
		group = nil
	}
	s.committed <- committed{batch, group, number}
}

// end says how a request ended.
func (r *request) end(err error) {
	r.err = err
	r.done <- struct{}{}
}

// acknowledgeAll waits for the disk, batch for batch, and tells those who wait.
func (s *Spool) acknowledgeAll() {
	for c := range s.committed {
		var err error
		if c.batch != nil {
			err = errors.Join(c.batch.SyncWait(), c.batch.Close())
		}
		// The engine is not told of all that fails: see fuse.
		if failed := s.failure(); failed != nil {
			err = failed
		}
		s.lasting.end(c.number)
		for _, r := range c.group {
			r.end(err)
		}
	}
}

// apply makes a batch of requests and has the engine apply it: from then on it is
// seen, and on its way to the disk. There is none if there is nothing to write; but
// without any request it is one that makes durable what was deleted.
func (s *Spool) apply(group []*request) (_ *engine.Batch, err error) {
	s.changing.Lock()
	defer s.changing.Unlock()
	if err := s.failure(); err != nil {
		return nil, err
	}
	c := s.newChange()
	defer func() { err = errors.Join(err, c.end()) }()
	if len(group) == 0 {
		if err := c.batch.LogData(nil, nil); err != nil {
			return nil, err
		}
	} else if err := s.checkRoom(); err != nil {
		return nil, err
	}
	if err := c.putAll(group); err != nil {
		s.fuse.blow(err)
		return nil, s.failure()
	}
	return c.commit(engine.Sync)
}
