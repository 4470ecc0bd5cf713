package gateway

import (
	"sync/atomic"

	"github.com/heraldpush/herald/portal"
)

// binding is who a connection belongs to. The first accepted request binds it
// to its team, and its key; a refused one binds nothing
// (docs/protocol/provider.md#provider-tokens). A request that is not decided yet
// keeps others away as well, so that no two teams are ever accepted on one
// connection.
//
// Only the goroutine that reads calls anything but settle, which may come from
// another.
type binding struct {
	// first is who claimed first of those that count. It belongs to the goroutine
	// that reads.
	first   *portal.Sender
	claimed atomic.Int64 // claims that are not settled
	bound   atomic.Bool  // to first, for good
}

// undecided reports whether there are claims that are not settled.
func (b *binding) undecided() bool { return b.claimed.Load() > 0 }

// held reports whether first keeps others away.
func (b *binding) held() bool { return b.undecided() || b.bound.Load() }

// allows returns nil if a request of the sender may be made now. The error is
// that of portal.Sender.MayShare.
func (b *binding) allows(s *portal.Sender) error {
	if s == b.first || !b.held() {
		return nil
	}
	if err := s.MayShare(b.first); err != nil {
		return err
	}
	if s.Key == b.first.Key {
		b.first = s // as good as the other, and recognised sooner
	}
	return nil
}

// claim notes that a request of a sender, who is allowed, has passed the checks.
func (b *binding) claim(s *portal.Sender) {
	if !b.held() {
		b.first = s
	}
	b.claimed.Add(1)
}

// bind notes that a request of a sender, who is allowed, was accepted, without a
// claim. It comes before its answer.
func (b *binding) bind(s *portal.Sender) {
	if !b.held() {
		b.first = s
	}
	if !b.bound.Load() {
		b.bound.Store(true)
	}
}

// settle notes that n claimed requests are decided, and whether any was accepted.
// It comes before their answers, after which the sender may try another team.
func (b *binding) settle(n int, accepted bool) {
	if accepted {
		b.bound.Store(true) // before the claims end, so that first is held throughout
	}
	b.claimed.Add(-int64(n))
}
