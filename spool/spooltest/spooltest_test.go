package spooltest_test

import (
	"testing"

	"github.com/heraldpush/herald/spool"
	"github.com/heraldpush/herald/spool/spooltest"
)

func TestModel(t *testing.T) {
	spooltest.Run(t, func(*testing.T) (spool.Store, func() spool.Store) { return spooltest.NewModel(), nil })
}
