package courier

import "sync/atomic"

// Stats says what a courier has counted since it was made.
type Stats struct {
	// Ignored counts the frames of devices for which it has no use, of commands
	// that it knows and of others.
	Ignored uint64
	// TooOften counts the connections that were closed because their device
	// connects too often, see Config.MaxConnects.
	TooOften uint64
	// Accepted counts the connections that were let in, Refused those that were
	// closed at once: because too many had not proved who they are, on the whole
	// or of one network, or because they came too fast.
	Accepted, RefusedUnproven, RefusedPrefix, RefusedRate uint64
	// Late counts the connections that were closed because their handshake had
	// to wait too long.
	Late uint64
	// Unproven is how many connections have not proved who they are now, and
	// Waiting how many of them wait for their handshake.
	Unproven, Waiting int
}

// counts are the counters behind Stats.
type counts struct {
	ignored, tooOften atomic.Uint64
	sessions          atomic.Uint64 // that began, which numbers them
}

// Stats returns what the courier has counted.
func (c *Courier) Stats() Stats {
	s := Stats{
		Ignored: c.counts.ignored.Load(), TooOften: c.counts.tooOften.Load(),
		Late: c.turnstile.late.Load(), Waiting: int(c.turnstile.waiting.Load()),
	}
	a := &c.entrance
	a.mu.Lock()
	defer a.mu.Unlock()
	s.Accepted, s.Unproven = a.accepted, a.guests
	s.RefusedUnproven, s.RefusedPrefix, s.RefusedRate = a.refused[tooManyStrangers], a.refused[tooManyOfPrefix], a.refused[tooFast]
	return s
}
