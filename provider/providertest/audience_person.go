package providertest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/heraldpush/herald/provider/audience"
)

// of returns a registration with a device token of the sandbox, and the aliases of a
// person: a label and an ID by turns.
func of(deviceToken string, aliases ...string) audience.Registration {
	r := with(deviceToken, "news")
	r.Person = make(map[string]string)
	for pair := range slices.Chunk(aliases, 2) {
		r.Person[pair[0]] = pair[1]
	}
	return r
}

// saying returns a change by which an app says another thing of an installation, a
// minute after noon.
func saying(patch string) func(audience.Installation) (audience.Installation, bool, error) {
	return func(i audience.Installation) (audience.Installation, bool, error) {
		r, err := i.Registration().Patch([]byte(patch))
		if err != nil {
			return i, false, err
		}
		return i.Register(r, noon.Add(time.Minute))
	}
}

var (
	anna = audience.Alias{Label: "id", ID: "anna"}
	bert = audience.Alias{Label: "id", ID: "bert"}
)

// wantPerson checks which installations a person uses.
func (c *crowd) wantPerson(t *testing.T, a audience.Alias, want ...audience.Ordinal) {
	t.Helper()
	if got, err := c.Person(t.Context(), someApp, a, 9); err != nil || !slices.Equal(got, want) {
		t.Errorf("%s: got installations %v, %v, want %v", a.ID, got, err, want)
	}
}

// testPerson changes, and then removes, all installations of a person.
func (c *crowd) testPerson(t *testing.T) {
	c.register(t, someApp, "i0", of("a0", "id", "anna"))
	other := c.register(t, someApp, "i1", of("a1", "id", "bert"))
	c.register(t, someApp, "i2", of("a2", "id", "anna", "mail", "anna@example.com"))
	foreign := c.register(t, 2, "i0", of("a0", "id", "anna"))
	if all, err := c.ChangePerson(t.Context(), someApp, audience.Alias{Label: "id", ID: "carl"}, saying(`{}`)); !errors.Is(err, audience.ErrNotFound) {
		t.Errorf("nobody: got %v, %v, want ErrNotFound", all, err)
	}

	all, err := c.ChangePerson(t.Context(), someApp, anna, saying(`{"person":{"id":"ann","phone":"42"},"tags":["sport"]}`))
	if err != nil || len(all) != 2 || all[0].ID != "i0" || all[1].ID != "i2" || len(all[1].Person) != 3 {
		t.Fatalf("got %+v, %v, want i0 and i2 of ann", all, err)
	}
	c.twice(t, func(t *testing.T) {
		c.want(t, someApp, "i0", all[0])
		c.want(t, someApp, "i2", all[1])
		c.want(t, someApp, "i1", other)
		c.want(t, 2, "i0", foreign)
		c.wantPerson(t, audience.Alias{Label: "phone", ID: "42"}, 0, 2)
		c.wantPerson(t, bert, 1)
	})

	// An alias that no installation names any more is nobody's.
	c.wantPerson(t, anna)

	// Of what changes nothing, what was there is returned.
	same, err := c.ChangePerson(t.Context(), someApp, audience.Alias{Label: "phone", ID: "42"}, func(i audience.Installation) (audience.Installation, bool, error) {
		if i.ID == "i0" {
			return audience.Installation{}, true, nil
		}
		i.Locale = "fr"
		return i, false, nil
	})
	if d := diff(all[1:], same); err != nil || d != "" {
		t.Errorf("one removed, one as it was: %v (-want +got)\n%s", err, d)
	}
	c.twice(t, func(t *testing.T) {
		c.want(t, someApp, "i0", audience.Installation{})
		c.want(t, someApp, "i2", all[1])
		c.want(t, someApp, "i1", other)
		c.wantPerson(t, audience.Alias{Label: "phone", ID: "42"}, 2)
	})
	if i := c.register(t, someApp, "i3", of("a0")); i.Ordinal != 3 { // a device token that was removed with its own
		t.Errorf("got ordinal %d, want 3", i.Ordinal)
	}
}

