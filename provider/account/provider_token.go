package account

import (
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
)

// ErrProviderToken says that a text is no provider token.
var ErrProviderToken = errors.New("not a provider token")

// Signed returns when a provider token was made, and the credentials whose key has
// signed it: of each app to which the key was uploaded. There are none if the book
// has no such key, or the signature is another's. Whether the provider token has
// expired is for the caller to judge. The error may be ErrProviderToken.
//
// Who has such a token can send to the apps of its team without this provider, as it
// is what the push service itself asks for.
func (b *Book) Signed(ctx context.Context, text string) (issuedAt time.Time, by []Credential, err error) {
	if len(text) > credential.MaxProviderTokenBytes {
		return issuedAt, nil, fmt.Errorf("%w: %d bytes", ErrProviderToken, len(text))
	}
	token := sha256.Sum256([]byte(text))
	if g, ok := b.signatures.find(token); ok {
		if by := b.providerKeys(g.key, g.team, g.fingerprint); len(by) > 0 {
			return g.issuedAt, by, nil
		}
		b.signatures.forget(token) // the key was removed
	}
	t, err := credential.ParseProviderToken(text)
	if err != nil {
		return issuedAt, nil, fmt.Errorf("%w: %w", ErrProviderToken, err)
	}
	by, err = b.verify(ctx, t)
	if err != nil || len(by) == 0 {
		return t.IssuedAt, nil, err
	}
	b.signatures.add(token, signature{t.KeyID, t.TeamID, t.IssuedAt, by[0].Fingerprint}, time.Now())
	return t.IssuedAt, by, nil
}

// providerKeys returns the credentials that are a key of a team; with a fingerprint,
// those that are this key.
func (b *Book) providerKeys(key apns.KeyID, team apns.TeamID, fingerprint string) (all []Credential) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for _, c := range b.credentials {
		if c.Kind == ProviderKey && c.KeyID == key && c.TeamID == team && (fingerprint == "" || c.Fingerprint == fingerprint) {
			all = append(all, c.clone())
		}
	}
	return all
}

// verify returns the credentials whose key has signed a provider token. They are all
// one key: a signature is good for one.
func (b *Book) verify(ctx context.Context, t credential.ProviderToken) (signed []Credential, err error) {
	verified := make(map[string]bool)
	for _, c := range b.providerKeys(t.KeyID, t.TeamID, "") {
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
