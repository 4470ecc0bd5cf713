package apnsclient

import (
	"math/rand/v2"
	"time"
)

// The pause before a connection is tried again is at most the first after one
// failure, twice that after two, and never more than the second.
const (
	firstPause   = time.Second
	longestPause = time.Minute
)

// backoff says how long to wait before the next try of something that fails.
// It keeps no time and is guarded by whoever has it. The zero value is ready
// for use.
type backoff struct {
	failures int // since the last success
	// random returns a number from 0 to below n; nil stands for math/rand.
	random func(n int64) int64
}

// pause returns how long to wait before the next try: nothing where the last
// one did not fail, else a random time up to a bound that doubles with each
// failure. It is random in full, so that many who lost the same gateway at the
// same moment do not come back at the same moment.
func (b *backoff) pause() time.Duration {
	if b.failures == 0 {
		return 0
	}
	most := longestPause
	if doublings := b.failures - 1; doublings < 6 { // 1 s << 6 is over a minute
		most = firstPause << doublings
	}
	return time.Duration(below(b.random, int64(most))) + 1
}

// failed counts a failure.
func (b *backoff) failed() { b.failures++ }

// succeeded forgets the failures.
func (b *backoff) succeeded() { b.failures = 0 }

// spread returns a random time between three quarters of d and d. Whatever is
// due after d is due after that, so that what began together, such as the
// connections of a burst, does not end together.
func spread(d time.Duration, random func(n int64) int64) time.Duration {
	if d < 4 {
		return d
	}
	return d - time.Duration(below(random, int64(d/4)+1))
}

func below(random func(n int64) int64, n int64) int64 {
	if random == nil {
		return rand.Int64N(n)
	}
	return random(n)
}
