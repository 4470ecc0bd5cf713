package envelope

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
)

// KeyBytes is the size of a master key, in bytes.
const KeyBytes = 32

const keyIDBytes = 8

// KeyID tells master keys apart. It follows from the key, and says nothing
// about it.
type KeyID [keyIDBytes]byte

// String returns the ID in hex.
func (id KeyID) String() string { return hex.EncodeToString(id[:]) }

// Key is a master key. It does not show itself to whoever prints or logs it,
// or makes JSON of it. The zero Key is none, and not taken.
type Key struct {
	// A function, as what prints a struct around it looks into pointers, but
	// not into functions. It is nil in the zero Key.
	secret func() []byte
}

// keep returns the key of KeyBytes bytes, which become the key's own.
func keep(secret []byte) Key { return Key{func() []byte { return secret }} }

// NewKey makes a master key.
func NewKey() (Key, error) {
	secret := make([]byte, KeyBytes)
	if _, err := rand.Read(secret); err != nil {
		return Key{}, fmt.Errorf("making master key: %w", err)
	}
	return keep(secret), nil
}

// ParseKey returns the master key of exactly these KeyBytes bytes.
func ParseKey(secret []byte) (Key, error) {
	if len(secret) != KeyBytes {
		return Key{}, fmt.Errorf("master key: got %d bytes, want %d", len(secret), KeyBytes)
	}
	return keep(bytes.Clone(secret)), nil
}

// ID returns the ID of the key; the zero KeyID if it is none.
func (k Key) ID() (id KeyID) {
	if k.secret == nil {
		return id
	}
	sum := sha256.Sum256(append([]byte("herald master key ID\n"), k.secret()...))
	copy(id[:], sum[:])
	return id
}

// IsZero reports whether k is none.
func (k Key) IsZero() bool { return k.secret == nil }

// String names the key without showing it.
func (k Key) String() string {
	if k.secret == nil {
		return "no master key"
	}
	return "master key " + k.ID().String()
}

// GoString names the key without showing it.
func (k Key) GoString() string { return "envelope.Key(" + k.String() + ")" }

// Format names the key without showing it, whatever the verb.
func (k Key) Format(f fmt.State, verb rune) {
	s := k.String()
	if verb == 'v' && f.Flag('#') {
		s = k.GoString()
	}
	_, _ = f.Write([]byte(s)) // as fmt does: its State keeps the error
}

// LogValue implements slog.LogValuer.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.String()) }

// MarshalText names the key without showing it; so does JSON.
func (k Key) MarshalText() ([]byte, error) { return []byte(k.String()), nil }
