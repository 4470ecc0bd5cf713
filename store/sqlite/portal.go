package sqlite

import (
	"context"

	"github.com/heraldpush/herald/portal"
)

// Portal is a portal.Store.
type Portal struct{ records records[portal.Kind] }

var _ portal.Store = (*Portal)(nil)

// Update implements portal.Store. f may not call Update, as it would wait for
// itself.
func (p *Portal) Update(ctx context.Context, f func(portal.Tx) error) error {
	return p.records.update(ctx, func(tx *recordTx[portal.Kind]) error { return f(portalTx{tx}) })
}

// View implements portal.Store.
func (p *Portal) View(ctx context.Context, f func(portal.Tx) error) error {
	return p.records.view(ctx, func(tx *recordTx[portal.Kind]) error { return f(portalTx{tx}) })
}

// portalTx is a portal.Tx.
type portalTx struct{ *recordTx[portal.Kind] }

// Each implements portal.Tx.
func (tx portalTx) Each(kind portal.Kind, f func(id string, body []byte) error) error {
	return tx.each(kind, "", f)
}
