package gateway

import (
	"sync"

	"github.com/heraldpush/herald/portal"
)

// binding is who a connection belongs to. The first accepted request binds it
// to its team, and its key; a refused one binds nothing
// (docs/protocol/provider.md#provider-tokens). A request that is not decided yet
// keeps others away as well, so that no two teams are ever accepted on one
// connection.
//
// Only the goroutine that reads calls allows and claim; settle may come from
// another.
type binding struct {
	mu        sync.Mutex
	first     *portal.Sender // who claimed first of those that count; guarded by mu
	undecided int            // claims that are not settled; guarded by mu
	bound     bool           // to first, for good; guarded by mu
}

// held reports whether first keeps others away. The lock is held.
func (b *binding) held() bool { return b.bound || b.undecided > 0 }

// allows returns nil if a request of the sender may be made now. The error is
// that of portal.Sender.MayShare.
func (b *binding) allows(s *portal.Sender) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.held() {
		return nil
	}
	return s.MayShare(b.first)
}

// claim notes that a request of a sender, who is allowed, has passed the checks.
func (b *binding) claim(s *portal.Sender) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.held() {
		b.first = s
	}
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
