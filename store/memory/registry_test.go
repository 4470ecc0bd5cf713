package memory

import (
	"testing"

	"github.com/heraldpush/herald/registry"
	"github.com/heraldpush/herald/registry/registrytest"
)

func TestRegistry(t *testing.T) {
	registrytest.Run(t, func(*testing.T) (registry.Store, func() registry.Store) { return NewRegistry(), nil })
}
