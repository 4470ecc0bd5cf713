package sqlite

import (
	"context"

	"github.com/heraldpush/herald/provider/account"
)

// Account is an account.Store.
type Account struct{ records records[account.Kind] }

var _ account.Store = (*Account)(nil)

// Update implements account.Store. f may not call Update, as it would wait for
// itself.
func (a *Account) Update(ctx context.Context, f func(account.Tx) error) error {
	return a.records.update(ctx, func(tx *recordTx[account.Kind]) error { return f(accountTx{tx}) })
}

// View implements account.Store.
func (a *Account) View(ctx context.Context, f func(account.Tx) error) error {
	return a.records.view(ctx, func(tx *recordTx[account.Kind]) error { return f(accountTx{tx}) })
}

// accountTx is an account.Tx.
type accountTx struct{ *recordTx[account.Kind] }

// Each implements account.Tx.
func (tx accountTx) Each(kind account.Kind, after string, f func(id string, body []byte) error) error {
	return tx.each(kind, after, f)
}
