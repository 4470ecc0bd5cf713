package audience

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/heraldpush/herald/apns"
)

// Errors of a Store.
var (
	// ErrNotFound says that the app has no such installation.
	ErrNotFound = errors.New("no such installation")
	// ErrPersons is in the chain of the error for aliases that are those of more
	// than one person.
	ErrPersons = errors.New("the aliases are those of different people")
	// ErrManyInstallations says that a person uses more than MaxOfPerson installations.
	ErrManyInstallations = fmt.Errorf("more than %d installations are this person's: change or delete them one by one", MaxOfPerson)
	// ErrFull says that the disk has no room for a change, which was not made. Stores
	// that keep what is another room's say it too.
	ErrFull = errors.New("the disk is full")
)

// Use tells which device tokens of an installation a message goes to.
type Use struct {
	Kind Kind
	// Environment is that of the device tokens; zero is both.
	Environment apns.Environment
}

// Matches reports whether a destination is one of those.
func (u Use) Matches(d *Destination) bool {
	return d.Kind == u.Kind && (u.Environment == 0 || u.Environment == d.Environment)
}

// Selection tells the installations that a message is for: those that have a
// device token for the use that is not Gone, and the tag, if it is not empty.
type Selection struct {
	Use Use
	Tag string
	// From and Below bound the ordinals: those of From and later chunks that are
	// less than Below.
	From  Chunk
	Below Ordinal
}

// Target is a destination of an installation.
type Target struct {
	Ordinal Ordinal
	Destination
}

// Located is where an installation is, if the app has it.
type Located struct {
	Ordinal Ordinal
	Known   bool
}

// Ruling is what a destination has come to, by an answer to a push that went to
// Target as it was: it has no effect if the installation has another device
// token there by now, or has registered it again.
type Ruling struct {
	Target
	After Standing
}

// Store keeps the installations of apps. It is safe for concurrent use; what a
// method changes is durable (if the store is) when it returns. Times are to the
// nanosecond, in UTC. The suite providertest.Audience proves an implementation.
type Store interface {
	// Installation returns an installation, or ErrNotFound.
	Installation(ctx context.Context, app AppNumber, id InstallationID) (Installation, error)

	// Ordinals returns where installations are, in their order.
	Ordinals(ctx context.Context, app AppNumber, ids []InstallationID) ([]Located, error)

	// Change replaces an installation by what f makes of it, and returns that. It
	// is the zero value but for its ID and CreatedAt if there is none. The store
	// gives it its ordinal; what f does to that or to the ID has no effect. Device
	// tokens that another installation of the app has are taken from that. If f
	// reports false nothing is changed, and what was there is returned. If f makes
	// it the zero value, the installation is removed. f may be called more than
	// once, and first as if there were none: what it is given last counts. The
	// error is that of f, or wraps ErrPersons.
	Change(ctx context.Context, app AppNumber, id InstallationID, f func(Installation) (Installation, bool, error)) (Installation, error)

	// ChangePerson changes all installations that a person uses, as Change does, by
	// ordinal, all or none, and returns those of them that were not removed. They stay
	// this person's, whose the aliases become that are nobody's yet, unless f leaves
	// them none. The error is that of f, ErrNotFound if nobody has the alias,
	// ErrManyInstallations, or wraps ErrPersons.
	ChangePerson(ctx context.Context, app AppNumber, a Alias, f func(Installation) (Installation, bool, error)) ([]Installation, error)

	// List returns up to limit installations of an app, by ordinal, from one on.
	List(ctx context.Context, app AppNumber, from Ordinal, limit int) ([]Installation, error)

	// Person returns the ordinals of the installations that a person uses,
	// ascending, at most limit; none if nobody has the alias.
	Person(ctx context.Context, app AppNumber, a Alias, limit int) ([]Ordinal, error)

	// Bound returns an ordinal that is greater than all that were given.
	Bound(ctx context.Context, app AppNumber) (Ordinal, error)

	// Select calls f for each chunk that has installations of a selection, in
	// their order, with the store as it was when Select was called. The members
	// are f's to keep. It returns the error of f.
	Select(ctx context.Context, app AppNumber, s Selection, f func(Chunk, *Members) error) error

	// Targets returns the destinations for a use, also those that are Gone, of the
	// members of a chunk, by ordinal.
	Targets(ctx context.Context, app AppNumber, c Chunk, m *Members, u Use) ([]Target, error)

	// Find returns where an app has a device token, or ErrNotFound if no installation
	// has it.
	Find(ctx context.Context, app AppNumber, e apns.Environment, t apns.DeviceToken) (Target, error)

	// Rule carries out rulings.
	Rule(ctx context.Context, app AppNumber, rulings []Ruling) error

	// Undo makes all destinations Active again that a message made Quarantined or
	// Gone, and returns how many there were.
	Undo(ctx context.Context, app AppNumber, message [16]byte) (int, error)

	// Sweep removes up to limit device tokens, of all apps, that are Gone since before
	// a time, and returns how many it removed: 0 says that there are no more.
	Sweep(ctx context.Context, before time.Time, limit int) (int, error)
}
