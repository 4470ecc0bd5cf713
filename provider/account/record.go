package account

import (
	"context"
)

// Other rooms of the provider keep their few records in the store of the book, in
// kinds of their own, as the webhooks of package event: they are then in the same
// file and the same backup, and their changes in the same audit log.

// Update runs f in a transaction on the store of b, which is durable as a whole or
// has not happened. f may not touch the kinds of records of b.
func (b *Book) Update(ctx context.Context, f func(Tx) error) error { return b.store.Update(ctx, f) }

// View runs f on a consistent state of the store of b.
func (b *Book) View(ctx context.Context, f func(Tx) error) error { return b.store.View(ctx, f) }

// Note adds an entry to the audit log in a transaction of Update, as the actor of
// ctx (see WithActor). The detail holds no secret.
func (b *Book) Note(ctx context.Context, tx Tx, action, subject, detail string) error {
	return b.note(ctx, tx, action, subject, "%s", detail)
}

// Sealer returns that with which secrets in the store are sealed.
func (b *Book) Sealer() Sealer { return b.sealer }
