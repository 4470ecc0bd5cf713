package memory

import (
	"context"
	"sync"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/spool"
)

// spoolMessages is what a Spool keeps of channels.
type spoolMessages struct {
	mu sync.Mutex
	of map[apns.ChannelID]spool.Message // guarded by mu
	// due has the same channels by the minute in which their message expires.
	// That is no more than hours away, so there are a few hundred; guarded by mu.
	due map[int64]map[apns.ChannelID]struct{}
}

// PutMessage implements spool.Store.
func (s *Spool) PutMessage(ctx context.Context, m spool.Message) error {
	done, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer done()
	s.messages.mu.Lock()
	defer s.messages.mu.Unlock()
	if old, ok := s.messages.of[m.Channel]; ok {
		if old.Timestamp > m.Timestamp {
			return nil
		}
		s.removeMessage(old)
	}
	put(&s.messages.of, m.Channel, m)
	minute := minuteOf(m)
	channels := s.messages.due[minute]
	put(&channels, m.Channel, struct{}{})
	put(&s.messages.due, minute, channels)
	s.notifications.Add(1)
	s.bytes.Add(m.Bytes())
	s.raise(m.Timestamp)
	return nil
}

// Message implements spool.Store.
func (s *Spool) Message(ctx context.Context, c apns.ChannelID) (m spool.Message, ok bool, err error) {
	done, err := s.enter(ctx)
	if err != nil {
		return spool.Message{}, false, err
	}
	defer done()
	s.messages.mu.Lock()
	defer s.messages.mu.Unlock()
	m, ok = s.messages.of[c]
	return m, ok, nil
}

// minuteOf returns the minute in which a message expires, since the epoch.
func minuteOf(m spool.Message) int64 { return m.Deadline().Unix() / 60 }

// expireMessages removes the messages that have expired, and returns how many.
func (s *Spool) expireMessages(now time.Time) (n int) {
	s.messages.mu.Lock()
	defer s.messages.mu.Unlock()
	for minute, channels := range s.messages.due {
		if minute > now.Unix()/60 {
			continue
		}
		for c := range channels {
			if m := s.messages.of[c]; m.Expired(now) {
				s.removeMessage(m)
				n++
			}
		}
	}
	return n
}

// removeMessage takes m out. The lock is held.
func (s *Spool) removeMessage(m spool.Message) {
	delete(s.messages.of, m.Channel)
	minute := minuteOf(m)
	if channels := s.messages.due[minute]; len(channels) > 1 {
		delete(channels, m.Channel)
	} else {
		delete(s.messages.due, minute)
	}
	s.notifications.Add(-1)
	s.bytes.Add(-m.Bytes())
}
