package providertest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/provider/audience"
)

// testRandom does the same to the store and to a plain list, and compares what can
// be seen of them. Each round has an app of its own.
func (c *crowd) testRandom(t *testing.T) {
	app := someApp
	rapid.Check(t, func(rt *rapid.T) {
		app++
		m := &crowdModel{t: t, crowd: c, app: app, now: noon}
		for _, do := range rapid.SliceOfN(rapid.SampledFrom([]func(*crowdModel, *rapid.T){
			(*crowdModel).register, (*crowdModel).register, (*crowdModel).remove, (*crowdModel).rule, (*crowdModel).undo, (*crowdModel).openAgain,
		}), 1, 12).Draw(rt, "operations") {
			do(m, rt)
		}
		m.compare(rt)
	})
}

// crowdModel is a store, and what it should have. Few names make them meet often.
type crowdModel struct {
	*crowd
	t      *testing.T
	app    audience.AppNumber
	now    time.Time
	opened bool                    // again
	all    []audience.Installation // by ordinal; the zero value for one that was removed
}

var modelIDs = []audience.InstallationID{"i0", "i1", "i2"}

func (m *crowdModel) find(id audience.InstallationID) int {
	return slices.IndexFunc(m.all, func(i audience.Installation) bool { return i.ID == id })
}

