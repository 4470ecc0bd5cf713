package h2

import (
	"time"

	"golang.org/x/net/http2"
)

// Bounds of one header block. A list of 8000 bytes fits into one frame; the
// rest is for clients that cut it in an odd way.
const (
	maxHeaderBlockBytes   = 32 << 10 // encoded, over all frames
	maxContinuations      = 16       // CONTINUATION frames, the empty ones too
	maxHeaderFields       = 128
	maxHeaderStringBytes  = 2 * maxHeaderBlockBytes // decoded; Huffman code shrinks to 5/8 at best
	maxDiscardedBodyBytes = 1 << 20                 // of a body that is too large, before it is answered early
)

// budget bounds how often something may happen: burst times at once, and
// perSecond times a second for ever.
type budget struct {
	burst     float64
	perSecond float64

	spent float64 // how much of the burst is used up
	last  time.Time
}

// spend takes one from the budget and reports whether there was one.
func (b *budget) spend(now time.Time) bool {
	if d := now.Sub(b.last); d > 0 {
		b.spent = max(0, b.spent-d.Seconds()*b.perSecond)
		b.last = now
	}
	b.spent++
	return b.spent <= b.burst
}

// budgets bound the frames that cost work and bring no request. A real client
// stays far below; one that pings each second does so for ever.
type budgets struct {
	// resets are streams that came to nothing: reset by the peer (rapid reset),
	// or by this side because the peer broke a rule on them. A client with all its
	// 1000 streams in flight may give all of them up at once.
	resets budget
	// refusals are streams above the limit. A client that has acknowledged a lower
	// one may have as many requests in its queue as it likes, but not on the wire.
	refusals budget
	// pings are PING frames.
	pings budget
	// settings are SETTINGS frames; each may touch all streams.
	settings budget
	// chatter is all that is cheap but not free: WINDOW_UPDATE, PRIORITY, DATA
	// that does not end a body, RST_STREAM on closed streams, unknown frames. Each
	// request that is answered gives back what a client may need for one.
	chatter budget
}

// chatterPerRequest is how many such frames an answered request pays for.
const chatterPerRequest = 8

// newBudgets returns the budgets of a new connection.
func newBudgets() budgets {
	return budgets{
		resets:   budget{burst: 2000, perSecond: 100},
		refusals: budget{burst: 2000, perSecond: 100},
		pings:    budget{burst: 200, perSecond: 10},
		settings: budget{burst: 100, perSecond: 5},
		chatter:  budget{burst: 10000, perSecond: 1000},
	}
}

// spend takes one from b. Its error ends the connection: the peer was over its
// budget of what. c.mu is held.
func (c *Conn) spend(b *budget, what string) error {
	if b.spend(c.lastRead) {
		return nil
	}
	return connError(http2.ErrCodeEnhanceYourCalm, "too many "+what)
}

// credit gives back to the budget of cheap frames what a request pays for. c.mu
// is held.
func (c *Conn) credit() {
	c.budgets.chatter.spent = max(0, c.budgets.chatter.spent-chatterPerRequest)
}
