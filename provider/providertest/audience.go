package providertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/provider/audience"
)

// OpenAudience opens an empty store. The function it returns besides opens the
// same store again, with what it had when it was left, by a crash or otherwise;
// it is nil for a store that cannot be reopened.
type OpenAudience func(t *testing.T) (store audience.Store, reopen func() audience.Store)

// Audience tests the stores that open makes.
func Audience(t *testing.T, open OpenAudience) {
	t.Helper()
	for name, test := range map[string]func(*crowd, *testing.T){
		"Change":         (*crowd).testChange,
		"ChangeFails":    (*crowd).testChangeFails,
		"Remove":         (*crowd).testRemove,
		"TokenMoves":     (*crowd).testTokenMoves,
		"Apps":           (*crowd).testApps,
		"List":           (*crowd).testList,
		"Ordinals":       (*crowd).testOrdinals,
		"People":         (*crowd).testPeople,
		"Person":         (*crowd).testPerson,
		"PersonFails":    (*crowd).testPersonFails,
		"PersonOfMany":   (*crowd).testPersonOfMany,
		"AliasesGo":      (*crowd).testAliasesGo,
		"Select":         (*crowd).testSelect,
		"SelectStops":    (*crowd).testSelectStops,
		"Targets":        (*crowd).testTargets,
		"Rule":           (*crowd).testRule,
		"RuleTooLate":    (*crowd).testRuleTooLate,
		"RuleMany":       (*crowd).testRuleMany,
		"TargetsSparse":  (*crowd).testTargetsSparse,
		"Sweep":          (*crowd).testSweep,
		"Undo":           (*crowd).testUndo,
		"Concurrent":     (*crowd).testConcurrent,
		"Random":         (*crowd).testRandom,
		"EndedOperation": (*crowd).testEndedOperation,
	} {
		t.Run(name, func(t *testing.T) {
			s, reopen := open(t)
			test(&crowd{s, reopen}, t)
		})
	}
}

// crowd is a store under test.
type crowd struct {
	audience.Store
	again func() audience.Store
}

// twice runs check on the store, and again on the store reopened.
func (c *crowd) twice(t *testing.T, check func(t *testing.T)) {
	t.Helper()
	twice(t, &c.Store, c.again, check)
}

var noon = time.Date(2026, 5, 1, 12, 0, 0, 123456789, time.UTC)

// someApp is the app of most tests.
const someApp audience.AppNumber = 1

// say returns a change by which an app says so of an installation, at a time.
func say(r audience.Registration, at time.Time) func(audience.Installation) (audience.Installation, bool, error) {
	return func(i audience.Installation) (audience.Installation, bool, error) { return i.Register(r, at) }
}

// register has an app say so at noon.
func (c *crowd) register(t *testing.T, app audience.AppNumber, id audience.InstallationID, r audience.Registration) audience.Installation {
	t.Helper()
	i, err := c.Change(t.Context(), app, id, say(r, noon))
	if err != nil {
		t.Fatalf("registering %s: %v", id, err)
	}
	return i
}

// with returns a registration with a device token of the sandbox, none if it is
// empty, and tags.
func with(deviceToken string, tags ...string) audience.Registration {
	r := audience.Registration{Tags: tags}
	if deviceToken != "" {
		r.DeviceTokens = []audience.RegisteredToken{{Environment: "sandbox", Value: deviceToken}}
	}
	return r
}

// want checks that an installation is stored as it is, or not at all if it is the
// zero value.
func (c *crowd) want(t *testing.T, app audience.AppNumber, id audience.InstallationID, want audience.Installation) {
	t.Helper()
	got, err := c.Installation(t.Context(), app, id)
	located := audience.Located{Ordinal: want.Ordinal, Known: !want.IsZero()}
	if o, failed := c.Ordinals(t.Context(), app, []audience.InstallationID{id}); failed != nil || len(o) != 1 || o[0] != located {
		t.Errorf("ordinal of %s: got %v, %v, want %v", id, o, failed, located)
	}
	if want.IsZero() {
		if !errors.Is(err, audience.ErrNotFound) {
			t.Errorf("installation %s: got %+v, %v, want ErrNotFound", id, got, err)
		}
		return
	}
	if d := diff(want, got); err != nil || d != "" {
		t.Errorf("installation %s: %v (-want +got)\n%s", id, err, d)
	}
}

