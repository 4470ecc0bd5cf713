package sqlite

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/heraldpush/herald/provider/audience"
)

// crowded returns an audience that most who register are new to, fullBalance of them.
func crowded(t *testing.T) (*Audience, time.Time) {
	t.Helper()
	a, at := open(t, newPath(t)).Audience(), time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	for i := range fullBalance {
		if err := register(t.Context(), a, i, at); err != nil {
			t.Fatal(err)
		}
	}
	if !a.newcomers.most() {
		t.Fatal("they are not taken for most")
	}
	return a, at
}

// TestNewcomersAtOnce proves that one that registers many times at once while most are
// new is entered once, and that each call has what it came to.
func TestNewcomersAtOnce(t *testing.T) {
	a, at := crowded(t)
	const ids, calls = 20, 8
	var (
		apps  sync.WaitGroup
		isNew atomic.Int64
	)
	for n := range ids * calls {
		apps.Go(func() {
			id, created := audience.InstallationID(fmt.Sprint("twin", n%ids)), false
			i, err := a.Change(t.Context(), 1, id, func(i audience.Installation) (audience.Installation, bool, error) {
				created = i.CreatedAt.IsZero()
				return i.Register(someRegistration(1e6+n%ids), at)
			})
			if err != nil || i.ID != id || len(i.Destinations) != 1 {
				t.Errorf("got %+v, %v", i, err)
			}
			if created {
				isNew.Add(1)
			}
		})
	}
	apps.Wait()
	if got := isNew.Load(); got != ids {
		t.Errorf("%d calls were told that it is new, want %d", got, ids)
	}
	if got, err := a.Bound(t.Context(), 1); err != nil || got != fullBalance+ids {
		t.Errorf("got bound %d, %v, want %d: no ordinal is left out", got, err, fullBalance+ids)
	}
}

// TestNewcomersKnown proves that what is known is changed, refused and removed as ever
// while most are new, and that it ends that they are.
func TestNewcomersKnown(t *testing.T) {
	a, at := crowded(t)
	id := func(n int) audience.InstallationID { return audience.InstallationID(fmt.Sprint("i", n)) }
	say := func(n int, r audience.Registration) (audience.Installation, error) {
		return a.Change(t.Context(), 1, id(n), func(i audience.Installation) (audience.Installation, bool, error) { return i.Register(r, at) })
	}
	other := someRegistration(0)
	other.Locale = "fr"
	if i, err := say(0, other); err != nil || i.Ordinal != 0 || i.Locale != "fr" {
		t.Errorf("changed: got %+v, %v", i, err)
	}
	other.Person["email"] = "anna@example.com"
	if _, err := say(0, other); err != nil {
		t.Error(err)
	}
	both := someRegistration(1)
	both.Person["email"] = "anna@example.com" // hers
	for _, n := range []int{1, fullBalance} {
		if _, err := say(n, both); !errors.Is(err, audience.ErrPersons) {
			t.Errorf("aliases of two people, i%d: got %v, want ErrPersons", n, err)
		}
	}
	gone, err := a.Change(t.Context(), 1, id(2), func(i audience.Installation) (audience.Installation, bool, error) {
		if i.CreatedAt.IsZero() {
			return i, false, audience.ErrNotFound
		}
		return audience.Installation{}, true, nil
	})
	if err != nil || !gone.IsZero() {
		t.Errorf("removed: got %+v, %v", gone, err)
	}
	for n := range fullBalance {
		if n == 2 {
			continue
		}
		if _, err := a.Change(t.Context(), 1, id(n), func(i audience.Installation) (audience.Installation, bool, error) { return i, false, nil }); err != nil {
			t.Error(err)
		}
	}
	if a.newcomers.most() {
		t.Error("most are still taken for new")
	}
}

// TestNewcomersKept proves that what was answered is on the disk, also of those who
// were entered many at once.
func TestNewcomersKept(t *testing.T) {
	a, at := crowded(t)
	const all = 4 * fullBalance
	var apps sync.WaitGroup
	for n := fullBalance; n < all; n++ {
		apps.Go(func() {
			if err := register(t.Context(), a, n, at); err != nil {
				t.Error(err)
			}
		})
	}
	apps.Wait()
	crashed := open(t, copyFiles(t, a.db.path)).Audience()
	for n := range all {
		i, err := crashed.Installation(t.Context(), 1, audience.InstallationID(fmt.Sprint("i", n)))
		if err != nil || len(i.Destinations) != 1 || len(i.Person) != 1 || len(i.Tags) != 2 {
			t.Errorf("i%d: got %+v, %v", n, i, err)
		}
	}
}

// TestNewAllocations bounds what an app costs that registers for the first time, while
// most do.
func TestNewAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	a, at := crowded(t)
	n := fullBalance
	got := testing.AllocsPerRun(200, func() {
		if err := register(t.Context(), a, n, at); err != nil {
			t.Error(err)
		}
		n++
	})
	const most = 180 // 160 as it is
	if got > most {
		t.Errorf("got %v allocations, want at most %d", got, most)
	}
}
