package device

import (
	"bytes"
	"slices"

	"github.com/heraldpush/herald/wire"
)

// untold returns the topics whose device tokens have ended and that the courier
// was not told, sorted. Only Herald's is.
func (s *session) untold() (all []hash) {
	if !s.herald {
		return nil
	}
	for h, call := range s.memory.removed {
		if s.told[h].call != call {
			all = append(all, h)
		}
	}
	slices.SortFunc(all, func(a, b hash) int { return bytes.Compare(a[:], b[:]) })
	return all
}

// tellRemoved follows the Filter that has the removed topics. The courier takes
// frames in order: its answer to the KeepAlive says that it has them. What was
// asked before is answered with a device token that has ended.
func (s *session) tellRemoved(removed []hash, o *outcome) {
	if len(removed) == 0 {
		return
	}
	o.frames = s.appendKeepAlive(o.frames)
	for _, h := range removed {
		s.told[h] = removal{call: s.memory.removed[h], ask: s.asks}
		if q := s.asked[h]; q != nil {
			s.forget(h, q, wire.AckUnavailable, o)
		}
	}
}

// forget gives up a question for a device token.
func (s *session) forget(h hash, q *request, status wire.AckStatus, o *outcome) {
	delete(s.asked, h)
	if q.waiting {
		s.stale[h]++
	}
	for _, n := range q.early {
		o.ack(n, status)
	}
}

// confirm forgets what the courier has heard of.
func (s *session) confirm() {
	for h, r := range s.told {
		if r.ask > s.answers {
			continue
		}
		delete(s.told, h)
		if s.memory.removed[h] == r.call {
			delete(s.memory.removed, h)
			s.memory.changed = true
		}
	}
}