func diff(want, got any) string { return cmp.Diff(want, got, cmpopts.EquateEmpty()) }

func (c *crowd) testChange(t *testing.T) {
	r := audience.Registration{
		DeviceTokens: []audience.RegisteredToken{
			{Environment: "production", Value: "aa"},
			{Kind: audience.KindVoIP, Environment: "sandbox", Value: "bb"},
			{Kind: audience.KindActivity, Name: "ride-7", Environment: "sandbox", Value: "cc"},
			{Kind: audience.KindActivity, Name: "ride-8", Environment: "sandbox", Value: "dd"},
		},
		Person: map[string]string{"external_id": "u42", "email": "anna@example.com"},
		Tags:   []string{"news", "city:zürich"}, Locale: "de-CH", TimeZone: "Europe/Zurich", AppVersion: "5.2.0", Sequence: 1<<64 - 1,
	}
	c.want(t, someApp, "i1", audience.Installation{})
	first := c.register(t, someApp, "i1", r)
	if first.Ordinal != 0 || first.ID != "i1" || len(first.Destinations) != 4 {
		t.Errorf("got %+v", first)
	}
	c.twice(t, func(t *testing.T) { c.want(t, someApp, "i1", first) })

	// Another shape of the same installation: one device token stays, one changes,
	// two go, and all that is said once.
	second, err := c.Change(t.Context(), someApp, "i1", func(i audience.Installation) (audience.Installation, bool, error) {
		if d := diff(first, i); d != "" {
			t.Errorf("to be changed (-want +got):\n%s", d)
		}
		i.ID, i.Ordinal = "other", 99 // has no effect
		return i.Register(audience.Registration{
			DeviceTokens: []audience.RegisteredToken{
				{Environment: "production", Value: "aa"}, {Kind: audience.KindVoIP, Environment: "sandbox", Value: "b0"},
			},
			Tags: []string{"news", "sport"},
		}, noon.Add(time.Minute))
	})
	if err != nil || second.Ordinal != 0 || second.ID != "i1" || len(second.Destinations) != 2 {
		t.Errorf("got %+v, %v", second, err)
	}
	c.twice(t, func(t *testing.T) { c.want(t, someApp, "i1", second) })

	unchanged, err := c.Change(t.Context(), someApp, "i1", func(i audience.Installation) (audience.Installation, bool, error) {
		i.Locale = "fr"
		return i, false, nil
	})
	if d := diff(second, unchanged); err != nil || d != "" {
		t.Errorf("a change that is none: %v (-want +got)\n%s", err, d)
	}
	c.want(t, someApp, "i1", second)
}

func (c *crowd) testChangeFails(t *testing.T) {
	first := c.register(t, someApp, "i1", with("aa", "news"))
	boom := errors.New("boom")
	for _, id := range []audience.InstallationID{"i1", "i2"} {
		_, err := c.Change(t.Context(), someApp, id, func(audience.Installation) (audience.Installation, bool, error) {
			return audience.Installation{ID: id, CreatedAt: noon}, true, boom
		})
		if !errors.Is(err, boom) {
			t.Errorf("got %v, want that of the function", err)
		}
	}
	c.twice(t, func(t *testing.T) {
		c.want(t, someApp, "i1", first)
		c.want(t, someApp, "i2", audience.Installation{})
	})
	if i := c.register(t, someApp, "i2", with("")); i.Ordinal != 1 {
		t.Errorf("got ordinal %d, want 1", i.Ordinal)
	}
}

