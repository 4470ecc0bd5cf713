package apnsclient

import (
	"math/rand/v2"
	"time"

	"github.com/heraldpush/herald/apns"
)

// The defaults of a Retry, and what it is not asked about.
const (
	defaultAttempts    = 4
	defaultRetryPause  = 500 * time.Millisecond
	defaultRetryBudget = 0.1

	// maxRetryPause bounds the doubling of the pause.
	maxRetryPause = 30 * time.Second
	// freeMoves is how often a push that the gateway has not begun with is
	// moved to another stream without a pause, and movePause the first pause
	// from then on.
	freeMoves = 3
	movePause = 50 * time.Millisecond
	// budgetDepth is how many retries may be made at once after a quiet time.
	budgetDepth = 100
)

// Retry says what a Sender does about a push that did not go through, within
// the time of the push. The zero value is right for most.
//
// A push that the gateway has not begun with, by its own word, is sent again in
// any case: that cannot deliver it twice, and is no fault. The same goes for
// the one push that finds the provider token to have expired.
type Retry struct {
	// Attempts is how often a push is tried in all when the gateway answers
	// 429 TooManyRequests, 500 or 503, and how many connections may fail to
	// be made while it waits. Zero stands for 4; 1 means that nothing is
	// tried again.
	Attempts int

	// Pause is how long to wait before the second attempt; it doubles from
	// attempt to attempt. The time waited is random, up to that, and not
	// less than the gateway's Retry-After. Zero stands for half a second.
	Pause time.Duration

	// Budget is how many retries there may be for each push, over all: 0.1 lets
	// one in ten be sent again, so that a service in trouble is not sent
	// several times what it cannot take. Zero stands for 0.1; a negative value
	// means that there is no such limit.
	Budget float64

	// Unanswered says whether a push that was sent and not answered is sent
	// again. The zero value is NeverAgain.
	Unanswered Unanswered
}

// Unanswered says what to do about a push that was sent and not answered, so
// that it may have been delivered.
type Unanswered uint8

// What to do about it.
const (
	// NeverAgain ends it with an *UnansweredError.
	NeverAgain Unanswered = iota
	// AgainIfCollapsible sends it again where it has a CollapseID: if it arrives
	// twice, the device shows it once.
	AgainIfCollapsible
	// Again sends it again. Herald's gateway knows the ID of a notification
	// that it has, and delivers it once; Apple's does not.
	Again
)

func (r Retry) withDefaults() Retry {
	r.Attempts = orDefault(r.Attempts, defaultAttempts)
	r.Pause = orDefault(r.Pause, defaultRetryPause)
	r.Budget = orDefault(r.Budget, defaultRetryBudget)
	return r
}

// sendsAgain reports whether the policy has an unanswered push sent again.
func (r Retry) sendsAgain(collapsible bool) bool {
	return r.Unanswered == Again || r.Unanswered == AgainIfCollapsible && collapsible
}

// pause returns how long to wait after the given number of attempts, with full
// jitter; least is what the gateway asked for.
func (r Retry) pause(attempts int, least time.Duration) time.Duration {
	return max(jitter(doubled(r.Pause, attempts-1, maxRetryPause)), least)
}

// pauseAfterMove returns how long to wait after a push was moved n times.
func pauseAfterMove(n int) time.Duration {
	if n <= freeMoves {
		return 0
	}
	return jitter(doubled(movePause, n-freeMoves-1, maxRetryPause))
}

// doubled returns d, doubled n times, but no more than the limit.
func doubled(d time.Duration, n int, limit time.Duration) time.Duration {
	for ; n > 0 && d < limit; n-- {
		d *= 2
	}
	return min(d, limit)
}

// jitter returns a random time up to d.
func jitter(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return 1 + rand.N(d)
}

// tryAgain reports whether the same push may be accepted a short while after
// this answer.
func tryAgain(r *apns.Rejection) bool {
	return outcomeOfRejection(r) == RetryLater && r.Reason != apns.TooManyProviderTokenUpdates
}

// budget is what is left for retries: each push adds a share, each retry takes
// one.
type budget struct {
	share float64 // negative if there is no limit
	left  float64
}

func newBudget(share float64) budget { return budget{share: share, left: budgetDepth} }

// push adds the share of one push.
func (b *budget) push() {
	if b.left < budgetDepth {
		b.left = min(b.left+b.share, budgetDepth)
	}
}

// take takes one retry, and reports whether there was one.
func (b *budget) take() bool {
	switch {
	case b.share < 0:
		return true
	case b.left < 1:
		return false
	}
	b.left--
	return true
}
