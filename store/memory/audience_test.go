package memory

import (
	"testing"

	"github.com/heraldpush/herald/provider/audience"
	"github.com/heraldpush/herald/provider/providertest"
)

func TestAudience(t *testing.T) {
	providertest.Audience(t, func(*testing.T) (audience.Store, func() audience.Store) { return NewAudience(), nil })
}