// remove removes an installation.
func (c *crowd) remove(t *testing.T, id audience.InstallationID) {
	t.Helper()
	i, err := c.Change(t.Context(), someApp, id, func(audience.Installation) (audience.Installation, bool, error) {
		return audience.Installation{}, true, nil
	})
	if err != nil || !i.IsZero() {
		t.Errorf("removing %s: got %+v, %v", id, i, err)
	}
}

func (c *crowd) testRemove(t *testing.T) {
	c.register(t, someApp, "i0", with("aa"))
	c.register(t, someApp, "i1", audience.Registration{
		DeviceTokens: with("bb").DeviceTokens, Tags: []string{"news"}, Person: map[string]string{"id": "u1"},
	})
	c.remove(t, "i1")
	c.remove(t, "i1")
	c.remove(t, "never")
	c.twice(t, func(t *testing.T) {
		c.want(t, someApp, "i1", audience.Installation{})
		if got := c.selected(t, audience.Selection{Use: audience.Use{Kind: audience.KindAlert}, Below: 9}); got != "0/0" {
			t.Errorf("got %s, want 0/0", got)
		}
		if got, err := c.Person(t.Context(), someApp, audience.Alias{Label: "id", ID: "u1"}, 9); err != nil || len(got) > 0 {
			t.Errorf("got installations %v, %v, want none", got, err)
		}
	})
	// Its ordinal is not given again, and it is not the same when it comes back.
	if i := c.register(t, someApp, "i1", with("bb")); i.Ordinal != 2 || len(i.Tags) != 0 {
		t.Errorf("got %+v, want ordinal 2", i)
	}
	if b, err := c.Bound(t.Context(), someApp); b != 3 || err != nil {
		t.Errorf("got bound %d, %v, want 3", b, err)
	}
}

func (c *crowd) testTokenMoves(t *testing.T) {
	one := c.register(t, someApp, "i1", audience.Registration{DeviceTokens: []audience.RegisteredToken{
		{Environment: "sandbox", Value: "aa"}, {Environment: "production", Value: "aa"}, {Kind: audience.KindVoIP, Environment: "sandbox", Value: "bb"},
	}})
	foreign := c.register(t, 2, "i1", with("aa"))
	two := c.register(t, someApp, "i2", with("aa"))
	one.Destinations = slices.DeleteFunc(one.Destinations, func(d audience.Destination) bool {
		return d.DeviceToken == "\xaa" && d.Environment == apns.Sandbox
	})
	c.twice(t, func(t *testing.T) {
		c.want(t, someApp, "i1", one)
		c.want(t, someApp, "i2", two)
		c.want(t, 2, "i1", foreign)
		c.wantFound(t, someApp, apns.Sandbox, "\xaa", &two)
		c.wantFound(t, someApp, apns.Production, "\xaa", &one)
		c.wantFound(t, someApp, apns.Sandbox, "\xbb", &one)
		c.wantFound(t, 2, apns.Sandbox, "\xaa", &foreign)
		c.wantFound(t, 2, apns.Sandbox, "\xbb", nil)
		c.wantFound(t, 3, apns.Sandbox, "\xaa", nil)
		c.wantFound(t, someApp, apns.Production, "\xbb", nil)
	})
	c.remove(t, "i2")
	c.twice(t, func(t *testing.T) { c.wantFound(t, someApp, apns.Sandbox, "\xaa", nil) })
}

// wantFound checks what is found by a device token: that of an installation, nil for
// none.
func (c *crowd) wantFound(t *testing.T, app audience.AppNumber, e apns.Environment, token apns.DeviceToken, at *audience.Installation) {
	t.Helper()
	got, err := c.Find(t.Context(), app, e, token)
	if at == nil {
		if !errors.Is(err, audience.ErrNotFound) {
			t.Errorf("app %d, %v, %x: got %+v, %v, want none", app, e, string(token), got, err)
		}
		return
	}
	want := audience.Target{Ordinal: at.Ordinal}
	for _, d := range at.Destinations {
		if d.Environment == e && d.DeviceToken == token {
			want.Destination = d
		}
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("app %d, %v, %x: %v (-want +got):\n%s", app, e, string(token), err, diff)
	}
}

