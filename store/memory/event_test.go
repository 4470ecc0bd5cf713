package memory

import (
	"testing"

	"github.com/heraldpush/herald/provider/event"
	"github.com/heraldpush/herald/provider/providertest"
)

func TestEvent(t *testing.T) {
	providertest.Event(t, func(*testing.T) (event.Store, func() event.Store) { return NewEvent(), nil })
}
