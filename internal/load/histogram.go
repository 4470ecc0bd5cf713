package load

import (
	"math/bits"
	"time"
)

// Histogram counts durations, to within 1 % of each. The zero value is empty.
type Histogram struct {
	counts [64 * buckets]uint32
	n      int64
}

// buckets is how many there are for each power of two nanoseconds.
const buckets = 128

// Add counts a duration.
func (h *Histogram) Add(d time.Duration) {
	h.counts[bucketOf(uint64(max(0, d)))]++
	h.n++
}

// bucketOf returns the bucket of so many nanoseconds.
func bucketOf(ns uint64) int {
	power := max(bits.Len64(ns), 8) - 8 // of two, by which the buckets are wide
	return power*buckets + int(ns>>power)
}

// Merge adds what another one counted.
func (h *Histogram) Merge(o *Histogram) {
	for i, n := range o.counts {
		h.counts[i] += n
	}
	h.n += o.n
}

// Quantile returns the duration that the given part of all did not exceed, from
// 0 to 1; zero if there are none.
func (h *Histogram) Quantile(part float64) time.Duration {
	left := int64(part*float64(h.n-1)) + 1
	for i, n := range h.counts {
		if left -= int64(n); left <= 0 && n > 0 {
			power := max(0, i/buckets-1)
			return time.Duration(i-power*buckets) << power
		}
	}
	return 0
}
