package account

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/provider/audience"
)

// The limits of what is kept.
const (
	MaxAppIDBytes = 64
	MaxNameBytes  = 100
	MaxApps       = 10_000
)

// AppID names an app in the API, such as "shop".
type AppID string

// Check returns an *audience.InvalidError if id is none.
func (id AppID) Check() error {
	var faults audience.Faults
	id.check("", &faults)
	return faults.Err()
}

func (id AppID) check(at string, faults *audience.Faults) {
	switch {
	case id == "":
		faults.Add(at, audience.Required, "the app has no ID")
	case len(id) > MaxAppIDBytes:
		faults.Add(at, audience.TooLong, fmt.Sprintf("%d bytes, at most %d are possible", len(id), MaxAppIDBytes))
	case strings.ContainsFunc(string(id), func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < '0' || c > '9') && !strings.ContainsRune("._-", c)
	}) || strings.Trim(string(id), ".") == "": // what a path takes for a folder
		faults.Add(at, audience.Malformed, "an app's ID has lower-case letters, digits and ._- only")
	}
}

// App is an app that the provider sends to.
type App struct {
	ID AppID `json:"id"`
	// Number is what the rooms know it by. It is never given to another.
	Number audience.AppNumber `json:"number"`
	// BundleID is the app's own; no other App has it.
	BundleID apns.Topic `json:"bundle_id"`
	// Name is for people. It may be empty.
	Name      string    `json:"name,omitempty"`
	CreatedAt time.Time `json:"created_at"`
}

// AppSpec says what app is wanted.
type AppSpec struct {
	ID       AppID      `json:"id"`
	BundleID apns.Topic `json:"bundle_id"`
	Name     string     `json:"name,omitempty"`
}

func (s AppSpec) check() error {
	var faults audience.Faults
	s.ID.check("/id", &faults)
	switch {
	case s.BundleID == "":
		faults.Add("/bundle_id", audience.Required, "the app has no bundle ID")
	case !s.BundleID.Valid():
		faults.Add("/bundle_id", audience.Malformed, "not a bundle ID, such as com.example.shop")
	case s.BundleID.BundleID() != s.BundleID:
		faults.Add("/bundle_id", audience.Malformed, "a topic of the app: give the bundle ID without a suffix")
	}
	checkName("/name", s.Name, &faults)
	return faults.Err()
}

// checkName notes what is wrong with a name that people give, which is shown in
// lists and logs.
func checkName(at, name string, faults *audience.Faults) {
	switch {
	case len(name) > MaxNameBytes:
		faults.Add(at, audience.TooLong, fmt.Sprintf("%d bytes, at most %d are possible", len(name), MaxNameBytes))
	case !utf8.ValidString(name) || strings.ContainsFunc(name, func(c rune) bool {
		return unicode.In(c, unicode.Cc, unicode.Zl, unicode.Zp, unicode.Bidi_Control, unicode.Noncharacter_Code_Point)
	}):
		faults.Add(at, audience.Malformed, "not a text of printable characters")
	}
}

// keepApp has a in memory. mu is held.
func (b *Book) keepApp(a *App) { b.apps[a.ID], b.topics[a.BundleID], b.numbers[a.Number] = a, a, a }

// CreateApp enters an app. The error is an *audience.InvalidError for what cannot
// be, with the code audience.Conflict where another app has the ID or bundle ID.
func (b *Book) CreateApp(ctx context.Context, s AppSpec) (App, error) {
	if err := s.check(); err != nil {
		return App{}, err
	}
	a := &App{ID: s.ID, BundleID: s.BundleID, Name: s.Name}
	err := b.alone(ctx, func() error {
		if err := b.mayCreate(s); err != nil {
			return err
		}
		return b.write(ctx, func(tx Tx) error {
			n, err := next(tx, appCounter)
			if err != nil {
				return err
			}
			a.Number, a.CreatedAt = audience.AppNumber(n), now()
			if err := b.note(ctx, tx, "app.create", string(a.ID), "%s", a.BundleID); err != nil {
				return err
			}
			return put(tx, kindApp, string(a.ID), a)
		}, func() { b.keepApp(a) })
	})
	if err != nil {
		return App{}, fmt.Errorf("creating app: %w", err)
	}
	return *a, nil
}

func (b *Book) mayCreate(s AppSpec) error {
	b.mu.RLock()
	defer b.mu.RUnlock()
	switch {
	case b.apps[s.ID] != nil:
		return wrong("/id", audience.Conflict, "there is an app %s already", s.ID)
	case b.topics[s.BundleID] != nil:
		return wrong("/bundle_id", audience.Conflict, "the app %s has this bundle ID", b.topics[s.BundleID].ID)
	case len(b.apps) >= MaxApps:
		return wrong("", audience.TooMany, "there are %d apps, which is as many as there may be", len(b.apps))
	}
	return nil
}

// RenameApp gives an app another name. The error is an *audience.InvalidError, or
// wraps ErrNotFound.
func (b *Book) RenameApp(ctx context.Context, id AppID, name string) (App, error) {
	var faults audience.Faults
	checkName("/name", name, &faults)
	if err := faults.Err(); err != nil {
		return App{}, err
	}
	var after App
	err := b.alone(ctx, func() (err error) {
		if after, err = b.App(id); err != nil || after.Name == name {
			return err
		}
		after.Name = name
		return b.write(ctx, func(tx Tx) error {
			if err := b.note(ctx, tx, "app.rename", string(id), "%s", name); err != nil {
				return err
			}
			return put(tx, kindApp, string(id), after)
		}, func() { b.keepApp(&after) })
	})
	if err != nil {
		return App{}, fmt.Errorf("renaming app: %w", err)
	}
	return after, nil
}

// App returns an app, or an error that wraps ErrNotFound.
func (b *Book) App(id AppID) (App, error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if a := b.apps[id]; a != nil {
		return *a, nil
	}
	return App{}, fmt.Errorf("app %.80q: %w", string(id), ErrNotFound)
}

// AppOfTopic returns the app that a topic is of, or an error that wraps
// ErrNotFound.
func (b *Book) AppOfTopic(t apns.Topic) (App, error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if a := b.topics[t.BundleID()]; a != nil {
		return *a, nil
	}
	return App{}, fmt.Errorf("app of the topic %.80q: %w", string(t), ErrNotFound)
}

// AppOfNumber returns the app with a number, or an error that wraps ErrNotFound.
func (b *Book) AppOfNumber(n audience.AppNumber) (App, error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if a := b.numbers[n]; a != nil {
		return *a, nil
	}
	return App{}, fmt.Errorf("app number %d: %w", n, ErrNotFound)
}

// Apps returns up to limit apps, by ID, from after one on.
func (b *Book) Apps(after AppID, limit int) (all []App) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return listed(b.apps, limit, func(a *App) bool { return a.ID > after })
}

// listed returns up to limit values of m that f picks, by key.
func listed[K ~string, V any](m map[K]*V, limit int, f func(*V) bool) (all []V) {
	for _, v := range slices.DeleteFunc(sorted(m), func(v *V) bool { return !f(v) }) {
		if len(all) >= limit {
			break
		}
		all = append(all, *v)
	}
	return all
}
