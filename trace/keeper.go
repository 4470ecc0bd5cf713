package trace

import (
	"context"
	"time"
)

// keeper keeps records: memory or folder. Its methods are called one at a time.
type keeper interface {
	// add keeps whole records that have their checksums. After an error none of
	// them are kept.
	add(records []byte, now time.Time) error
	// prune lets go of what is too old, and returns when it is to be called
	// again at the latest; zero if there is no need.
	prune(now time.Time) time.Time
	// chapters returns what is kept now, the oldest first. They can be read while
	// the keeper goes on; one that is gone by then is empty.
	chapters() []chapter
	// bytes returns how much is kept.
	bytes() int64
	// close ends it, so that nothing is left to do for the next one.
	close()
}

// chapter is some of the records, about in the order in which they came.
type chapter interface {
	// times returns those of the earliest and of the latest, in nanoseconds
	// since the epoch.
	times() (first, last int64)
	// mayHave reports whether there may be a record with any of the keys.
	mayHave(keys []key) (bool, error)
	// each calls f with records, whole ones, until that returns an error. They
	// are valid during the call.
	each(ctx context.Context, f func(records []byte) error) error
}

// span is the times of some records.
type span struct{ first, last int64 }

// cover has s cover whole records, where n records are covered already.
func (s *span) cover(records []byte, n int64) {
	for r := records; len(r) >= recordBytes; r = r[recordBytes:] {
		at := timeOf(r)
		if n == 0 {
			s.first, s.last = at, at
		}
		s.first, s.last = min(s.first, at), max(s.last, at)
		n++
	}
}
