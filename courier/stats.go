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
}

// counts are the counters behind Stats.
type counts struct {
	ignored, tooOften atomic.Uint64
	sessions          atomic.Uint64 // that began, which numbers them
}

// Stats returns what the courier has counted.
func (c *Courier) Stats() Stats {
	return Stats{Ignored: c.counts.ignored.Load(), TooOften: c.counts.tooOften.Load()}
}
