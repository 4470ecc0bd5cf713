package gateway

import (
	"fmt"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/portal"
)

// signing is what makes a provider token the same as another: two signatures
// of one differ.
type signing struct {
	key      apns.KeyID
	issuedAt int64 // seconds since the epoch
}

func signingOf(s *portal.Sender) signing { return signing{s.Key, s.IssuedAt.Unix()} }

// updates are the provider tokens that a connection came with
// (docs/protocol/provider.md#provider-tokens). It has room for all that may be
// taken in the hour that one is good for, if the limits are Apple's; an older one
// counts as new when it comes back.
type updates struct {
	taken [16]signing // a ring; empty ones match none
	next  int
	last  time.Time // when the newest was taken; zero before the first
	early int       // how many came too early since then
}

// has reports whether a provider token was taken before, the newest of them most
// likely.
func (u *updates) has(s signing) bool {
	for i := range u.taken {
		if u.taken[(u.next+2*len(u.taken)-1-i)%len(u.taken)] == s {
			return true
		}
	}
	return false
}

// take takes a new provider token. The error is TooManyProviderTokenUpdates; one
// that is refused stays new.
func (u *updates) take(s signing, now time.Time, l *Limits) error {
	early := 0
	if since := now.Sub(u.last); !u.last.IsZero() && since < l.ProviderTokenInterval {
		early = u.early + 1
		if early > l.ProviderTokenTolerance {
			why := apns.Reject(apns.TooManyProviderTokenUpdates, fmt.Sprintf("the last one came %v ago", since.Round(time.Second)))
			why.RetryAfter = l.ProviderTokenInterval - since
			return why
		}
	}
	u.taken[u.next] = s
	u.next = (u.next + 1) % len(u.taken)
	u.last, u.early = now, early
	return nil
}
