package pebble

import (
	"context"
	"fmt"
	"sync"
)

// lasting knows which batches are durable, so that nobody is shown what is not
// yet. The engine shows a batch before it is on the disk. If that were delivered,
// and the disk failed then, the sender would be refused and send it again, and the
// device would have it twice.
type lasting struct {
	mu      sync.Mutex
	begun   uint64        // batches that can be seen, or will be soon; guarded by mu
	ended   uint64        // those that are durable, or failed; guarded by mu
	changed chan struct{} // closed when ended changes, nil if nobody waits; guarded by mu
}

// begin returns the number of a batch that is about to be seen.
func (l *lasting) begin() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.begun++
	return l.begun
}

// end notes that a batch and all before it are durable, or that they failed, of
// which the fuse knows.
func (l *lasting) end(number uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = number
	if l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
}

// wait returns nil if the batches up to a number have ended, and else what is
// closed when that may be so.
func (l *lasting) wait(number uint64) <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended >= number {
		return nil
	}
	if l.changed == nil {
		l.changed = make(chan struct{})
	}
	return l.changed
}

// last waits until what the caller has read is durable.
func (s *Spool) last(ctx context.Context) error {
	s.lasting.mu.Lock()
	seen := s.lasting.begun
	s.lasting.mu.Unlock()
	for {
		changed := s.lasting.wait(seen)
		if err := s.failure(); err != nil {
			return err
		}
		if changed == nil {
			return nil
		}
		select {
		case <-changed:
		case <-s.fuse.blown:
		case <-ctx.Done():
			return &fault{s.dir, nil, fmt.Errorf("waiting for the disk: %w", ctx.Err())}
		}
	}
}
