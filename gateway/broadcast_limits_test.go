package gateway_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/gateway"
)

// TestBroadcastLimits proves that each channel has a bucket of its own, one that
// stores nothing a larger one, and that only what nothing else is wrong with is
// counted.
func TestBroadcastLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const burst = 3
		w := newBroadcastWorld(t, options{limits: gateway.Limits{ChannelBurst: burst, ChannelInterval: time.Minute}})
		storing, other, silent := w.newChannel(t, apns.MostRecentMessageStored), w.newChannel(t, apns.MostRecentMessageStored), w.newChannel(t, apns.NoMessageStored)
		p, second := w.dial(t, dialing{}), w.dial(t, dialing{})
		for range burst {
			p.want(w.broadcast(t, storing).drop("apns-priority"), refused(apns.BadPriority))
			p.want(w.broadcast(t, storing), accepted)
		}
		for _, p := range []*peer{p, second} {
			got := p.ask(w.broadcast(t, storing))
			if got.outcome() != refused(apns.TooManyRequests) {
				t.Errorf("one more: got %s, want TooManyRequests", got.outcome())
			}
			if after := got.get("retry-after"); !slices.Equal(after, []string{"60"}) {
				t.Errorf("retry-after: got %q, want a minute", after)
			}
		}
		p.want(w.broadcast(t, other), accepted)
		for range 10 * burst {
			p.want(w.broadcast(t, silent), accepted)
		}
		p.want(w.broadcast(t, silent), refused(apns.TooManyRequests))
		time.Sleep(6 * time.Second)
		p.want(w.broadcast(t, silent), accepted)
		p.want(w.broadcast(t, storing), refused(apns.TooManyRequests))
		time.Sleep(time.Minute)
		p.want(w.broadcast(t, storing), accepted)
		p.want(w.broadcast(t, storing), refused(apns.TooManyRequests))
	})
}

// TestDeletedChannelIsEnded proves that the spool learns of a channel that is
// deleted, and of none that could not be.
func TestDeletedChannelIsEnded(t *testing.T) {
	w := newBroadcastWorld(t, options{})
	id := w.newChannel(t, apns.NoMessageStored)
	p := w.dial(t, dialing{})
	before := w.spool.ChannelEnds()
	p.want(w.about(t, "DELETE", id), deleted)
	p.want(w.about(t, "DELETE", id), refused(apns.ChannelNotRegistered))
	if got := w.spool.ChannelEnds(); got != before+1 {
		t.Errorf("got %d ends, want 1", got-before)
	}
}
