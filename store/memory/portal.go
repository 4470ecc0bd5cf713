package memory

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/heraldpush/herald/portal"
)

// Portal is a portal.Store.
type Portal struct{ records guarded[portalState] }

var _ portal.Store = (*Portal)(nil)

type portalState map[portal.Kind]map[string]json.RawMessage

// NewPortal returns an empty store.
func NewPortal() *Portal { return &Portal{} }

// Update implements portal.Store.
func (p *Portal) Update(ctx context.Context, f func(portal.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return p.records.change(func(s *portalState) error { return f(portalTx{s, true}) })
}

// View implements portal.Store.
func (p *Portal) View(ctx context.Context, f func(portal.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return p.records.view(func(s *portalState) error { return f(portalTx{s, false}) })
}

type portalTx struct {
	state  *portalState
	writes bool
}

func (tx portalTx) Get(kind portal.Kind, id string) ([]byte, error) {
	body, ok := (*tx.state)[kind][id]
	if !ok {
		return nil, fmt.Errorf("%s %s: %w", kind, id, portal.ErrNotFound)
	}
	return body, nil
}

func (tx portalTx) Put(kind portal.Kind, id string, body []byte) error {
	if !tx.writes {
		return errors.New("put in a view")
	}
	records := (*tx.state)[kind]
	put(&records, id, json.RawMessage(slices.Clone(body)))
	put((*map[portal.Kind]map[string]json.RawMessage)(tx.state), kind, records)
	return nil
}

func (tx portalTx) Each(kind portal.Kind, f func(id string, body []byte) error) error {
	records := (*tx.state)[kind]
	for _, id := range slices.Sorted(maps.Keys(records)) {
		if err := f(id, records[id]); err != nil {
			return err
		}
	}
	return nil
}