func (m *crowdModel) register(rt *rapid.T) {
	m.now = m.now.Add(time.Duration(rapid.IntRange(1, 100).Draw(rt, "minutes")) * time.Minute)
	id := rapid.SampledFrom(modelIDs).Draw(rt, "id")
	r := audience.Registration{Tags: rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b"}), 0, 2).Draw(rt, "tags")}
	for _, k := range rapid.SliceOfNDistinct(rapid.SampledFrom([]audience.Kind{audience.KindAlert, audience.KindVoIP}), 0, 2, rapid.ID).Draw(rt, "kinds") {
		r.DeviceTokens = append(r.DeviceTokens, audience.RegisteredToken{
			Kind: k, Environment: rapid.SampledFrom([]string{"sandbox", "production"}).Draw(rt, "environment"),
			Value: rapid.SampledFrom([]string{"aa", "bb", "cc"}).Draw(rt, "value"),
		})
	}
	got, err := m.Change(m.t.Context(), m.app, id, say(r, m.now))
	if err != nil {
		rt.Fatal(err)
	}
	at := m.find(id)
	before := audience.Installation{ID: id}
	if at >= 0 {
		before = m.all[at]
	}
	want, changed, err := before.Register(r, m.now)
	if err != nil {
		rt.Fatal(err)
	}
	if at < 0 {
		want.Ordinal = audience.Ordinal(len(m.all))
	}
	if d := diff(want, got); d != "" {
		rt.Fatalf("registered (-want +got):\n%s", d)
	}
	if !changed {
		return
	}
	for n := range m.all { // who has it now has it alone
		m.all[n].Destinations = slices.DeleteFunc(m.all[n].Destinations, func(d audience.Destination) bool {
			return slices.ContainsFunc(want.Destinations, func(e audience.Destination) bool {
				return d.Environment == e.Environment && d.DeviceToken == e.DeviceToken
			})
		})
	}
	if at < 0 {
		m.all = append(m.all, want)
	} else {
		m.all[at] = want
	}
}

func (m *crowdModel) remove(rt *rapid.T) {
	id := rapid.SampledFrom(modelIDs).Draw(rt, "id")
	_, err := m.Change(m.t.Context(), m.app, id, func(audience.Installation) (audience.Installation, bool, error) {
		return audience.Installation{}, true, nil
	})
	if err != nil {
		rt.Fatal(err)
	}
	if at := m.find(id); at >= 0 {
		m.all[at] = audience.Installation{}
	}
}

func (m *crowdModel) rule(rt *rapid.T) {
	m.now = m.now.Add(time.Duration(rapid.IntRange(1, 2000).Draw(rt, "minutes")) * time.Minute)
	reason := rapid.SampledFrom([]apns.Reason{"", apns.BadDeviceToken, apns.Unregistered}).Draw(rt, "reason")
	a := audience.Answer{Began: m.now, At: m.now, Message: [16]byte{byte(rapid.IntRange(1, 3).Draw(rt, "message"))}}
	if reason != "" {
		a.Refused = apns.Reject(reason, "")
	}
	var rulings []audience.Ruling
	for n := range m.all {
		for k := range m.all[n].Destinations {
			d := &m.all[n].Destinations[k]
			if !rapid.Bool().Draw(rt, "judged") {
				continue
			}
			after := d.Standing.After(a)
			rulings = append(rulings, audience.Ruling{Target: audience.Target{Ordinal: m.all[n].Ordinal, Destination: *d}, After: after})
			d.Standing = after
		}
	}
	if err := m.Rule(m.t.Context(), m.app, rulings); err != nil {
		rt.Fatal(err)
	}
}

func (m *crowdModel) undo(rt *rapid.T) {
	message, want := [16]byte{byte(rapid.IntRange(1, 3).Draw(rt, "message"))}, 0
	for n := range m.all {
		for k := range m.all[n].Destinations {
			if s := &m.all[n].Destinations[k].Standing; s.State != audience.Active && s.JudgedBy == message {
				*s = s.Undone()
				want++
			}
		}
	}
	if got, err := m.Undo(m.t.Context(), m.app, message); got != want || err != nil {
		rt.Fatalf("got %d undone, %v, want %d", got, err, want)
	}
}

func (m *crowdModel) openAgain(*rapid.T) {
	// To open a store may take as long as a whole round.
	if m.again == nil || m.opened || m.app%8 != 0 {
		return
	}
	m.opened = true
	m.Store = m.again()
}

func (m *crowdModel) compare(rt *rapid.T) {
	ctx := m.t.Context()
	var want []audience.Installation
	for _, i := range m.all {
		if !i.IsZero() {
			want = append(want, i)
		}
	}
	got, err := m.List(ctx, m.app, 0, 100)
	if d := diff(want, got); err != nil || d != "" {
		rt.Fatalf("installations: %v (-want +got)\n%s", err, d)
	}
	var everybody audience.Members
	for n := range m.all {
		everybody.Add(audience.Slot(n))
	}
	for _, use := range []audience.Use{{Kind: audience.KindAlert}, {Kind: audience.KindVoIP, Environment: apns.Sandbox}} {
		var targets []audience.Target
		for _, tag := range []string{"", "a"} {
			var selected strings.Builder
			for _, i := range m.all {
				reached := false
				for _, d := range i.Destinations {
					if !use.Matches(&d) {
						continue
					}
					reached = reached || d.Standing.State != audience.Gone
					if tag == "" {
						targets = append(targets, audience.Target{Ordinal: i.Ordinal, Destination: d})
					}
				}
				if reached && (tag == "" || slices.Contains(i.Tags, tag)) {
					fmt.Fprint(&selected, i.Ordinal, " ")
				}
			}
			var found strings.Builder
			err := m.Select(ctx, m.app, audience.Selection{Use: use, Tag: tag, Below: 100}, func(_ audience.Chunk, members *audience.Members) error {
				for _, slot := range members.All() {
					fmt.Fprint(&found, slot, " ")
				}
				return nil
			})
			if want := selected.String(); found.String() != want || err != nil {
				rt.Fatalf("selecting %+v with tag %q: got %q, %v, want %q", use, tag, found.String(), err, want)
			}
		}
		got, err := m.Targets(ctx, m.app, 0, &everybody, use)
		if d := diff(targets, got); err != nil || d != "" {
			rt.Fatalf("targets of %+v: %v (-want +got)\n%s", use, err, d)
		}
	}
	if _, err := m.Installation(ctx, m.app, "never"); !errors.Is(err, audience.ErrNotFound) {
		rt.Fatalf("got %v, want ErrNotFound", err)
	}
}
