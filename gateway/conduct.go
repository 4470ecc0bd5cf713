package gateway

import (
	"net/http"
	"sync"
	"time"

	"github.com/heraldpush/herald/apns"
)

// Limits of a connection's concurrent streams
// (docs/protocol/provider.md#settings).
const (
	streamsUnproven = 1    // before the first accepted provider token, and after a fall
	streams         = 1000 // with a certificate, or from then on
)

// conduct is how a provider behaves on a connection, by the answers it gets: that
// decides how many streams it may have, and when it has to go.
type conduct struct {
	limits *Limits
	// setStreams tells the provider how many streams it may have. It is called
	// with the lock held, so that the last word is the last one.
	setStreams func(n uint32)
	// leave ends the connection. It is called once.
	leave func()

	mu      sync.Mutex
	streams uint32 // as the provider was told; guarded by mu

	// Refusals, less the pushes that were accepted since; guarded by mu.
	refusals, badDeviceTokens int
	left                      bool // guarded by mu

	// Answers of the window that began at since; guarded by mu.
	since             time.Time
	answered, refused int
}

// allow sets the stream limit. The lock is held.
func (c *conduct) allow(n uint32) {
	if n != c.streams {
		c.streams = n
		c.setStreams(n)
	}
}

// prove notes that the first provider token was accepted.
func (c *conduct) prove() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.allow(streams)
}

// accept notes that n pushes were accepted, which makes up for what was. It comes
// before their answers.
func (c *conduct) accept(n int, now time.Time) {
	if n == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refusals = max(0, c.refusals-n)
	c.badDeviceTokens = max(0, c.badDeviceTokens-n)
	if c.limits.SlowShare > 0 {
		c.window(now)
		c.answered += n
	}
	c.allow(streams)
}

// counts reports whether a refusal is the provider's own doing. That an app was
// removed is not.
func counts(r apns.Reason) bool {
	s := r.Status()
	return s >= http.StatusBadRequest && s < http.StatusInternalServerError && s != http.StatusGone
}

// refuse notes that a push was refused. It comes before the answer.
func (c *conduct) refuse(why apns.Reason) {
	if !counts(why) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if why == apns.ExpiredProviderToken || why == apns.InvalidProviderToken {
		c.allow(streamsUnproven)
	}
	c.slow()
	c.refusals++
	if why == apns.BadDeviceToken {
		c.badDeviceTokens++
	}
	if !c.left && (reached(c.refusals, c.limits.MaxRefusals) || reached(c.badDeviceTokens, c.limits.MaxBadDeviceTokens)) {
		c.left = true
		c.leave()
	}
}

// reached reports whether n is as many as a limit allows, if there is one.
func reached(n, limit int) bool { return limit > 0 && n >= limit }

// slow lowers the stream limit if too many of the last answers were refusals, of
// which there is one more. The count then begins anew. The lock is held.
func (c *conduct) slow() {
	if c.limits.SlowShare == 0 {
		return
	}
	c.window(time.Now())
	c.answered++
	c.refused++
	if c.answered >= c.limits.SlowAnswers && float64(c.refused) >= c.limits.SlowShare*float64(c.answered) {
		c.answered, c.refused = 0, 0
		c.allow(streamsUnproven)
	}
}

// window begins the next window if the last one is over. The lock is held.
func (c *conduct) window(now time.Time) {
	if now.Sub(c.since) >= c.limits.SlowWindow {
		c.since, c.answered, c.refused = now, 0, 0
	}
}
