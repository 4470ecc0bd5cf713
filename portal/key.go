package portal

import (
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"fmt"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
)

// Key is the public half of a provider's signing key (.p8). It is good for
// both environments and all apps of its team, as Apple's older keys are.
type Key struct {
	ID      apns.KeyID
	Team    apns.TeamID
	Name    string
	Created time.Time
	// Public is the public key, PKIX, DER.
	Public []byte
}

// CreateKey makes a signing key for a team. The private key, a .p8 file, is
// returned this once and not kept.
func (p *Portal) CreateKey(ctx context.Context, team apns.TeamID, name string) (Key, []byte, error) {
	private, err := credential.NewProviderKey()
	if err != nil {
		return Key{}, nil, fmt.Errorf("creating key: %w", err)
	}
	p8, err := credential.MarshalP8(private)
	if err != nil {
		return Key{}, nil, fmt.Errorf("creating key: %w", err)
	}
	k := Key{ID: credential.NewKeyID(), Team: team, Name: name, Created: time.Now().UTC()}
	if k.Public, err = x509.MarshalPKIXPublicKey(private.Public()); err != nil {
		return Key{}, nil, fmt.Errorf("creating key: %w", err)
	}
	err = p.store.Update(ctx, func(tx Tx) error {
		if err := get(tx, kindTeam, string(team), new(Team)); err != nil {
			return refuse("team %q: %w", team, err)
		}
		return put(tx, kindKey, string(k.ID), k)
	})
	if err != nil {
		return Key{}, nil, fmt.Errorf("creating key: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys[k.ID] = &k
	return k, p8, nil
}

// Keys returns all keys, by ID.
func (p *Portal) Keys(ctx context.Context) (keys []Key, err error) {
	err = p.store.View(ctx, func(tx Tx) error {
		return each(tx, kindKey, func(k *Key) error { keys = append(keys, *k); return nil })
	})
	return keys, err
}

func parsePublic(der []byte) (*ecdsa.PublicKey, error) {
	pub, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, err
	}
	k, ok := pub.(*ecdsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("%T: want an ECDSA key", pub)
	}
	return k, nil
}
