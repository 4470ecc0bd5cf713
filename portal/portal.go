package portal

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
)

// Portal knows teams, apps and credentials. It is safe for concurrent use.
type Portal struct {
	store     Store
	authority authority

	// What every push asks for is also in memory.
	mu       sync.RWMutex
	keys     map[apns.KeyID]*Key // guarded by mu; the keys do not change
	apps     map[apns.Topic]*App // guarded by mu; the apps do not change
	verified map[string]verified // accepted provider tokens; guarded by mu
}

// Config says what a Portal is made of.
type Config struct {
	// Store keeps the records. Required.
	Store Store
	// Name goes before the names of the authorities, such as "Herald" in
	// "Herald Root Authority". Empty means "Herald".
	Name string
	// ServerNames are the host names that server certificates may be for, each
	// with all names below it, besides Apple's and localhost.
	ServerNames []string
	// ServerIPs are the addresses that server certificates may be for, besides
	// the loopback ones.
	ServerIPs []netip.Addr
}

// Open returns the portal over a store. The first time, it makes the
// certificate authority.
func Open(ctx context.Context, cfg Config) (*Portal, error) {
	if cfg.Name == "" {
		cfg.Name = "Herald"
	}
	p := &Portal{
		store: cfg.Store,
		keys:  make(map[apns.KeyID]*Key), apps: make(map[apns.Topic]*App), verified: make(map[string]verified),
	}
	if err := p.openAuthority(ctx, cfg); err != nil {
		return nil, fmt.Errorf("opening portal: %w", err)
	}
	err := p.store.View(ctx, func(tx Tx) error {
		return errors.Join(
			each(tx, kindKey, func(k *Key) error { p.keys[k.ID] = k; return nil }),
			each(tx, kindApp, func(a *App) error { p.apps[a.BundleID] = a; return nil }),
		)
	})
	if err != nil {
		return nil, fmt.Errorf("opening portal: %w", err)
	}
	return p, nil
}

// Refusal says that the portal refuses a request because of what was asked:
// the one who asks can mend it.
type Refusal struct{ Err error } //nolint:errname // the field's word

func refuse(format string, args ...any) *Refusal { return &Refusal{fmt.Errorf(format, args...)} }

// Error says what was wrong, and the remedy.
func (r *Refusal) Error() string { return r.Err.Error() }

// Unwrap returns Err.
func (r *Refusal) Unwrap() error { return r.Err }

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

// each calls f for all records of a kind.
func each[T any](tx Tx, kind Kind, f func(*T) error) error {
	return tx.Each(kind, func(id string, body []byte) error {
		v := new(T)
		if err := json.Unmarshal(body, v); err != nil {
			return fmt.Errorf("record %s %s is damaged: %w", kind, id, err)
		}
		return f(v)
	})
}

// backdate is how long before its issue a certificate is valid, for verifiers
// whose clocks are behind.
const backdate = 5 * time.Minute

// validFor returns a validity from now on, within that of the issuer.
func validFor(d time.Duration, issuer *x509.Certificate) credential.Validity {
	now := time.Now().UTC().Truncate(time.Second)
	v := credential.Validity{NotBefore: now.Add(-backdate), NotAfter: now.Add(-backdate).Add(d)}
	if issuer != nil && v.NotAfter.After(issuer.NotAfter) {
		v.NotAfter = issuer.NotAfter
	}
	if issuer != nil && v.NotBefore.Before(issuer.NotBefore) {
		v.NotBefore = issuer.NotBefore
	}
	return v
}
