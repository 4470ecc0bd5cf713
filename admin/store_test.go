package admin_test

import (
	"context"

	"github.com/heraldpush/herald/portal"
)

// brokenStore is a store that fails with broken.err, if there is one.
type brokenStore struct{ broken *failing }

func (b brokenStore) Update(ctx context.Context, f func(portal.Tx) error) error {
	if b.broken.err != nil {
		return b.broken.err
	}
	return b.broken.store.Update(ctx, f)
}

func (b brokenStore) View(ctx context.Context, f func(portal.Tx) error) error {
	if b.broken.err != nil {
		return b.broken.err
	}
	return b.broken.store.View(ctx, f)
}
