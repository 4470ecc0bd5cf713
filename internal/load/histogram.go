package load

import (
	"encoding/json"
	"errors"
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

// MarshalJSON implements json.Marshaler: pairs of a bucket and its count, for
// another process that has the same buckets.
func (h *Histogram) MarshalJSON() ([]byte, error) {
	pairs := [][2]uint32{}
	for i, n := range h.counts {
		if n > 0 {
			pairs = append(pairs, [2]uint32{uint32(i), n})
		}
	}
	return json.Marshal(pairs)
}

// UnmarshalJSON implements json.Unmarshaler.
func (h *Histogram) UnmarshalJSON(b []byte) error {
	var pairs [][2]uint32
	if err := json.Unmarshal(b, &pairs); err != nil {
		return err
	}
	*h = Histogram{}
	for _, p := range pairs {
		if p[0] >= uint32(len(h.counts)) {
			return errors.New("a histogram with a bucket that does not exist")
		}
		h.counts[p[0]] += p[1]
		h.n += int64(p[1])
	}
	return nil
}
