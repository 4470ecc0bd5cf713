package account

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/heraldpush/herald/apns"
)

// noticeDays are how many days before the end of a credential a notice is given; 0
// is when it has expired.
var noticeDays = [...]int{30, 14, 7, 1, 0}

const day = 24 * time.Hour

// Expiry is the notice that the end of a credential is near, or over.
type Expiry struct {
	App          AppID              `json:"app"`
	Credential   CredentialID       `json:"credential"`
	Name         string             `json:"name"`
	Environments []apns.Environment `json:"environments"`
	NotAfter     time.Time          `json:"not_after"`
	// Days is which notice it is: 30, 14, 7, 1, or 0 for one that has expired.
	Days int `json:"days"`
	// Needed says that there is no other that could take over.
	Needed bool `json:"needed"`
}

// LogValue implements slog.LogValuer.
func (e Expiry) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("app", string(e.App)), slog.String("credential", string(e.Credential)), slog.Int("days", e.Days),
		slog.Time("not_after", e.NotAfter), slog.Bool("needed", e.Needed),
	)
}

// notices returns how many notices of the end of c are due.
func (c *Credential) notices(at time.Time) (n int) {
	if c.NotAfter.IsZero() {
		return 0
	}
	for _, days := range noticeDays {
		if !at.Before(c.NotAfter.Add(-time.Duration(days) * day)) {
			n++
		}
	}
	return n
}

// expiry returns the latest of the first n notices.
func (c *Credential) expiry(n int, others []Credential) Expiry {
	e := Expiry{
		App: c.App, Credential: c.ID, Name: c.Name, Environments: c.Environments,
		NotAfter: c.NotAfter, Days: noticeDays[n-1], Needed: true,
	}
	// What is to be there is one that outlives it.
	for _, o := range others {
		if o.ID != c.ID && (o.NotAfter.IsZero() || o.NotAfter.After(c.NotAfter)) && o.mayReplace(c) &&
			!slices.ContainsFunc(c.Environments, func(env apns.Environment) bool { return !o.Standing(env).Proven() }) {
			e.Needed = false
		}
	}
	return e
}

// Expiries returns the notices that are due and were not given, of an app's
// credentials: for each the latest.
func Expiries(all []Credential, at time.Time) (due []Expiry) {
	for _, c := range all {
		if n := c.notices(at); n > c.Told {
			due = append(due, c.expiry(n, all))
		}
	}
	return due
}

// Expiring returns the latest notice of each of an app's credentials whose end is
// near or over, whether it was given or not.
func Expiring(all []Credential, at time.Time) (near []Expiry) {
	for _, c := range all {
		if n := c.notices(at); n > 0 {
			near = append(near, c.expiry(n, all))
		}
	}
	return near
}

// Expiries returns the notices that are due in all apps. They are due until
// ToldExpiries says that they were given.
func (b *Book) Expiries(at time.Time) (due []Expiry) {
	for _, all := range b.byApp() {
		due = append(due, Expiries(all, at)...)
	}
	return due
}

// Expiring returns the credentials of all apps whose end is near or over.
func (b *Book) Expiring(at time.Time) (near []Expiry) {
	for _, all := range b.byApp() {
		near = append(near, Expiring(all, at)...)
	}
	return near
}

// byApp returns the credentials of each app that has some, by its ID.
func (b *Book) byApp() (all [][]Credential) {
	b.mu.RLock()
	apps := sorted(b.apps)
	b.mu.RUnlock()
	for _, a := range apps {
		all = append(all, b.Credentials(a.ID))
	}
	return all
}

// ToldExpiries notes that notices were given. Those of credentials that are gone
// are passed over.
func (b *Book) ToldExpiries(ctx context.Context, told []Expiry) error {
	err := b.alone(ctx, func() error {
		after := make(map[CredentialID]*Credential)
		for _, e := range told {
			c := after[e.Credential]
			if c == nil {
				known, err := b.Credential(e.App, e.Credential)
				if err != nil {
					continue // it is gone
				}
				c = &known
			}
			if n := slices.Index(noticeDays[:], e.Days) + 1; n > c.Told {
				c.Told = n
				after[c.ID] = c
			}
		}
		if len(after) == 0 {
			return nil
		}
		return b.write(ctx, func(tx Tx) error {
			for _, c := range after {
				if err := put(tx, kindCredential, string(c.ID), c); err != nil {
					return err
				}
			}
			return nil
		}, func() {
			maps.Copy(b.credentials, after)
		})
	})
	if err != nil {
		return fmt.Errorf("noting notices of expiry: %w", err)
	}
	return nil
}
