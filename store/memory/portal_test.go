package memory

import (
	"path/filepath"
	"testing"

	"github.com/heraldpush/herald/portal"
	"github.com/heraldpush/herald/portal/portaltest"
)

func TestPortal(t *testing.T) {
	t.Run("memory", func(t *testing.T) {
		portaltest.Run(t, func(t *testing.T) (portal.Store, func() portal.Store) {
			return openPortal(t, ""), nil
		})
	})
	t.Run("file", func(t *testing.T) {
		portaltest.Run(t, func(t *testing.T) (portal.Store, func() portal.Store) {
			path := filepath.Join(t.TempDir(), "portal.json")
			return openPortal(t, path), func() portal.Store { return openPortal(t, path) }
		})
	})
}

func openPortal(t *testing.T, path string) *Portal {
	t.Helper()
	p, err := OpenPortal(path)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
