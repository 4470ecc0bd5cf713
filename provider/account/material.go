package account

import (
	"context"
	"crypto/ecdsa"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"

	"github.com/heraldpush/herald/credential"
)

// Material is a credential with its private key. It does not show that to whoever
// prints or logs it, or makes JSON of it. The zero value has none.
type Material struct {
	// Functions, as what prints a struct around it looks into pointers, but not
	// into functions.
	credential func() Credential
	identity   func() credential.Identity // nil for a key
	key        func() *ecdsa.PrivateKey   // nil for a certificate
}

// Credential returns what can be shown of it.
func (m Material) Credential() Credential {
	if m.credential == nil {
		return Credential{}
	}
	return m.credential()
}

// Certificate returns a push certificate with its private key, in the form that
// crypto/tls presents, and false for a key.
func (m Material) Certificate() (tls.Certificate, bool) {
	if m.identity == nil {
		return tls.Certificate{}, false
	}
	return m.identity().TLS(), true
}

// Key returns the key that signs provider tokens, and false for a certificate.
// Credentials with the same TeamID, KeyID and Fingerprint are to share their
// provider tokens, as the gateway counts how often these change.
func (m Material) Key() (*ecdsa.PrivateKey, bool) {
	if m.key == nil {
		return nil, false
	}
	return m.key(), true
}

// String names the credential.
func (m Material) String() string {
	c := m.Credential()
	return fmt.Sprintf("credential %s (%s)", c.ID, c.Name)
}

// Format names the credential, whatever the verb.
func (m Material) Format(f fmt.State, _ rune) {
	_, _ = f.Write([]byte(m.String())) // as fmt does: its State keeps the error
}

// LogValue implements slog.LogValuer.
func (m Material) LogValue() slog.Value { return slog.StringValue(m.String()) }

// MarshalText names the credential; so does JSON.
func (m Material) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// sealedSecret is how the private key of a credential is stored: as PEM, for a
// certificate with that and its chain, sealed.
type sealedSecret struct {
	Sealed []byte `json:"sealed"`
}

// sealContext names the private key of a credential to the sealer.
func sealContext(id CredentialID) string { return "provider credential " + string(id) }

// seal returns the secret of m as it is stored.
func (m Material) seal(s Sealer) (sealedSecret, error) {
	var text []byte
	var err error
	if m.identity != nil {
		text, err = m.identity().MarshalPEM()
	} else {
		text, err = credential.MarshalP8(m.key())
	}
	if err != nil {
		return sealedSecret{}, err
	}
	defer clear(text)
	sealed, err := s.Seal(sealContext(m.Credential().ID), text)
	return sealedSecret{sealed}, err
}

// open returns c with its secret.
func (s sealedSecret) open(c Credential, by Sealer) (Material, error) {
	text, err := by.Open(sealContext(c.ID), s.Sealed)
	if err != nil {
		return Material{}, err
	}
	defer clear(text)
	switch c.Kind {
	case PushCertificate:
		id, err := credential.ParseIdentityPEM(text)
		return Material{credential: func() Credential { return c }, identity: func() credential.Identity { return id }}, err
	case ProviderKey:
		key, err := credential.ParseP8(text)
		return Material{credential: func() Credential { return c }, key: func() *ecdsa.PrivateKey { return key }}, err
	}
	return Material{}, errors.New("of a kind that is not known")
}

// Material returns a credential with its private key. The error may wrap
// ErrNotFound, or be that of the Sealer.
func (b *Book) Material(ctx context.Context, app AppID, id CredentialID) (Material, error) {
	c, err := b.Credential(app, id)
	if err != nil {
		return Material{}, err
	}
	var secret sealedSecret
	err = b.store.View(ctx, func(tx Tx) error { return get(tx, kindSecret, string(id), &secret) })
	if err != nil {
		return Material{}, fmt.Errorf("private key of %s: %w", id, err)
	}
	m, err := secret.open(c, b.sealer)
	if err != nil {
		return Material{}, fmt.Errorf("private key of %s: %w", id, err)
	}
	return m, nil
}
