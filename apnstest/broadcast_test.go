package apnstest_test

import (
	"testing"
	"testing/synctest"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnstest"
	"github.com/heraldpush/herald/registry"
)

// TestChannelsAreForgotten proves that channels are gone from the store soon
// after their app's capability to broadcast was switched off, and no others.
func TestChannelsAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := apnstest.New(t)
		owners := make([]registry.ChannelOwner, 0, len(apns.Environments))
		for _, env := range apns.Environments {
			owners = append(owners, registry.ChannelOwner{App: apnstest.Topic, Environment: env, Term: 1})
		}
		create := func() {
			t.Helper()
			for _, o := range owners {
				if _, err := p.Registry.CreateChannel(t.Context(), o, apns.NoMessageStored); err != nil {
					t.Fatal(err)
				}
			}
		}
		left := func(want int) {
			t.Helper()
			synctest.Wait()
			for _, o := range owners {
				if ids, err := p.Registry.Channels(t.Context(), o); err != nil || len(ids) != want {
					t.Errorf("%v, term %d: got %q, %v, want %d", o.Environment, o.Term, ids, err, want)
				}
			}
		}
		create()
		left(1)
		for _, on := range []bool{false, true} {
			if _, err := p.Portal.SetBroadcast(t.Context(), apnstest.Topic, on); err != nil {
				t.Fatal(err)
			}
			left(0)
		}
		for i := range owners {
			owners[i].Term = 2
		}
		create()
		left(1)
	})
}