func (c *crowd) testApps(t *testing.T) {
	a, b := c.register(t, 1, "i1", with("aa")), c.register(t, 1<<32-1, "i1", with("bb"))
	if a.Ordinal != 0 || b.Ordinal != 0 {
		t.Errorf("got ordinals %d and %d, want 0 of each app", a.Ordinal, b.Ordinal)
	}
	c.twice(t, func(t *testing.T) {
		c.want(t, 1, "i1", a)
		c.want(t, 1<<32-1, "i1", b)
		c.want(t, 2, "i1", audience.Installation{})
		if n, err := c.Bound(t.Context(), 2); n != 0 || err != nil {
			t.Errorf("got bound %d, %v of an app without installations, want 0", n, err)
		}
	})
}

func (c *crowd) testList(t *testing.T) {
	var all []audience.Installation
	for n := range 5 {
		id := audience.InstallationID(fmt.Sprint("i", n))
		all = append(all, c.register(t, someApp, id, with(fmt.Sprintf("%02x", n), "news")))
	}
	c.remove(t, "i2")
	for _, tt := range []struct {
		from  audience.Ordinal
		limit int
		want  []audience.Installation
	}{
		{0, 2, all[:2]},
		{1, 2, []audience.Installation{all[1], all[3]}},
		{4, 2, all[4:]},
		{5, 2, nil},
		{1<<32 - 1, 2, nil},
	} {
		got, err := c.List(t.Context(), someApp, tt.from, tt.limit)
		if d := diff(tt.want, got); err != nil || d != "" {
			t.Errorf("from %d, %d: %v (-want +got)\n%s", tt.from, tt.limit, err, d)
		}
	}
}

func (c *crowd) testPeople(t *testing.T) {
	says := func(id audience.InstallationID, person ...string) error {
		r := audience.Registration{Person: map[string]string{}}
		for n := 0; n < len(person); n += 2 {
			r.Person[person[n]] = person[n+1]
		}
		_, err := c.Change(t.Context(), someApp, id, say(r, noon))
		return err
	}
	for id, person := range map[audience.InstallationID][]string{"i1": {"id", "anna"}, "i2": {"id", "bert"}, "i3": nil} {
		if err := says(id, person...); err != nil {
			t.Fatal(err)
		}
	}
	// A second alias of Anna, told by another of her devices.
	if err := says("i4", "id", "anna", "mail", "anna@example.com"); err != nil {
		t.Fatal(err)
	}
	if err := says("i5", "id", "bert", "mail", "anna@example.com"); !errors.Is(err, audience.ErrPersons) {
		t.Errorf("aliases of two people: got %v, want ErrPersons", err)
	}
	if err := says("i2", "mail", "anna@example.com"); err != nil { // a phone handed down
		t.Fatal(err)
	}
	uses := func(label, id string) string {
		all, err := c.Person(t.Context(), someApp, audience.Alias{Label: label, ID: id}, 9)
		if err != nil {
			t.Error(err)
		}
		var ids []string
		for _, o := range all {
			i, err := c.List(t.Context(), someApp, o, 1)
			if err != nil || len(i) != 1 {
				t.Fatalf("ordinal %d: got %v, %v", o, i, err)
			}
			ids = append(ids, string(i[0].ID))
		}
		slices.Sort(ids)
		return fmt.Sprint(ids)
	}
	c.twice(t, func(t *testing.T) {
		for _, tt := range []struct{ label, id, want string }{
			{"id", "anna", "[i1 i2 i4]"},
			{"mail", "anna@example.com", "[i1 i2 i4]"},
			{"id", "bert", "[]"},
			{"mail", "anna", "[]"},
			{"id", "", "[]"},
		} {
			if got := uses(tt.label, tt.id); got != tt.want {
				t.Errorf("%s %s: got %s, want %s", tt.label, tt.id, got, tt.want)
			}
		}
		c.want(t, someApp, "i5", audience.Installation{})
	})
	if all, err := c.Person(t.Context(), someApp, audience.Alias{Label: "id", ID: "anna"}, 2); len(all) != 2 || err != nil {
		t.Errorf("two at most: got %v, %v", all, err)
	}
}

