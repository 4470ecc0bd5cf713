package memory

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/provider/audience"
)

// Audience is an audience.Store.
type Audience struct {
	mu   sync.Mutex
	apps map[audience.AppNumber]*crowd // guarded by mu
}

var _ audience.Store = (*Audience)(nil)

// NewAudience returns an empty store.
func NewAudience() *Audience { return &Audience{apps: make(map[audience.AppNumber]*crowd)} }

// crowd is the installations of an app.
type crowd struct {
	byID      map[audience.InstallationID]audience.Ordinal
	byOrdinal []*audience.Installation // nil for one that was removed
	owners    map[ownedToken]audience.Ordinal
	people    map[audience.Alias]int
	person    []int // of each installation, 0 for none
	persons   int   // given so far
}

type ownedToken struct {
	environment apns.Environment
	deviceToken apns.DeviceToken
}

// crowd returns the installations of an app. The caller holds mu.
func (a *Audience) crowd(app audience.AppNumber) *crowd {
	c := a.apps[app]
	if c == nil {
		c = &crowd{
			byID:   make(map[audience.InstallationID]audience.Ordinal),
			owners: make(map[ownedToken]audience.Ordinal), people: make(map[audience.Alias]int),
		}
		a.apps[app] = c
	}
	return c
}

// get returns an installation, or nil.
func (c *crowd) get(id audience.InstallationID) *audience.Installation {
	if o, ok := c.byID[id]; ok {
		return c.byOrdinal[o]
	}
	return nil
}

// copied returns a copy that nobody else has.
func copied(i *audience.Installation) audience.Installation {
	c := *i
	c.Destinations, c.Person, c.Tags = slices.Clone(i.Destinations), slices.Clone(i.Person), slices.Clone(i.Tags)
	return c
}

// Installation implements audience.Store.
func (a *Audience) Installation(_ context.Context, app audience.AppNumber, id audience.InstallationID) (audience.Installation, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	i := a.crowd(app).get(id)
	if i == nil {
		return audience.Installation{}, audience.ErrNotFound
	}
	return copied(i), nil
}

// Ordinals implements audience.Store.
func (a *Audience) Ordinals(_ context.Context, app audience.AppNumber, ids []audience.InstallationID) ([]audience.Located, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	found := make([]audience.Located, len(ids))
	for n, id := range ids {
		if i := a.crowd(app).get(id); i != nil {
			found[n] = audience.Located{Ordinal: i.Ordinal, Known: true}
		}
	}
	return found, nil
}

// Change implements audience.Store.
func (a *Audience) Change(_ context.Context, app audience.AppNumber, id audience.InstallationID, f func(audience.Installation) (audience.Installation, bool, error)) (audience.Installation, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.crowd(app).change(id, 0, f)
}

// ChangePerson implements audience.Store.
func (a *Audience) ChangePerson(_ context.Context, app audience.AppNumber, alias audience.Alias, f func(audience.Installation) (audience.Installation, bool, error)) (all []audience.Installation, _ error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.crowd(app).copied()
	used := c.usedBy(alias, audience.MaxOfPerson+1)
	switch {
	case len(used) == 0:
		return nil, audience.ErrNotFound
	case len(used) > audience.MaxOfPerson:
		return nil, audience.ErrManyInstallations
	}
	for _, o := range used {
		i, err := c.change(c.byOrdinal[o].ID, c.person[o], f)
		if err != nil {
			return nil, err
		}
		if !i.IsZero() {
			all = append(all, i)
		}
	}
	a.apps[app] = c
	return all, nil
}

// copied returns a copy, to be changed in the place of c.
func (c *crowd) copied() *crowd {
	d := &crowd{
		byID: maps.Clone(c.byID), byOrdinal: slices.Clone(c.byOrdinal), owners: maps.Clone(c.owners),
		people: maps.Clone(c.people), person: slices.Clone(c.person), persons: c.persons,
	}
	for n, i := range d.byOrdinal {
		if i != nil {
			own := copied(i)
			d.byOrdinal[n] = &own
		}
	}
	return d
}

