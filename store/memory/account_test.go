package memory

import (
	"testing"

	"github.com/heraldpush/herald/provider/account"
	"github.com/heraldpush/herald/provider/providertest"
)

func TestAccount(t *testing.T) {
	providertest.Account(t, func(*testing.T) (account.Store, func() account.Store) { return NewAccount(), nil })
}