// selected returns the ordinals of a selection, as chunk/slot.
func (c *crowd) selected(t *testing.T, s audience.Selection) (text string) {
	t.Helper()
	err := c.Select(t.Context(), someApp, s, func(n audience.Chunk, m *audience.Members) error {
		for _, slot := range m.All() {
			if text != "" {
				text += " "
			}
			text += fmt.Sprint(n, "/", slot)
		}
		return nil
	})
	if err != nil {
		t.Errorf("selecting %+v: %v", s, err)
	}
	return text
}

func (c *crowd) testSelect(t *testing.T) {
	c.register(t, someApp, "i0", with("00", "news", "sport"))
	c.register(t, someApp, "i1", with("01", "sport"))
	c.register(t, someApp, "i2", with("", "news")) // no device token
	c.register(t, someApp, "i3", audience.Registration{
		DeviceTokens: []audience.RegisteredToken{
			{Environment: "production", Value: "03"}, {Kind: audience.KindVoIP, Environment: "sandbox", Value: "04"}, {Environment: "sandbox", Value: "05"},
		},
		Tags: []string{"news"},
	})
	gone := c.register(t, someApp, "i4", with("06", "news"))
	c.rule(t, gone, audience.Standing{State: audience.Gone, RegisteredAt: noon, Reason: apns.Unregistered, ReasonAt: noon, JudgedBy: [16]byte{1}})
	doubt := c.register(t, someApp, "i5", with("07", "news"))
	c.rule(t, doubt, audience.Standing{State: audience.Quarantined, RegisteredAt: noon, Reason: apns.BadDeviceToken, ReasonAt: noon, JudgedBy: [16]byte{1}})
	c.register(t, 2, "i0", with("08", "news"))
	alert, voip := audience.Use{Kind: audience.KindAlert}, audience.Use{Kind: audience.KindVoIP}
	production := audience.Use{Kind: audience.KindAlert, Environment: apns.Production}
	for _, tt := range []struct {
		name string
		s    audience.Selection
		want string
	}{
		{"everybody", audience.Selection{Use: alert, Below: 1 << 31}, "0/0 0/1 0/3 0/5"},
		{"an environment", audience.Selection{Use: production, Below: 9}, "0/3"},
		{"a kind", audience.Selection{Use: voip, Below: 9}, "0/3"},
		{"a tag", audience.Selection{Use: alert, Tag: "news", Below: 9}, "0/0 0/3 0/5"},
		{"a tag, and a kind", audience.Selection{Use: voip, Tag: "sport", Below: 9}, ""},
		{"nobody's tag", audience.Selection{Use: alert, Tag: "new", Below: 9}, ""},
		{"bounded", audience.Selection{Use: alert, Below: 3}, "0/0 0/1"},
		{"nobody", audience.Selection{Use: alert}, ""},
		{"later chunks", audience.Selection{Use: alert, From: 1, Below: 1 << 31}, ""},
	} {
		if got := c.selected(t, tt.s); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

func (c *crowd) testSelectStops(t *testing.T) {
	c.register(t, someApp, "i0", with("00"))
	boom := errors.New("boom")
	err := c.Select(t.Context(), someApp, audience.Selection{Use: audience.Use{Kind: audience.KindAlert}, Below: 9},
		func(audience.Chunk, *audience.Members) error { return boom })
	if !errors.Is(err, boom) {
		t.Errorf("got %v, want the error of the function", err)
	}
}

func (c *crowd) testTargets(t *testing.T) {
	both := audience.Registration{DeviceTokens: []audience.RegisteredToken{
		{Environment: "sandbox", Value: "01"}, {Environment: "production", Value: "02"}, {Kind: audience.KindVoIP, Environment: "sandbox", Value: "03"},
	}}
	c.register(t, someApp, "i0", with("00"))
	one := c.register(t, someApp, "i1", both)
	c.register(t, someApp, "i2", with(""))
	three := c.register(t, someApp, "i3", with("04"))
	var m audience.Members
	for _, o := range []audience.Ordinal{1, 2, 3, 100} {
		m.Add(o.Slot())
	}
	for _, tt := range []struct {
		name string
		use  audience.Use
		n    audience.Chunk
		want []audience.Target
	}{
		{"both", audience.Use{Kind: audience.KindAlert}, 0, []audience.Target{
			{Ordinal: 1, Destination: one.Destinations[0]}, {Ordinal: 1, Destination: one.Destinations[1]}, {Ordinal: 3, Destination: three.Destinations[0]},
		}},
		{"one", audience.Use{Kind: audience.KindAlert, Environment: apns.Production}, 0, []audience.Target{{Ordinal: 1, Destination: one.Destinations[1]}}},
		{"another kind", audience.Use{Kind: audience.KindVoIP}, 0, []audience.Target{{Ordinal: 1, Destination: one.Destinations[2]}}},
		{"another chunk", audience.Use{Kind: audience.KindAlert}, 1, nil},
	} {
		got, err := c.Targets(t.Context(), someApp, tt.n, &m, tt.use)
		if d := diff(tt.want, got); err != nil || d != "" {
			t.Errorf("%s: %v (-want +got)\n%s", tt.name, err, d)
		}
	}
	if got, err := c.Targets(t.Context(), someApp, 0, &audience.Members{}, audience.Use{Kind: audience.KindAlert}); len(got) > 0 || err != nil {
		t.Errorf("of nobody: got %v, %v", got, err)
	}
}

// rule makes the first destination of an installation have a standing.
func (c *crowd) rule(t *testing.T, i audience.Installation, s audience.Standing) {
	t.Helper()
	err := c.Rule(t.Context(), someApp, []audience.Ruling{{Target: audience.Target{Ordinal: i.Ordinal, Destination: i.Destinations[0]}, After: s}})
	if err != nil {
		t.Error(err)
	}
}

func (c *crowd) testRule(t *testing.T) {
	i := c.register(t, someApp, "i1", audience.Registration{DeviceTokens: []audience.RegisteredToken{
		{Environment: "sandbox", Value: "01"}, {Environment: "production", Value: "02"},
	}})
	if err := c.Rule(t.Context(), someApp, nil); err != nil {
		t.Error(err)
	}
	for _, s := range []audience.Standing{
		{RegisteredAt: noon, AcceptedAt: noon.Add(time.Second)},
		{
			State: audience.Quarantined, RegisteredAt: noon, AcceptedAt: noon.Add(time.Second),
			Reason: apns.BadDeviceToken, ReasonAt: noon.Add(time.Hour), Strikes: 2, JudgedBy: [16]byte{15: 0xff},
		},
		{State: audience.Gone, RegisteredAt: noon, Reason: "a reason of the future", ReasonAt: noon, JudgedBy: [16]byte{1}},
		{RegisteredAt: noon},
	} {
		c.rule(t, i, s)
		want := i
		want.Destinations = slices.Clone(i.Destinations)
		want.Destinations[0].Standing = s
		c.twice(t, func(t *testing.T) { c.want(t, someApp, "i1", want) })
	}
}

// testRuleTooLate has the app register before the ruling comes.
func (c *crowd) testRuleTooLate(t *testing.T) {
	before := c.register(t, someApp, "i1", with("01"))
	gone := audience.Standing{State: audience.Gone, RegisteredAt: noon, Reason: apns.Unregistered, ReasonAt: noon, JudgedBy: [16]byte{1}}
	for name, r := range map[string]audience.Registration{"another device token": with("02"), "the same again": with("01"), "none": with("")} {
		after, err := c.Change(t.Context(), someApp, "i1", say(r, noon.Add(2*time.Hour)))
		if err != nil {
			t.Fatal(err)
		}
		c.rule(t, before, gone)
		got, err := c.Installation(t.Context(), someApp, "i1")
		if d := diff(after, got); err != nil || d != "" {
			t.Errorf("%s: %v (-want +got)\n%s", name, err, d)
		}
	}
	c.remove(t, "i1")
	c.rule(t, before, gone)
	c.want(t, someApp, "i1", audience.Installation{})
}

func (c *crowd) testUndo(t *testing.T) {
	var all []audience.Installation
	for n := range 4 {
		i := c.register(t, someApp, audience.InstallationID(fmt.Sprint("i", n)), with(fmt.Sprintf("%02x", n)))
		s := audience.Standing{
			State: audience.Gone, RegisteredAt: noon, AcceptedAt: noon, Reason: apns.BadDeviceToken, ReasonAt: noon, Strikes: 1, JudgedBy: [16]byte{byte(n % 2), 1},
		}
		if n == 2 {
			s.State = audience.Quarantined
		}
		c.rule(t, i, s)
		i.Destinations[0].Standing = s
		all = append(all, i)
	}
	for _, n := range []int{2, 0} { // undone once is done
		if got, err := c.Undo(t.Context(), someApp, [16]byte{0, 1}); got != n || err != nil {
			t.Errorf("got %d undone, %v, want %d", got, err, n)
		}
	}
	if got, err := c.Undo(t.Context(), 2, [16]byte{1, 1}); got != 0 || err != nil {
		t.Errorf("another app: got %d undone, %v, want 0", got, err)
	}
	for _, n := range []int{0, 2} {
		all[n].Destinations[0].Standing = all[n].Destinations[0].Standing.Undone()
	}
	c.twice(t, func(t *testing.T) {
		for _, i := range all {
			c.want(t, someApp, i.ID, i)
		}
	})
}

// testConcurrent registers the same installations from many sides.
func (c *crowd) testConcurrent(t *testing.T) {
	const installations, writers = 8, 4
	var writing sync.WaitGroup
	for w := range writers {
		writing.Go(func() {
			for n := range installations {
				id := audience.InstallationID(fmt.Sprint("i", n))
				r := with(fmt.Sprintf("%02x%02x", n, w), fmt.Sprint("writer", w))
				if _, err := c.Change(t.Context(), someApp, id, func(i audience.Installation) (audience.Installation, bool, error) {
					i, _, err := i.Register(r, noon)
					i.Sequence++ // in no other way is a lost update seen
					return i, true, err
				}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writing.Wait()
	c.twice(t, func(t *testing.T) {
		all, err := c.List(t.Context(), someApp, 0, installations+1)
		if err != nil || len(all) != installations {
			t.Fatalf("got %d installations, %v, want %d", len(all), err, installations)
		}
		for n, i := range all {
			if i.Ordinal != audience.Ordinal(n) || i.Sequence != writers || len(i.Destinations) != 1 || len(i.Tags) != 1 {
				t.Errorf("got %+v, want ordinal %d after %d changes", i, n, writers)
			}
		}
	})
}

// testEndedOperation proves that nothing waits for a caller who has gone.
func (c *crowd) testEndedOperation(t *testing.T) {
	c.register(t, someApp, "i1", with("aa"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := c.Select(ctx, someApp, audience.Selection{Use: audience.Use{Kind: audience.KindAlert}, Below: 9},
		func(audience.Chunk, *audience.Members) error { return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}