// change changes an installation, which is to be a person's if it has any aliases; 0 is
// that of the aliases.
func (c *crowd) change(id audience.InstallationID, person int, f func(audience.Installation) (audience.Installation, bool, error)) (audience.Installation, error) {
	before := audience.Installation{ID: id}
	known := c.get(id)
	if known != nil {
		before = copied(known)
	}
	after, changed, err := f(before)
	if err != nil || !changed {
		return before, err
	}
	if after.IsZero() {
		if known != nil {
			c.remove(known)
		}
		return audience.Installation{}, nil
	}
	person, err = c.personOf(after.Person, person)
	if err != nil {
		return before, err
	}
	after.ID = id
	if known != nil {
		after.Ordinal = known.Ordinal
		c.release(known)
	} else {
		after.Ordinal = audience.Ordinal(len(c.byOrdinal))
		c.byID[id] = after.Ordinal
		c.byOrdinal, c.person = append(c.byOrdinal, nil), append(c.person, 0)
	}
	c.own(&after)
	kept := copied(&after)
	c.byOrdinal[after.Ordinal], c.person[after.Ordinal] = &kept, person
	c.forget(before.Person, after.Person)
	return after, nil
}

// forget removes the aliases that an installation had before, and that none has now.
func (c *crowd) forget(before, after []audience.Alias) {
	for _, a := range before {
		if !slices.Contains(after, a) && !slices.ContainsFunc(c.byOrdinal, func(i *audience.Installation) bool { return i != nil && slices.Contains(i.Person, a) }) {
			delete(c.people, a)
		}
	}
}

func (c *crowd) remove(i *audience.Installation) {
	c.release(i)
	delete(c.byID, i.ID)
	c.byOrdinal[i.Ordinal], c.person[i.Ordinal] = nil, 0
	c.forget(i.Person, nil)
}

// release gives back the device tokens of an installation.
func (c *crowd) release(i *audience.Installation) {
	for _, d := range i.Destinations {
		delete(c.owners, ownedToken{d.Environment, d.DeviceToken})
	}
}

// own takes the device tokens of an installation from whoever has them.
func (c *crowd) own(i *audience.Installation) {
	for _, d := range i.Destinations {
		t := ownedToken{d.Environment, d.DeviceToken}
		if o, ok := c.owners[t]; ok && o != i.Ordinal {
			former := c.byOrdinal[o]
			former.Destinations = slices.DeleteFunc(former.Destinations, func(d audience.Destination) bool {
				return ownedToken{d.Environment, d.DeviceToken} == t
			})
		}
		c.owners[t] = i.Ordinal
	}
}

// personOf returns the person who has the aliases: the one that is given, if it is not
// 0, a new one if nobody has any of them; 0 for no aliases.
func (c *crowd) personOf(aliases []audience.Alias, person int) (int, error) {
	if len(aliases) == 0 {
		return 0, nil
	}
	for _, a := range aliases {
		if p := c.people[a]; p != 0 && person != 0 && p != person {
			return 0, audience.ErrPersons
		} else if p != 0 {
			person = p
		}
	}
	if person == 0 {
		c.persons++
		person = c.persons
	}
	for _, a := range aliases {
		c.people[a] = person
	}
	return person, nil
}

// Find implements audience.Store.
func (a *Audience) Find(_ context.Context, app audience.AppNumber, e apns.Environment, t apns.DeviceToken) (audience.Target, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.crowd(app)
	o, ok := c.owners[ownedToken{e, t}]
	if ok {
		for _, d := range c.byOrdinal[o].Destinations {
			if d.Environment == e && d.DeviceToken == t {
				return audience.Target{Ordinal: o, Destination: d}, nil
			}
		}
	}
	return audience.Target{}, audience.ErrNotFound
}

// List implements audience.Store.
func (a *Audience) List(_ context.Context, app audience.AppNumber, from audience.Ordinal, limit int) (all []audience.Installation, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.crowd(app)
	for o := int(from); o < len(c.byOrdinal) && len(all) < limit; o++ {
		if i := c.byOrdinal[o]; i != nil {
			all = append(all, copied(i))
		}
	}
	return all, nil
}

// Person implements audience.Store.
func (a *Audience) Person(_ context.Context, app audience.AppNumber, alias audience.Alias, limit int) (all []audience.Ordinal, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.crowd(app).usedBy(alias, limit), nil
}

