package memory

import (
	"testing"

	"github.com/heraldpush/herald/portal"
	"github.com/heraldpush/herald/portal/portaltest"
)

func TestPortal(t *testing.T) {
	portaltest.Run(t, func(*testing.T) (portal.Store, func() portal.Store) { return NewPortal(), nil })
}
