package providertest

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/provider/audience"
)

// targets returns the device tokens of kind alert of all of the first chunk but those
// of which skip says so.
func (c *crowd) targets(t *testing.T, skip func(n int) bool) []audience.Target {
	t.Helper()
	var m audience.Members
	for n := range audience.ChunkWidth {
		if !skip(n) {
			m.Add(audience.Slot(n))
		}
	}
	all, err := c.Targets(t.Context(), someApp, 0, &m, audience.Use{Kind: audience.KindAlert})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// testRuleMany notes accepted pushes to many at once, among which some have changed
// meanwhile, and some are judged otherwise.
func (c *crowd) testRuleMany(t *testing.T) {
	const many = 600
	id := func(n int) audience.InstallationID { return audience.InstallationID(fmt.Sprint("i", n)) }
	value := func(n, version int) string { return fmt.Sprintf("%06x%02x", n, version) }
	for n := range many {
		r := with(value(n, 0))
		switch n % 50 {
		case 1: // longer than the others
			r = with(value(n, 0) + "ffff")
		case 2:
			r.DeviceTokens[0].Environment = "production"
		case 3: // has another, to which nothing is sent
			r.DeviceTokens = append(r.DeviceTokens, audience.RegisteredToken{Kind: audience.KindVoIP, Environment: "sandbox", Value: value(n, 9)})
		}
		if _, err := c.Change(t.Context(), someApp, id(n), say(r, noon.Add(time.Duration(n)*time.Nanosecond))); err != nil {
			t.Fatal(err)
		}
	}
	skipped := func(n int) bool { return n%50 == 4 || 300 <= n && n < 350 }
	all := c.targets(t, skipped)
	want := make(map[int]audience.Installation)
	accepted := noon.Add(time.Minute)
	var rulings []audience.Ruling
	for _, target := range all {
		n := int(target.Ordinal)
		after := audience.Standing{RegisteredAt: target.Standing.RegisteredAt, AcceptedAt: accepted}
		switch n % 50 {
		case 5:
			after = audience.Standing{State: audience.Gone, RegisteredAt: target.Standing.RegisteredAt, Reason: apns.Unregistered, ReasonAt: accepted, JudgedBy: [16]byte{1}}
		case 6:
			after.AcceptedAt = accepted.Add(time.Minute)
		}
		rulings = append(rulings, audience.Ruling{Target: target, After: after})
		i, err := c.Installation(t.Context(), someApp, id(n))
		if err != nil {
			t.Fatal(err)
		}
		for d := range i.Destinations {
			if i.Destinations[d] == target.Destination {
				i.Destinations[d].Standing = after
			}
		}
		want[n] = i
	}
	for n := range many {
		var err error
		switch {
		case n%50 == 7: // another device token
			want[n], err = c.Change(t.Context(), someApp, id(n), say(with(value(n, 1)), noon.Add(2*time.Hour)))
		case n%50 == 8: // the same again
			want[n], err = c.Change(t.Context(), someApp, id(n), say(with(value(n, 0)), noon.Add(2*time.Hour)))
		case n%50 == 9: // another at the same moment
			want[n], err = c.Change(t.Context(), someApp, id(n), func(i audience.Installation) (audience.Installation, bool, error) {
				if i.CreatedAt.IsZero() {
					return i, false, audience.ErrNotFound
				}
				i.Destinations = slices.Clone(i.Destinations)
				i.Destinations[0].DeviceToken = apns.DeviceToken(fmt.Sprintf("%03x1", n))
				return i, true, nil
			})
		case n%50 == 10:
			c.remove(t, id(n))
			want[n] = audience.Installation{}
		case skipped(n):
			want[n], err = c.Installation(t.Context(), someApp, id(n))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Rule(t.Context(), someApp, rulings); err != nil {
		t.Fatal(err)
	}
	c.twice(t, func(t *testing.T) {
		for n := range many {
			c.want(t, someApp, id(n), want[n])
		}
	})
}

// testTargetsSparse looks up few installations that are far from each other, with all
// that there is to be known of them.
func (c *crowd) testTargetsSparse(t *testing.T) {
	standings := []audience.Standing{
		{RegisteredAt: noon},
		{RegisteredAt: noon, AcceptedAt: noon.Add(time.Minute)},
		{RegisteredAt: noon, Strikes: 1},
		{State: audience.Quarantined, RegisteredAt: noon, AcceptedAt: noon, Reason: "two words", ReasonAt: noon.Add(time.Hour), Strikes: 2, JudgedBy: [16]byte{15: 0xff}},
		{State: audience.Gone, RegisteredAt: noon, Reason: apns.Unregistered, ReasonAt: noon, JudgedBy: [16]byte{1}},
	}
	const step = 40
	var want []audience.Target
	for n := range step * len(standings) {
		i := c.register(t, someApp, audience.InstallationID(fmt.Sprint("i", n)), with(fmt.Sprintf("%06x", n)))
		if n%step == 0 {
			d := i.Destinations[0]
			c.rule(t, i, standings[n/step])
			d.Standing = standings[n/step]
			want = append(want, audience.Target{Ordinal: i.Ordinal, Destination: d})
		}
	}
	for name, others := range map[string]bool{"few": false, "all": true} {
		var got []audience.Target
		for _, target := range c.targets(t, func(n int) bool { return n%step != 0 && !others }) {
			if target.Ordinal%step == 0 {
				got = append(got, target)
			}
		}
		if d := diff(want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}

// testSweep removes the device tokens that have been gone for long.
func (c *crowd) testSweep(t *testing.T) {
	gone := func(days int) audience.Standing {
		return audience.Standing{
			State: audience.Gone, RegisteredAt: noon, Reason: apns.Unregistered, ReasonAt: noon.AddDate(0, 0, days), JudgedBy: [16]byte{byte(days)},
		}
	}
	var all []audience.Installation
	for n := range 10 {
		i := c.register(t, someApp, audience.InstallationID(fmt.Sprint("i", n)), audience.Registration{DeviceTokens: []audience.RegisteredToken{
			{Environment: "sandbox", Value: fmt.Sprintf("%02x", n)}, {Environment: "production", Value: fmt.Sprintf("%02x", n)},
		}})
		s := gone(n)
		if n == 3 {
			s.State = audience.Quarantined
		}
		c.rule(t, i, s)
		i.Destinations[0].Standing = s
		all = append(all, i)
	}
	before := noon.AddDate(0, 0, 6) // 0 to 5 are older, but 3 is not gone
	total := 0
	for {
		n, err := c.Sweep(t.Context(), before, 2)
		if err != nil || n > 2 {
			t.Fatalf("got %d, %v, want at most 2", n, err)
		}
		if total += n; n == 0 {
			break
		}
	}
	if total != 5 {
		t.Errorf("got %d swept, want 5", total)
	}
	for n := range all {
		if n < 6 && n != 3 {
			all[n].Destinations = all[n].Destinations[1:]
		}
	}
	c.twice(t, func(t *testing.T) {
		for _, i := range all {
			c.want(t, someApp, i.ID, i)
		}
	})
	// What was swept can be registered by another.
	i := c.register(t, someApp, "new", with("00"))
	c.want(t, someApp, "new", i)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if n, err := c.Sweep(ended, before, 2); n != 0 && err == nil {
		t.Errorf("got %d swept when nothing was left", n)
	}
}
