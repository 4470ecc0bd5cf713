package portal

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
)

// Portal knows teams, apps and credentials. It is safe for concurrent use.
type Portal struct {
	store     Store
	sealer    Sealer
	authority authority

	// changing holds one while a change of what is also in memory is made, in
	// the store and then there, so that both go through the same states.
	changing chan struct{}

	// What every push and every connection asks for is also in memory.
	mu           sync.RWMutex
	keys         map[apns.KeyID]*Key     // by ID, revoked ones too; guarded by mu; a Key in it does not change
	apps         map[apns.Topic]*App     // guarded by mu; an App in it does not change
	certificates map[string]*Certificate // by serial, revoked ones too; guarded by mu; one in it does not change
	devices      map[string]time.Time    // when revoked, by serial, zero for a good one; guarded by mu
	verified     map[string]verified     // accepted provider tokens; guarded by mu
	revocations  []Revocation            // since Open; guarded by mu
	revoked      chan struct{}           // closed and replaced at each revocation; guarded by mu
	broadcasts   chan struct{}           // closed and replaced when an app's Broadcast changes; guarded by mu

	vouched vouched // device certificates that need no second check
	// epoch counts the changes of the above, but for verified: who was
	// admitted in one epoch may have to be asked for again in the next.
	epoch atomic.Uint64
}

// Config says what a Portal is made of.
type Config struct {
	// Store keeps the records. Required.
	Store Store
	// Sealer seals the authority's private keys at rest. Nil leaves them as
	// they are, for a store that is never written to a disk.
	Sealer Sealer
	// RSA makes the keys of the root and of the providers' intermediate RSA 2048,
	// as Apple's are, so that clients that know no ECDSA read the certificates
	// of providers. It counts when the authority is made, which then takes half
	// a second. False means ECDSA P-256, for a portal that ends with a test.
	RSA bool
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

// Sealer keeps secrets that are stored unreadable to those who have the store
// alone. The context names what is sealed; it must be the same to open it.
type Sealer interface {
	Seal(context string, secret []byte) ([]byte, error)
	Open(context string, sealed []byte) ([]byte, error)
}

// unsealed is the Sealer that does not.
type unsealed struct{}

func (unsealed) Seal(_ string, secret []byte) ([]byte, error) { return secret, nil }
func (unsealed) Open(_ string, sealed []byte) ([]byte, error) { return sealed, nil }

// Open returns the portal over a store. The first time, it makes the
// certificate authority.
func Open(ctx context.Context, cfg Config) (*Portal, error) {
	if cfg.Name == "" {
		cfg.Name = "Herald"
	}
	if cfg.Sealer == nil {
		cfg.Sealer = unsealed{}
	}
	p := &Portal{
		store: cfg.Store, sealer: cfg.Sealer, changing: make(chan struct{}, 1),
		keys: make(map[apns.KeyID]*Key), apps: make(map[apns.Topic]*App), certificates: make(map[string]*Certificate),
		devices: make(map[string]time.Time), verified: make(map[string]verified), revoked: make(chan struct{}),
		broadcasts: make(chan struct{}),
	}
	if err := p.openAuthority(ctx, cfg); err != nil {
		return nil, fmt.Errorf("opening portal: %w", err)
	}
	err := p.store.View(ctx, func(tx Tx) error {
		return errors.Join(
			each(tx, kindKey, func(k *Key) error { p.keys[k.ID] = k; return nil }),
			each(tx, kindApp, func(a *App) error { p.apps[a.BundleID] = a; return nil }),
			each(tx, kindCertificate, func(c *Certificate) error { p.certificates[c.Serial] = c; return nil }),
			each(tx, kindDevice, func(d *DeviceCertificate) error {
				for _, serial := range d.serials() {
					p.devices[serial] = d.Revoked
				}
				return nil
			}),
		)
	})
	if err != nil {
		return nil, fmt.Errorf("opening portal: %w", err)
	}
	return p, nil
}

// change runs f in a transaction, and if that succeeds keep, with mu held, which
// does to what is in memory what f did to the store.
func (p *Portal) change(ctx context.Context, f func(Tx) error, keep func()) error {
	select {
	case p.changing <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-p.changing }()
	if err := p.store.Update(ctx, f); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	keep()
	p.epoch.Add(1)
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
