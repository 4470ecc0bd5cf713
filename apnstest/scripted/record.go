package scripted

import (
	"context"
	"fmt"
	"maps"
	"time"
)

// Counts are the sums of what a gateway has seen.
type Counts struct {
	// Opened and Closed are the connections that were accepted, and those of them
	// that have ended.
	Opened, Closed int
	// Pushes are all that arrived, and Fates how many of them are at which fate.
	Pushes int
	Fates  [fates]int
	// Processed is how many pushes the gateway took as accepted, and Doubled how
	// many of these it had taken before: the same device token, the same apns-id.
	// Doubled is 0 in a gateway that discards its record.
	Processed, Doubled int
	// MostStreams is how many pushes were in progress at once on one connection, at
	// the most.
	MostStreams int
	// Violations is how often a client broke the rules of HTTP/2.
	Violations int
}

// record is what a gateway remembers. All of it is guarded by the lock of the
// gateway.
type record struct {
	keep      int // pushes kept
	discard   bool
	counts    Counts
	pushes    []*Push // the newest, oldest first
	attempts  map[Key]int
	processed map[Key]int
	faults    []Violation
}

// maxViolations bounds the violations that are kept; all are counted.
const maxViolations = 1000

// Violation is something that a client did against the rules.
type Violation struct {
	// Connection is the number of the connection, and Stream the stream on it, 0 for
	// the whole connection.
	Connection int
	Stream     uint32
	// What says what it did, and what the rule is.
	What string
	// Racy is set for the first stream beyond a limit that has just become lower:
	// clients that decide and write at different times, net/http for one, had decided
	// on it before they acknowledged. It was refused, and no harm is done.
	Racy bool
}

// String returns the violation in words.
func (v Violation) String() string {
	if v.Stream == 0 {
		return fmt.Sprintf("connection %d: %s", v.Connection, v.What)
	}
	return fmt.Sprintf("connection %d, stream %d: %s", v.Connection, v.Stream, v.What)
}

// arrive takes down a push whose headers have come.
func (r *record) arrive(p *Push) {
	r.counts.Pushes++
	r.counts.Fates[p.Fate]++
	p.Number, p.Attempt = r.counts.Pushes, 1
	if r.discard {
		return
	}
	r.attempts[p.Key()]++
	p.Attempt = r.attempts[p.Key()]
	if len(r.pushes) >= 2*r.keep { // only now and then is anything moved
		r.pushes = append(r.pushes[:0], r.newest()[1:]...)
	}
	r.pushes = append(r.pushes, p)
}

// newest returns the pushes that are kept.
func (r *record) newest() []*Push { return r.pushes[max(len(r.pushes)-r.keep, 0):] }

// fate takes down what became of a push.
func (r *record) fate(p *Push, to Fate) {
	r.counts.Fates[p.Fate]--
	r.counts.Fates[to]++
	p.Fate = to
	if to != Waiting {
		p.Ended = time.Now()
	}
}

// process takes down that a push was taken as accepted.
func (r *record) process(p *Push) {
	p.Processed = true
	r.counts.Processed++
	if r.discard {
		return
	}
	if r.processed[p.Key()]++; r.processed[p.Key()] > 1 {
		r.counts.Doubled++
	}
}

// unprocess takes process back, where the gateway says that it did nothing with
// the push after all.
func (r *record) unprocess(p *Push) {
	if !p.Processed {
		return
	}
	p.Processed = false
	r.counts.Processed--
	if r.discard {
		return
	}
	if r.processed[p.Key()]--; r.processed[p.Key()] > 0 {
		r.counts.Doubled--
	} else {
		delete(r.processed, p.Key())
	}
}

// violate takes down a violation.
func (r *record) violate(v Violation) {
	r.counts.Violations++
	if len(r.faults) < maxViolations {
		r.faults = append(r.faults, v)
	}
}

// Counts returns the sums up to now.
func (g *Gateway) Counts() Counts {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.record.counts
}

// Pushes returns the pushes that arrived, in that order: the newest, if there were
// more than are kept, and none where the record is discarded.
func (g *Gateway) Pushes() []Push {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := make([]Push, 0, len(g.record.newest()))
	for _, p := range g.record.newest() {
		all = append(all, p.clone())
	}
	return all
}

// Processed returns how many times each push was processed, of those that were:
// one that is not there was lost, and one with more than 1 was doubled. It is empty
// where the record is discarded.
func (g *Gateway) Processed() map[Key]int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return maps.Clone(g.record.processed)
}

// Violations returns what the clients did against the rules of HTTP/2, the first
// 1,000 of it.
func (g *Gateway) Violations() []Violation {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]Violation(nil), g.record.faults...)
}

// Await waits until done is true of the counts. It returns an error that says the
// counts when ctx has ended before, or the gateway was closed.
func (g *Gateway) Await(ctx context.Context, done func(Counts) bool) error {
	for {
		g.mu.Lock()
		counts, changed, closed := g.record.counts, g.changed, g.closed
		g.awaited = true
		g.mu.Unlock()
		switch {
		case done(counts):
			return nil
		case closed:
			return fmt.Errorf("scripted: the gateway was closed at %+v", counts)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("scripted: %w at %+v", ctx.Err(), counts)
		}
	}
}

// change wakes those in Await. The caller holds mu.
func (g *Gateway) change() {
	if g.awaited {
		close(g.changed)
		g.changed, g.awaited = make(chan struct{}), false
	}
}
