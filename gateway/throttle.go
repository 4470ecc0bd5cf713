package gateway

import (
	"hash/maphash"
	"sync"
	"time"

	"github.com/heraldpush/herald/apns"
)

// Sizes of a throttle: 64 · 256 · 8 buckets of 16 bytes are 2 MiB.
const (
	throttleShards = 64
	shardSets      = 256
	setBuckets     = 8 // two lines of a cache
)

// throttle bounds how fast notifications come to one device token, or messages to
// one channel, with a bucket for each (docs/protocol/provider.md#limits,
// docs/protocol/broadcast.md#limits). A nil throttle lets all pass.
//
// Its memory never grows. A bucket that is full again is as good as none, so that its place is
// free; and where a place is needed and none is free, the bucket gives way that lacks
// least. So a flood to very many devices may let some pass that another time
// would have been refused, but never the other way round.
type throttle struct {
	interval int64 // that a notification takes to be made up for; ns
	slack    int64 // how far a bucket may be from full for one more; ns
	started  time.Time
	seed     maphash.Seed
	shards   [throttleShards]throttleShard
}

type throttleShard struct {
	mu   sync.Mutex
	sets [shardSets][setBuckets]bucket // guarded by mu
}

// bucket is what is known of one device token or channel.
type bucket struct {
	who    uint64 // hash of its address or ID
	fullAt int64  // ns since the throttle was made
}

// newThrottle returns the throttle of device tokens for the limits, nil if there is
// none.
func newThrottle(l *Limits) *throttle { return throttleOf(l.DeviceBurst, l.DeviceInterval) }

// newChannelThrottles returns the throttles of channels, by their storage policy;
// nil ones if there is none.
func newChannelThrottles(l *Limits) map[apns.StoragePolicy]*throttle {
	return map[apns.StoragePolicy]*throttle{
		apns.MostRecentMessageStored: throttleOf(l.ChannelBurst, l.ChannelInterval),
		apns.NoMessageStored:         throttleOf(l.ChannelBurst*storelessFactor, l.ChannelInterval/storelessFactor),
	}
}

func throttleOf(burst int, every time.Duration) *throttle {
	if burst == 0 {
		return nil
	}
	interval := int64(every)
	return &throttle{
		interval: interval, slack: int64(burst-1) * interval,
		started: time.Now(), seed: maphash.MakeSeed(),
	}
}

// take takes a notification out of the bucket of an address, which has one device
// token at a time. The error is TooManyRequests, and then nothing was taken.
func (t *throttle) take(a apns.Address, at time.Time) error {
	if t == nil {
		return nil
	}
	return t.takeOf(maphash.Comparable(t.seed, a), at)
}

// takeMessage takes a message out of the bucket of a channel, as take does.
func (t *throttle) takeMessage(c apns.ChannelID, at time.Time) error {
	if t == nil {
		return nil
	}
	return t.takeOf(maphash.String(t.seed, string(c)), at)
}

func (t *throttle) takeOf(who uint64, at time.Time) error {
	if wait := t.wait(who, int64(at.Sub(t.started))); wait > 0 {
		why := apns.Reject(apns.TooManyRequests, "")
		why.RetryAfter = wait
		return why
	}
	return nil
}

// wait takes one out of a bucket, or returns how long that must wait.
func (t *throttle) wait(who uint64, now int64) time.Duration {
	s := &t.shards[who%throttleShards]
	set := &s.sets[who/throttleShards%shardSets]
	s.mu.Lock()
	defer s.mu.Unlock()
	b := &set[0]
	for i := range set {
		if set[i].who == who {
			b = &set[i]
			break
		}
		if set[i].fullAt < b.fullAt {
			b = &set[i]
		}
	}
	fullAt := now
	if b.who == who {
		fullAt = max(now, b.fullAt)
	}
	if over := fullAt - now - t.slack; over > 0 {
		return time.Duration(over)
	}
	b.who, b.fullAt = who, fullAt+t.interval
	return 0
}