// testPersonFails proves that a change of which one part is not possible changes
// nothing, whatever came before that.
func (c *crowd) testPersonFails(t *testing.T) {
	var before []audience.Installation
	for n, r := range []audience.Registration{
		of("a0", "id", "anna"), of("a1", "id", "anna", "mail", "anna@example.com"), of("a2", "id", "anna"), of("a3", "id", "bert"),
	} {
		before = append(before, c.register(t, someApp, audience.InstallationID(fmt.Sprint("i", n)), r))
	}
	boom := errors.New("boom")
	for name, tt := range map[string]struct {
		f    func(audience.Installation) (audience.Installation, bool, error)
		want error
	}{
		"an error after changes": {func(i audience.Installation) (audience.Installation, bool, error) {
			if i.ID == "i2" {
				return i, true, boom
			}
			return saying(`{"person":{"id":"other","new":"1"},"tags":["new"],"device_tokens":[{"environment":"sandbox","value":"b` + string(i.ID[1]) + `"}]}`)(i)
		}, boom},
		"an error after removals": {func(i audience.Installation) (audience.Installation, bool, error) {
			if i.ID == "i2" {
				return i, true, boom
			}
			return audience.Installation{}, true, nil
		}, boom},
		"no registration": {func(i audience.Installation) (audience.Installation, bool, error) {
			if i.ID == "i1" {
				return saying(`{"tags":[""]}`)(i)
			}
			return saying(`{"tags":["new"]}`)(i)
		}, nil},
		"another's alias": {saying(`{"person":{"id":"bert"}}`), audience.ErrPersons},
		"another's alias after changes": {func(i audience.Installation) (audience.Installation, bool, error) {
			if i.ID == "i2" {
				return saying(`{"person":{"id":"bert"}}`)(i)
			}
			return saying(`{"person":{"id":null,"new":"1"},"tags":["new"]}`)(i)
		}, audience.ErrPersons},
	} {
		all, err := c.ChangePerson(t.Context(), someApp, anna, tt.f)
		if err == nil || tt.want != nil && !errors.Is(err, tt.want) || len(all) > 0 {
			t.Errorf("%s: got %v, %v, want the error %v alone", name, all, err, tt.want)
		}
		c.twice(t, func(t *testing.T) {
			for n := range before {
				c.want(t, someApp, before[n].ID, before[n])
				c.wantFound(t, someApp, before[n].Destinations[0].Environment, before[n].Destinations[0].DeviceToken, &before[n])
			}
			c.wantPerson(t, anna, 0, 1, 2)
			c.wantPerson(t, bert, 3)
			c.wantPerson(t, audience.Alias{Label: "new", ID: "1"})
			if got := c.selected(t, audience.Selection{Use: audience.Use{Kind: audience.KindAlert}, Tag: "news", Below: 9}); got != "0/0 0/1 0/2 0/3" {
				t.Errorf("%s: got %s with the tag, want all", name, got)
			}
		})
	}
	// Nothing is left of the aliases that were to be: they can be another person's.
	c.register(t, someApp, "i4", of("a4", "id", "other"))
	c.register(t, someApp, "i5", of("a5", "id", "bert", "new", "1"))
	c.wantPerson(t, audience.Alias{Label: "new", ID: "1"}, 3, 5)
}

// testPersonOfMany proves that no more than the limit is changed at once.
func (c *crowd) testPersonOfMany(t *testing.T) {
	const writers = 8 // so that they share what it takes to store them
	var writing sync.WaitGroup
	for w := range writers {
		writing.Go(func() {
			for n := w; n <= audience.MaxOfPerson; n += writers {
				if _, err := c.Change(t.Context(), someApp, audience.InstallationID(fmt.Sprint("i", n)), say(of("", "id", "anna"), noon)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writing.Wait()
	called := false
	all, err := c.ChangePerson(t.Context(), someApp, anna, func(i audience.Installation) (audience.Installation, bool, error) {
		called = true
		return i, false, nil
	})
	if !errors.Is(err, audience.ErrManyInstallations) || called || len(all) > 0 {
		t.Errorf("one too many: got %d, %v, want ErrManyInstallations", len(all), err)
	}
	c.remove(t, "i7")
	all, err = c.ChangePerson(t.Context(), someApp, anna, saying(`{"tags":["all"]}`))
	if err != nil || len(all) != audience.MaxOfPerson {
		t.Fatalf("got %d, %v, want %d", len(all), err, audience.MaxOfPerson)
	}
	c.want(t, someApp, all[500].ID, all[500])
	all, err = c.ChangePerson(t.Context(), someApp, anna, func(audience.Installation) (audience.Installation, bool, error) {
		return audience.Installation{}, true, nil
	})
	if err != nil || len(all) > 0 {
		t.Errorf("removed: got %d left, %v", len(all), err)
	}
	c.wantPerson(t, anna)
}

// testAliasesGo proves that an alias is nobody's when no installation names it any more,
// so that it can be another's, and that it is a person's as long as one does.
func (c *crowd) testAliasesGo(t *testing.T) {
	mail := audience.Alias{Label: "mail", ID: `"anna" <anna&co@example.com>`}
	c.register(t, someApp, "i0", of("a0", "id", "anna", mail.Label, mail.ID))
	c.register(t, someApp, "i1", of("a1", "id", "anna", mail.Label, mail.ID))
	c.register(t, 2, "i0", of("a0", "id", "anna"))

	c.register(t, someApp, "i0", of("a0", "id", "anna")) // i1 names the other still
	c.wantPerson(t, mail, 0, 1)
	c.register(t, someApp, "i1", of("a1", "id", "anna"))
	c.twice(t, func(t *testing.T) { c.wantPerson(t, mail) })
	c.register(t, someApp, "i2", of("a2", "id", "bert", mail.Label, mail.ID))
	c.wantPerson(t, mail, 2)

	c.remove(t, "i0")
	c.wantPerson(t, anna, 1)
	c.register(t, someApp, "i1", of("a1", "id", "carl")) // another person uses it now
	c.twice(t, func(t *testing.T) { c.wantPerson(t, anna) })
	c.register(t, someApp, "i3", of("a3", "id", "anna", mail.Label, mail.ID)) // she is bert, it is said
	c.wantPerson(t, anna, 2, 3)

	if all, err := c.ChangePerson(t.Context(), someApp, bert, func(audience.Installation) (audience.Installation, bool, error) {
		return audience.Installation{}, true, nil
	}); err != nil || len(all) > 0 {
		t.Errorf("got %v, %v", all, err)
	}
	c.twice(t, func(t *testing.T) {
		for _, a := range []audience.Alias{anna, bert, mail} {
			c.wantPerson(t, a)
		}
		if got, err := c.Person(t.Context(), 2, anna, 9); err != nil || len(got) != 1 {
			t.Errorf("of another app: got %v, %v, want one", got, err)
		}
	})
	// What they were is not joined by what comes later.
	c.register(t, someApp, "i4", of("a4", "id", "bert"))
	c.register(t, someApp, "i5", of("a5", "id", "anna"))
	c.wantPerson(t, bert, 4)
}
