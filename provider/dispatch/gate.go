package dispatch

import (
	"sync"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnsclient"
	"github.com/heraldpush/herald/provider/outbox"
)

// Of a gate.
const (
	// gateFirst and gateUnder are how many pushes are under way before the first
	// answer, and then while it is not open.
	gateFirst = 16
	gateUnder = 128
	// gateAnswers is how many answers it takes to open it.
	gateAnswers = 100
	// gateShare is how many times more answers there have to be than ones that call
	// the device token bad: as with outbox.Fuse, which may stop the message.
	gateShare = 20
)

// gate lets only a few items of a load go its way at a time until enough of them
// were answered well. Without it, thousands would be on their way when the first
// answer says that the credential is refused, or all device tokens are bad.
type gate struct {
	mu      sync.Mutex
	free    sync.Cond // of mu: there may be room
	trusted bool      // it is open until the answers say otherwise
	under   int       // pushes without a result; guarded by mu
	answers int       // that say something of the device token; guarded by mu
	bad     int       // that say that it is none; guarded by mu
	refused bool      // the sender is: every push would end so; guarded by mu
}

func newGate(trusted bool) *gate {
	g := &gate{trusted: trusted}
	g.free.L = &g.mu
	return g
}

// isOpen reports whether all may pass. The caller holds mu.
func (g *gate) isOpen() bool {
	if g.answers < gateAnswers {
		return g.trusted
	}
	return g.bad*gateShare <= g.answers
}

// room reports whether one more may be under way. The caller holds mu.
func (g *gate) room() bool {
	return g.isOpen() || g.under < gateFirst || g.answers > 0 && g.under < gateUnder
}

// enter waits until an item may pass, and reports whether it may at all. Each that
// does is to leave.
func (g *gate) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for !g.refused && !g.room() {
		g.free.Wait()
	}
	if !g.refused {
		g.under++
	}
	return !g.refused
}

// turnBack is leave for an item that was not sent.
func (g *gate) turnBack() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.under--
	g.free.Signal()
}

// leave notes a result. first says that it is the first by which the sender is
// refused, and wave that too many device tokens are called bad.
func (g *gate) leave(o apnsclient.Outcome, r apns.Reason) (first, wave bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.under--
	switch o {
	case apnsclient.ProviderFault:
		first = !g.refused
		g.refused = true
	case apnsclient.Accepted, apnsclient.Rejected, apnsclient.TokenGone:
		g.answers++
		if outbox.IsBad(r) {
			g.bad++
		}
	case apnsclient.Invalid, apnsclient.RetryLater, apnsclient.ConnectionFault, apnsclient.Unknown:
	}
	g.free.Broadcast()
	return first, g.answers >= gateAnswers && !g.isOpen()
}

// good reports whether the next load that goes the same way may trust in it.
func (g *gate) good() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return !g.refused && g.isOpen()
}