// usedBy returns up to limit ordinals of installations that a person uses.
func (c *crowd) usedBy(alias audience.Alias, limit int) (all []audience.Ordinal) {
	person := c.people[alias]
	for o := 0; o < len(c.person) && len(all) < limit && person != 0; o++ {
		if c.person[o] == person {
			all = append(all, audience.Ordinal(o))
		}
	}
	return all
}

// Bound implements audience.Store.
func (a *Audience) Bound(_ context.Context, app audience.AppNumber) (audience.Ordinal, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return audience.Ordinal(len(a.crowd(app).byOrdinal)), nil
}

// Select implements audience.Store.
func (a *Audience) Select(ctx context.Context, app audience.AppNumber, s audience.Selection, f func(audience.Chunk, *audience.Members) error) error {
	chunks := a.selected(app, s)
	for _, n := range slices.Sorted(maps.Keys(chunks)) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := f(n, chunks[n]); err != nil {
			return err
		}
	}
	return nil
}

func (a *Audience) selected(app audience.AppNumber, s audience.Selection) map[audience.Chunk]*audience.Members {
	a.mu.Lock()
	defer a.mu.Unlock()
	chunks := make(map[audience.Chunk]*audience.Members)
	c := a.crowd(app)
	for o := int(s.From.Ordinal(0)); o < min(len(c.byOrdinal), int(s.Below)); o++ {
		i := c.byOrdinal[o]
		if i == nil || s.Tag != "" && !slices.Contains(i.Tags, s.Tag) || !slices.ContainsFunc(i.Destinations, func(d audience.Destination) bool {
			return s.Use.Matches(&d) && d.Standing.State != audience.Gone
		}) {
			continue
		}
		n := i.Ordinal.Chunk()
		if chunks[n] == nil {
			chunks[n] = &audience.Members{}
		}
		chunks[n].Add(i.Ordinal.Slot())
	}
	return chunks
}

// Targets implements audience.Store.
func (a *Audience) Targets(_ context.Context, app audience.AppNumber, n audience.Chunk, m *audience.Members, u audience.Use) (all []audience.Target, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.crowd(app)
	for _, slot := range m.All() {
		o := n.Ordinal(slot)
		if int(o) >= len(c.byOrdinal) || c.byOrdinal[o] == nil {
			continue
		}
		for _, d := range c.byOrdinal[o].Destinations {
			if u.Matches(&d) {
				all = append(all, audience.Target{Ordinal: o, Destination: d})
			}
		}
	}
	return all, nil
}

// Rule implements audience.Store.
func (a *Audience) Rule(_ context.Context, app audience.AppNumber, rulings []audience.Ruling) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.crowd(app)
	for _, r := range rulings {
		if int(r.Ordinal) >= len(c.byOrdinal) || c.byOrdinal[r.Ordinal] == nil {
			continue
		}
		for n := range c.byOrdinal[r.Ordinal].Destinations {
			d := &c.byOrdinal[r.Ordinal].Destinations[n]
			before := r.Destination
			before.Standing = d.Standing
			if *d == before && d.Standing.RegisteredAt.Equal(r.Standing.RegisteredAt) {
				d.Standing = r.After
			}
		}
	}
	return nil
}

// Undo implements audience.Store.
func (a *Audience) Undo(_ context.Context, app audience.AppNumber, message [16]byte) (n int, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, i := range a.crowd(app).byOrdinal {
		if i == nil {
			continue
		}
		for k := range i.Destinations {
			if s := &i.Destinations[k].Standing; s.State != audience.Active && s.JudgedBy == message {
				*s = s.Undone()
				n++
			}
		}
	}
	return n, nil
}

// Sweep implements audience.Store.
func (a *Audience) Sweep(_ context.Context, before time.Time, limit int) (n int, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, c := range a.apps {
		for _, i := range c.byOrdinal {
			if i == nil {
				continue
			}
			i.Destinations = slices.DeleteFunc(i.Destinations, func(d audience.Destination) bool {
				if n == limit || d.Standing.State != audience.Gone || !d.Standing.ReasonAt.Before(before) {
					return false
				}
				n++
				delete(c.owners, ownedToken{d.Environment, d.DeviceToken})
				return true
			})
		}
	}
	return n, nil
}
