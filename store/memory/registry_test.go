package memory

import (
	"path/filepath"
	"testing"

	"github.com/heraldpush/herald/registry"
	"github.com/heraldpush/herald/registry/registrytest"
)

func TestRegistry(t *testing.T) {
	t.Run("memory", func(t *testing.T) {
		registrytest.Run(t, func(t *testing.T) (registry.Store, func() registry.Store) {
			return openRegistry(t, ""), nil
		})
	})
	t.Run("file", func(t *testing.T) {
		registrytest.Run(t, func(t *testing.T) (registry.Store, func() registry.Store) {
			path := filepath.Join(t.TempDir(), "registry.json")
			return openRegistry(t, path), func() registry.Store { return openRegistry(t, path) }
		})
	})
}

func openRegistry(t *testing.T, path string) *Registry {
	t.Helper()
	r, err := OpenRegistry(path)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
