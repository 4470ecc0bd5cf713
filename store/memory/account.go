package memory

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/heraldpush/herald/provider/account"
)

// Account is an account.Store.
type Account struct {
	mu      sync.Mutex
	records map[accountKey][]byte // bodies do not change; guarded by mu
}

type accountKey struct {
	kind account.Kind
	id   string
}

var _ account.Store = (*Account)(nil)

// NewAccount returns an empty store.
func NewAccount() *Account { return &Account{records: make(map[accountKey][]byte)} }

// Update implements account.Store.
func (a *Account) Update(ctx context.Context, f func(account.Tx) error) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	tx := &accountTx{records: a.records, before: make(map[accountKey][]byte)}
	kept := false
	defer func() { // in a panic of f, too, which then goes on
		if !kept {
			tx.takeBack()
		}
	}()
	err := f(tx)
	kept = err == nil
	return err
}

// View implements account.Store.
func (a *Account) View(ctx context.Context, f func(account.Tx) error) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	return f(&accountTx{records: a.records})
}

type accountTx struct {
	records map[accountKey][]byte
	before  map[accountKey][]byte // what was changed had been, nil if it was not there; nil in a view
}

// takeBack undoes all changes.
func (tx *accountTx) takeBack() {
	for key, body := range tx.before {
		if body == nil {
			delete(tx.records, key)
		} else {
			tx.records[key] = body
		}
	}
}

// changing notes what a record is before it is changed.
func (tx *accountTx) changing(key accountKey) error {
	if tx.before == nil {
		return errors.New("a change in a view")
	}
	if _, ok := tx.before[key]; !ok {
		tx.before[key] = tx.records[key]
	}
	return nil
}

// Get implements account.Tx.
func (tx *accountTx) Get(kind account.Kind, id string) ([]byte, error) {
	body, ok := tx.records[accountKey{kind, id}]
	if !ok {
		return nil, fmt.Errorf("%s %s: %w", kind, id, account.ErrNotFound)
	}
	return body, nil
}

// Put implements account.Tx. An empty ID or body is an error.
func (tx *accountTx) Put(kind account.Kind, id string, body []byte) error {
	key := accountKey{kind, id}
	if id == "" || len(body) == 0 {
		return fmt.Errorf("%s %q: a record needs an ID and a body", kind, id)
	}
	if err := tx.changing(key); err != nil {
		return err
	}
	tx.records[key] = slices.Clone(body)
	return nil
}

// Delete implements account.Tx.
func (tx *accountTx) Delete(kind account.Kind, id string) error {
	key := accountKey{kind, id}
	if err := tx.changing(key); err != nil {
		return err
	}
	delete(tx.records, key)
	return nil
}

// Each implements account.Tx.
func (tx *accountTx) Each(kind account.Kind, after string, f func(id string, body []byte) error) error {
	var ids []string
	for key := range maps.Keys(tx.records) {
		if key.kind == kind && key.id > after {
			ids = append(ids, key.id)
		}
	}
	slices.Sort(ids)
	for _, id := range ids {
		body, ok := tx.records[accountKey{kind, id}]
		if !ok {
			continue // removed by f
		}
		if err := f(id, body); err != nil {
			return err
		}
	}
	return nil
}
