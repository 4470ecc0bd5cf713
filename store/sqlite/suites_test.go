package sqlite

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/heraldpush/herald/portal"
	"github.com/heraldpush/herald/portal/portaltest"
	"github.com/heraldpush/herald/provider/account"
	"github.com/heraldpush/herald/provider/audience"
	"github.com/heraldpush/herald/provider/event"
	"github.com/heraldpush/herald/provider/outbox"
	"github.com/heraldpush/herald/provider/providertest"
	"github.com/heraldpush/herald/registry"
	"github.com/heraldpush/herald/registry/registrytest"
)

// eachWay runs a suite for each way to open a database again. With the race
// detector one will do: what ran before it is the same.
func eachWay(t *testing.T, suite func(t *testing.T, again func(*testing.T, *Database) *Database)) {
	t.Helper()
	for name, again := range again {
		if raceEnabled && name == "closed" {
			continue
		}
		t.Run(name, func(t *testing.T) { suite(t, again) })
	}
}

// again are the ways to open a database again: it was closed, or its machine
// stopped and left the files as they were.
var again = map[string]func(t *testing.T, d *Database) *Database{
	"closed": func(t *testing.T, d *Database) *Database {
		t.Helper()
		if err := d.Close(); err != nil {
			t.Error(err)
		}
		return open(t, d.path)
	},
	"crashed": func(t *testing.T, d *Database) *Database {
		t.Helper()
		return open(t, copyFiles(t, d.path))
	},
}

func TestPortal(t *testing.T) {
	eachWay(t, func(t *testing.T, again func(*testing.T, *Database) *Database) {
		portaltest.Run(t, func(t *testing.T) (portal.Store, func() portal.Store) {
			d := open(t, newPath(t))
			return d.Portal(), func() portal.Store { return again(t, d).Portal() }
		})
	})
}

func TestRegistry(t *testing.T) {
	eachWay(t, func(t *testing.T, again func(*testing.T, *Database) *Database) {
		registrytest.Run(t, func(t *testing.T) (registry.Store, func() registry.Store) {
			d := open(t, newPath(t))
			return d.Registry(), func() registry.Store { d = again(t, d); return d.Registry() }
		})
	})
}

func TestAudience(t *testing.T) {
	eachWay(t, func(t *testing.T, again func(*testing.T, *Database) *Database) {
		providertest.Audience(t, func(t *testing.T) (audience.Store, func() audience.Store) {
			d := open(t, newPath(t))
			return d.Audience(), func() audience.Store { d = again(t, d); return d.Audience() }
		})
	})
}

func TestAccount(t *testing.T) {
	eachWay(t, func(t *testing.T, again func(*testing.T, *Database) *Database) {
		providertest.Account(t, func(t *testing.T) (account.Store, func() account.Store) {
			d := open(t, newPath(t))
			return d.Account(), func() account.Store { d = again(t, d); return d.Account() }
		})
	})
}

func TestEvent(t *testing.T) {
	eachWay(t, func(t *testing.T, again func(*testing.T, *Database) *Database) {
		providertest.Event(t, func(t *testing.T) (event.Store, func() event.Store) {
			d := open(t, newPath(t))
			return d.Events(), func() event.Store { d = again(t, d); return d.Events() }
		})
	})
}

func TestArchive(t *testing.T) {
	eachWay(t, func(t *testing.T, again func(*testing.T, *Database) *Database) {
		providertest.Archive(t, func(t *testing.T) (outbox.Archive, func() outbox.Archive) {
			d := open(t, newPath(t))
			return d.Archive(), func() outbox.Archive { d = again(t, d); return d.Archive() }
		})
	})
}

func newPath(t testing.TB) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "herald.db")
}

// open opens a database for a test.
func open(t testing.TB, path string) *Database {
	t.Helper()
	d, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// copyFiles copies a database and its log, and returns where to. The index of
// the log does not outlive its machine.
func copyFiles(t *testing.T, path string) string {
	t.Helper()
	to := newPath(t)
	for _, suffix := range []string{"", "-wal"} {
		b, err := os.ReadFile(path + suffix)
		if os.IsNotExist(err) {
			continue
		}
		if err == nil {
			err = os.WriteFile(to+suffix, b, fs.FileMode(0o600))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return to
}
