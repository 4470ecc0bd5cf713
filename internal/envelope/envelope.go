package envelope

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
)

// MaxSecretBytes bounds what is sealed.
const MaxSecretBytes = 1 << 20

// Sizes and places within an envelope.
const (
	prefix       = "hrd1"
	overhead     = 12 + 16 // nonce and tag
	wrappedStart = len(prefix) + keyIDBytes
	secretStart  = wrappedStart + KeyBytes + overhead
	minBytes     = secretStart + overhead
)

// ErrDamaged says that an envelope is not as it was sealed, or was sealed for
// another context.
var ErrDamaged = errors.New("damaged, or sealed as something else")

// WrongKeyError says that an envelope was sealed with another master key.
type WrongKeyError struct {
	// Sealed is the key that it takes.
	Sealed KeyID
	// Have is the master key that there is.
	Have KeyID
}

// Error names both keys.
func (e *WrongKeyError) Error() string {
	return fmt.Sprintf("sealed with master key %v, and the master key here is %v", e.Sealed, e.Have)
}

// Sealer seals with a master key and opens what was. It is safe for concurrent
// use.
type Sealer struct {
	master KeyID
	// key returns a master key in use, or nil. It is a function, as what
	// prints a Sealer does not look into one.
	key func(KeyID) cipher.AEAD
}

// New returns a Sealer that seals with a master key, and opens what was sealed
// with it or with one of those before it.
func New(master Key, former ...Key) (*Sealer, error) {
	keys := make(map[KeyID]cipher.AEAD)
	for _, k := range append([]Key{master}, former...) {
		if k.secret == nil {
			return nil, errors.New("envelope: there is no master key")
		}
		aead, err := newAEAD(k.secret())
		if err != nil {
			return nil, err
		}
		keys[k.ID()] = aead
	}
	return &Sealer{master.ID(), func(id KeyID) cipher.AEAD { return keys[id] }}, nil
}

func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("envelope: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("envelope: %w", err)
	}
	return aead, nil
}

// Seal returns an envelope with the secret. The context says what it is, such
// as "authority/root", and must be the same to open it.
func (s *Sealer) Seal(context string, secret []byte) ([]byte, error) {
	if len(secret) > MaxSecretBytes {
		return nil, fmt.Errorf("sealing %s: %d bytes are more than the %d that are taken", context, len(secret), MaxSecretBytes)
	}
	var data [KeyBytes]byte
	defer clear(data[:])
	if _, err := rand.Read(data[:]); err != nil {
		return nil, fmt.Errorf("sealing %s: %w", context, err)
	}
	aead, err := newAEAD(data[:])
	if err != nil {
		return nil, err
	}
	return aead.Seal(s.wrap(data[:]), nil, secret, secretData(context)), nil
}

// wrap returns the head of an envelope, with a data key.
func (s *Sealer) wrap(data []byte) []byte {
	head := append([]byte(prefix), s.master[:]...)
	return s.key(s.master).Seal(head, nil, data, keyData(s.master))
}

// Open returns the secret of an envelope that was sealed for the context. It
// returns a *WrongKeyError if the master key is another one, and ErrDamaged
// if it is no whole envelope of that context.
func (s *Sealer) Open(context string, sealed []byte) ([]byte, error) {
	data, err := s.unwrap(sealed)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", context, err)
	}
	defer clear(data)
	aead, err := newAEAD(data)
	if err != nil {
		return nil, err
	}
	secret, err := aead.Open(nil, nil, sealed[secretStart:], secretData(context))
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", context, ErrDamaged)
	}
	return secret, nil
}

// unwrap returns the data key of an envelope.
func (s *Sealer) unwrap(sealed []byte) ([]byte, error) {
	id, err := KeyOf(sealed)
	if err != nil {
		return nil, err
	}
	aead := s.key(id)
	if aead == nil {
		return nil, &WrongKeyError{id, s.master}
	}
	data, err := aead.Open(nil, nil, sealed[wrappedStart:secretStart], keyData(id))
	if err != nil {
		return nil, ErrDamaged
	}
	return data, nil
}

// Rewrap returns an envelope whose data key is under the present master key;
// its secret is not touched. The errors are those of Open, but what is damaged
// in the secret is not found.
func (s *Sealer) Rewrap(sealed []byte) ([]byte, error) {
	data, err := s.unwrap(sealed)
	if err != nil {
		return nil, fmt.Errorf("wrapping anew: %w", err)
	}
	defer clear(data)
	return append(s.wrap(data), sealed[secretStart:]...), nil
}

// KeyOf returns the ID of the master key that an envelope was sealed with, or
// ErrDamaged if it is none.
func KeyOf(sealed []byte) (id KeyID, err error) {
	if len(sealed) < minBytes || len(sealed) > minBytes+MaxSecretBytes || !bytes.HasPrefix(sealed, []byte(prefix)) {
		return id, ErrDamaged
	}
	copy(id[:], sealed[len(prefix):])
	return id, nil
}

// keyData is what is authenticated with a data key.
func keyData(id KeyID) []byte { return append([]byte(prefix+" key "), id[:]...) }

// secretData is what is authenticated with a secret.
func secretData(context string) []byte { return []byte(prefix + " secret " + context) }
