package provider

import (
	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnsclient"
)

// Stats returns the state of the connections to the push service of an
// environment, of all credentials.
func (p *PushServer) Stats(e apns.Environment) apnsclient.Stats { return p.roads.stats(e) }

func (r *roads) stats(e apns.Environment) (all apnsclient.Stats) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, sender := range r.senders {
		if id.environment != e {
			continue
		}
		s := sender.Stats()
		all.Connections += s.Connections
		all.Streams += s.Streams
		all.InFlight += s.InFlight
		all.Pending += s.Pending
		all.OldestPending = max(all.OldestPending, s.OldestPending)
	}
	return all
}
