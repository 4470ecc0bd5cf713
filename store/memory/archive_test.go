package memory

import (
	"testing"

	"github.com/heraldpush/herald/provider/outbox"
	"github.com/heraldpush/herald/provider/providertest"
)

func TestArchive(t *testing.T) {
	providertest.Archive(t, func(*testing.T) (outbox.Archive, func() outbox.Archive) { return NewArchive(), nil })
}
