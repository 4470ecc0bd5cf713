package account

import (
	"context"
	"crypto/ecdsa"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/provider/audience"
)

// Book has the apps of a provider, their credentials, and the keys of its API. It
// is safe for concurrent use. What it changes is durable (if its store is) when
// the method returns, with its line in the audit log.
type Book struct {
	store   Store
	sealer  Sealer
	checker Checker
	turned  func(context.Context, Turn) error // or nil
	audit   uint64                            // how many entries of the audit log are kept
	logger  *slog.Logger

	// changing holds one while a change is made, in the store and then in memory,
	// so that both go through the same states.
	changing chan struct{}

	// What every push and every request asks for is also in memory. What is
	// pointed to does not change: it is replaced.
	mu          sync.RWMutex
	apps        map[AppID]*App               // guarded by mu
	topics      map[apns.Topic]*App          // by bundle ID; guarded by mu
	numbers     map[audience.AppNumber]*App  // guarded by mu
	credentials map[CredentialID]*Credential // guarded by mu
	keys        map[KeyID]*storedKey         // revoked ones too; guarded by mu

	publics map[string]*ecdsa.PublicKey // of keys, by fingerprint, as they were needed; guarded by mu

	signatures signatures // of provider tokens
}

// Config says what a Book is made of.
type Config struct {
	// Store keeps the records. Required.
	Store Store
	// Sealer seals private keys at rest. Nil leaves them as they are, for a store
	// that is never written to a disk.
	Sealer Sealer
	// Checker asks a gateway whether it takes a credential. Nil: nobody does, and
	// Check is refused with ErrNoChecker.
	Checker Checker
	// Turned, if it is set, is told of what a credential comes to, before that is
	// stored. If it returns an error, nothing is stored, so that it is told again
	// with the next answer. It may not change the book.
	Turned func(ctx context.Context, t Turn) error
	// AuditEntries is how many of the latest entries of the audit log are kept.
	// Zero stands for 100,000.
	AuditEntries int
	// Logger is told what nobody waits for. Nil is silent.
	Logger *slog.Logger
}

// Sealer keeps secrets that are stored unreadable to those who have the store
// alone. The context names what is sealed; it must be the same to open it.
type Sealer interface {
	Seal(context string, secret []byte) ([]byte, error)
	Open(context string, sealed []byte) ([]byte, error)
}

// unsealed is the Sealer that does not.
type unsealed struct{}

func (unsealed) Seal(_ string, secret []byte) ([]byte, error) { return slices.Clone(secret), nil }
func (unsealed) Open(_ string, sealed []byte) ([]byte, error) { return slices.Clone(sealed), nil }

const defaultAuditEntries = 100_000

// Open returns the book over a store.
func Open(ctx context.Context, cfg Config) (*Book, error) {
	b := &Book{
		store: cfg.Store, sealer: cfg.Sealer, checker: cfg.Checker, turned: cfg.Turned, logger: cfg.Logger,
		audit: uint64(max(cfg.AuditEntries, 0)), changing: make(chan struct{}, 1),
		apps: make(map[AppID]*App), topics: make(map[apns.Topic]*App), numbers: make(map[audience.AppNumber]*App),
		credentials: make(map[CredentialID]*Credential), keys: make(map[KeyID]*storedKey),
		publics: make(map[string]*ecdsa.PublicKey),
	}
	if b.sealer == nil {
		b.sealer = unsealed{}
	}
	if b.audit == 0 {
		b.audit = defaultAuditEntries
	}
	if b.logger == nil {
		b.logger = slog.New(slog.DiscardHandler)
	}
	err := b.store.View(ctx, func(tx Tx) error {
		return errors.Join(
			each(tx, kindApp, "", func(a *App) error { b.keepApp(a); return nil }),
			each(tx, kindCredential, "", func(c *Credential) error { b.credentials[c.ID] = c; return nil }),
			each(tx, kindKey, "", func(k *storedKey) error { b.keys[k.ID] = k; return nil }),
		)
	})
	if err != nil {
		return nil, fmt.Errorf("opening the provider's accounts: %w", err)
	}
	return b, nil
}

// alone runs f while nobody else makes a change.
func (b *Book) alone(ctx context.Context, f func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case b.changing <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-b.changing }()
	return f()
}

// write runs f in a transaction, and if that succeeds keep, with mu held, which
// does to what is in memory what f did to the store. The caller is alone.
func (b *Book) write(ctx context.Context, f func(Tx) error, keep func()) error {
	if err := b.store.Update(ctx, f); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	keep()
	return nil
}

// get reads a record into v.
func get(tx Tx, kind Kind, id string, v any) error {
	body, err := tx.Get(kind, id)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, v); err != nil {
		return fmt.Errorf("record %s %s is damaged: %w", kind, id, err)
	}
	return nil
}

// put writes v as a record.
func put(tx Tx, kind Kind, id string, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("record %s %s: %w", kind, id, err)
	}
	return tx.Put(kind, id, body)
}

// each calls f for the records of a kind after one.
func each[T any](tx Tx, kind Kind, after string, f func(*T) error) error {
	return tx.Each(kind, after, func(id string, body []byte) error {
		v := new(T)
		if err := json.Unmarshal(body, v); err != nil {
			return fmt.Errorf("record %s %s is damaged: %w", kind, id, err)
		}
		return f(v)
	})
}

// counter is a record that counts.
type counter struct {
	Last uint64 `json:"last"`
}

// The counters, records of kindCounter.
const (
	appCounter   = "app"
	auditCounter = "audit"
)

// next counts one on.
func next(tx Tx, name string) (uint64, error) {
	var c counter
	if err := get(tx, kindCounter, name, &c); err != nil && !errors.Is(err, ErrNotFound) {
		return 0, err
	}
	c.Last++
	return c.Last, put(tx, kindCounter, name, c)
}

// sorted returns the values of m in the order of its keys.
func sorted[K ~string, V any](m map[K]*V) []*V {
	all := make([]*V, 0, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		all = append(all, m[k])
	}
	return all
}

// wrong returns the error for one fault.
func wrong(pointer string, code audience.FaultCode, format string, args ...any) error {
	var faults audience.Faults
	faults.Add(pointer, code, fmt.Sprintf(format, args...))
	return faults.Err()
}
