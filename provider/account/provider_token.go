package account

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"

	"github.com/heraldpush/herald/credential"
)

// Signed returns the credentials whose key has signed a provider token: of each app
// to which the key was uploaded. There are none if the book has no such key, or the
// signature is another's. When the token was made is for the caller to judge.
//
// Who has such a token can send to the apps of its team without this provider, as it
// is what the push service itself asks for.
func (b *Book) Signed(ctx context.Context, t credential.ProviderToken) (by []Credential, err error) {
	b.mu.RLock()
	for _, c := range b.credentials {
		if c.Kind == ProviderKey && c.KeyID == t.KeyID && c.TeamID == t.TeamID {
			by = append(by, c.clone())
		}
	}
	b.mu.RUnlock()
	verified := make(map[string]bool)
	signed := by[:0]
	for _, c := range by {
		good, known := verified[c.Fingerprint]
		if !known {
			public, err := b.publicKey(ctx, &c)
			if errors.Is(err, ErrNotFound) {
				continue // it was removed meanwhile
			}
			if err != nil {
				return nil, err
			}
			good = t.Verify(public) == nil
			verified[c.Fingerprint] = good
		}
		if good {
			signed = append(signed, c)
		}
	}
	return signed, nil
}

// publicKey returns the public half of a key. It is kept, so that the private one is
// opened once.
func (b *Book) publicKey(ctx context.Context, c *Credential) (*ecdsa.PublicKey, error) {
	b.mu.RLock()
	public := b.publics[c.Fingerprint]
	b.mu.RUnlock()
	if public != nil {
		return public, nil
	}
	m, err := b.Material(ctx, c.App, c.ID)
	if err != nil {
		return nil, err
	}
	key, ok := m.Key()
	if !ok {
		return nil, fmt.Errorf("credential %s: not a key", c.ID)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.publics[c.Fingerprint] = &key.PublicKey
	return &key.PublicKey, nil
}
