package gateway

import (
	"sync"

	"github.com/heraldpush/herald/apns"
)

// binding is the team that a connection belongs to. The first accepted request
// binds it, and a refused one binds nothing
// (docs/protocol/provider.md#provider-tokens). A request that is not decided yet
// keeps other teams away, so that no two are ever accepted on one connection.
//
// Only the goroutine that reads calls allows and claim; settle may come from
// another.
type binding struct {
	mu        sync.Mutex
	team      apns.TeamID // of the last claim; guarded by mu
	undecided int         // claims that are not settled; guarded by mu
	bound     bool        // to team, for good; guarded by mu
}

// allows reports whether a request of the team may be made now.
func (b *binding) allows(team apns.TeamID) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.team == team || !b.bound && b.undecided == 0
}

// claim notes that a request of a team, which is allowed, has passed the checks.
func (b *binding) claim(team apns.TeamID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.team = team
	b.undecided++
}

// settle notes that n such requests are decided, and whether any was accepted.
// It comes before their answers, after which the sender may try another team.
func (b *binding) settle(n int, accepted bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.undecided -= n
	b.bound = b.bound || accepted
}
