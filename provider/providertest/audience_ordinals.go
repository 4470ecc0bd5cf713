package providertest

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/heraldpush/herald/provider/audience"
)

// testOrdinals asks for many at a time, of several apps, as those do who send.
func (c *crowd) testOrdinals(t *testing.T) {
	const installations, callers, another = 40, 20, someApp + 1
	want := map[audience.AppNumber]map[audience.InstallationID]audience.Located{someApp: {}, another: {}}
	for n := range installations {
		app := []audience.AppNumber{someApp, another}[n%2]
		id := audience.InstallationID(fmt.Sprint("i", n))
		want[app][id] = audience.Located{Ordinal: c.register(t, app, id, with(fmt.Sprintf("%02x", n))).Ordinal, Known: true}
	}
	var calling sync.WaitGroup
	for caller := range callers {
		calling.Go(func() {
			for n := range installations {
				app := []audience.AppNumber{someApp, another}[caller%2]
				ids := []audience.InstallationID{audience.InstallationID(fmt.Sprint("i", n))}
				if caller < 4 {
					ids = append(ids, "i1", "nobody", "", `"]`, "\xff", "i2", "i1")
				}
				var located []audience.Located
				for _, id := range ids {
					located = append(located, want[app][id])
				}
				if got, err := c.Ordinals(t.Context(), app, ids); err != nil || !slices.Equal(got, located) {
					t.Errorf("%q of app %d: got %v, %v, want %v", ids, app, got, err, located)
				}
			}
		})
	}
	calling.Wait()
	if got, err := c.Ordinals(t.Context(), someApp, nil); err != nil || len(got) > 0 {
		t.Errorf("nobody: got %v, %v", got, err)
	}
}
