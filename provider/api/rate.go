package api

import (
	"fmt"
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/heraldpush/herald/provider/account"
)

// door is what requests of an API key are counted for, each by itself.
type door uint8

// The doors.
const (
	// doorRest is for all but what the others are for.
	doorRest door = iota
	// doorRegister is for registrations: a key that is in an app has all of those
	// that use it behind it.
	doorRegister
	// doorSend is for messages.
	doorSend
)

// String returns the name of the policy in RateLimit.
func (d door) String() string {
	switch d {
	case doorRegister:
		return "register"
	case doorSend:
		return "send"
	default:
		return "default"
	}
}

// Rate is how many requests an API key may make.
type Rate struct {
	// PerSecond is what it may go on with. Zero stands for the default of the door;
	// less than zero is without a limit.
	PerSecond float64
	// Burst is how many may come at once. Zero stands for two seconds' worth.
	Burst int
}

// Rates are the rates of an API key by what it asks for, each by itself.
type Rates struct {
	// Register is for registrations, of all who have the key. Zero: 10,000 a second.
	Register Rate
	// Send is for requests to send, whatever the number of recipients. Zero: 10,000 a
	// second.
	Send Rate
	// Rest is for all else. Zero: 1,000 a second.
	Rest Rate
}

// filled returns r with its defaults.
func (r Rate) filled(perSecond float64) Rate {
	if r.PerSecond == 0 {
		r.PerSecond = perSecond
	}
	if r.Burst <= 0 {
		r.Burst = int(math.Min(math.Max(1, 2*r.PerSecond), math.MaxInt32))
	}
	return r
}

// limiter counts requests, by API key and door.
type limiter struct {
	rates [3]Rate // by door

	mu      sync.Mutex
	buckets map[bucketKey]bucket // guarded by mu
	sweepAt int                  // how many buckets there may be before full ones go; guarded by mu
}

type bucketKey struct {
	key  account.KeyID
	door door
}

// bucket is a token bucket: how much was in it, and when.
type bucket struct {
	level float64
	at    time.Time
}

const fewBuckets = 1024

func newLimiter(r Rates) *limiter {
	l := &limiter{buckets: map[bucketKey]bucket{}, sweepAt: fewBuckets}
	l.rates[doorRest] = r.Rest.filled(1_000)
	l.rates[doorRegister] = r.Register.filled(10_000)
	l.rates[doorSend] = r.Send.filled(10_000)
	return l
}

// take counts a request, says in h how much is left
// (draft-ietf-httpapi-ratelimit-headers-10), and returns a *Problem if it is too much.
func (l *limiter) take(id account.KeyID, d door, at time.Time, h http.Header) error {
	r := l.rates[d]
	if r.PerSecond < 0 {
		return nil
	}
	level, ok := l.spend(bucketKey{id, d}, r, at)
	refill := int(math.Ceil((float64(r.Burst) - level) / r.PerSecond))
	h.Set("RateLimit-Policy", fmt.Sprintf("%q;q=%d;w=%d", d, r.Burst, max(1, int(math.Ceil(float64(r.Burst)/r.PerSecond)))))
	h.Set("RateLimit", fmt.Sprintf("%q;r=%d;t=%d", d, int(level), refill))
	if ok {
		return nil
	}
	p := newProblem(CodeRate, "this key may make %s requests a second", strconv.FormatFloat(r.PerSecond, 'g', -1, 64))
	return p.after(time.Duration((1 - level) / r.PerSecond * float64(time.Second)))
}

// spend takes one from a bucket, and returns what is in it and whether there was one.
func (l *limiter) spend(k bucketKey, r Rate, at time.Time) (float64, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b, ok := l.buckets[k]
	if !ok {
		l.sweep(at)
		b = bucket{float64(r.Burst), at}
	}
	b = b.filled(r, at)
	if ok = b.level >= 1; ok {
		b.level--
	}
	l.buckets[k] = b
	return b.level, ok
}

// filled returns b as it is at a time.
func (b bucket) filled(r Rate, at time.Time) bucket {
	if passed := at.Sub(b.at); passed > 0 {
		b.level = math.Min(float64(r.Burst), b.level+passed.Seconds()*r.PerSecond)
		b.at = at
	}
	return b
}

// sweep removes buckets that are full, as are those that are not there, when there
// are many. mu is held.
func (l *limiter) sweep(at time.Time) {
	if len(l.buckets) < l.sweepAt {
		return
	}
	for k, b := range l.buckets {
		if r := l.rates[k.door]; b.filled(r, at).level >= float64(r.Burst) {
			delete(l.buckets, k)
		}
	}
	l.sweepAt = max(fewBuckets, 2*len(l.buckets))
}
