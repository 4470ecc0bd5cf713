package account

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/heraldpush/herald/provider/audience"
)

// ErrKey says that a text is no API key that is good now: it never was, or it was
// revoked, or its time is over. Which of these is not said.
var ErrKey = errors.New("not a valid API key")

// The limits of keys.
const (
	MaxKeys    = 10_000 // those that were revoked too
	MaxKeyApps = 100
)

// NoteUseEvery is how often it is noted that a key was used.
const NoteUseEvery = time.Hour

// KeyID names an API key. It is the beginning of it: "pk_" or "sk_", and 16 letters
// and digits.
type KeyID string

// KeyKind is the kind of an API key.
type KeyKind string

// The kinds of keys.
const (
	// Publishable keys are in apps, and no secret. They may register installations,
	// of one app, and nothing else.
	Publishable KeyKind = "publishable"
	// SecretKey is one of somebody's own machines, with scopes.
	SecretKey KeyKind = "secret"
)

// Scope is what a key is for.
type Scope string

// The scopes.
const (
	// ScopeRegister is to register an installation. ScopeDevices has it too.
	ScopeRegister Scope = "register"
	// ScopeSend is to send messages, and to pause and cancel them.
	ScopeSend Scope = "send"
	// ScopeDevices is to read and change installations and people.
	ScopeDevices Scope = "devices"
	// ScopeRead is to read all but secrets and installations.
	ScopeRead Scope = "read"
	// ScopeAdmin is for everything.
	ScopeAdmin Scope = "admin"
)

// scopes are those that a secret key may have.
var scopes = []Scope{ScopeSend, ScopeDevices, ScopeRead, ScopeAdmin}

// KeySpec says what key is wanted.
type KeySpec struct {
	// Kind is SecretKey if it is empty.
	Kind KeyKind `json:"kind,omitempty"`
	// Name is for people. It may be empty.
	Name string `json:"name,omitempty"`
	// Scopes are what a secret key is for: at least one.
	Scopes []Scope `json:"scopes,omitempty"`
	// Apps are those that the key is for. None stands for all, and for what is of no
	// app. A publishable key has exactly one.
	Apps []AppID `json:"apps,omitempty"`
	// Anonymous keeps a publishable key from saying to whom an installation belongs,
	// and from changing that.
	Anonymous bool `json:"anonymous,omitempty"`
	// ExpiresAt is when it ends to be good. Zero: never.
	ExpiresAt time.Time `json:"expires_at,omitzero"`
}

// Key is an API key, without its secret.
type Key struct {
	ID KeyID `json:"id"`
	KeySpec
	CreatedAt time.Time `json:"created_at"`
	// LastUsedAt is when it was last used, to the hour: see NoteUseEvery.
	LastUsedAt time.Time `json:"last_used_at,omitzero"`
	// RevokedAt is zero for one that was not revoked.
	RevokedAt time.Time `json:"revoked_at,omitzero"`
}

// Good reports whether k is good at a time.
func (k *Key) Good(at time.Time) bool {
	return k.RevokedAt.IsZero() && (k.ExpiresAt.IsZero() || at.Before(k.ExpiresAt))
}

// Allows reports whether k is for a scope in an app; an empty one stands for what
// is of no app.
func (k *Key) Allows(s Scope, app AppID) bool {
	if len(k.Apps) > 0 && !slices.Contains(k.Apps, app) {
		return false
	}
	if k.Kind == Publishable {
		return s == ScopeRegister && app != ""
	}
	if s != ScopeRegister && !slices.Contains(scopes, s) {
		return false
	}
	return slices.Contains(k.Scopes, s) || slices.Contains(k.Scopes, ScopeAdmin) ||
		s == ScopeRegister && slices.Contains(k.Scopes, ScopeDevices)
}

// useDue reports whether it is time to note a use.
func (k *Key) useDue(at time.Time) bool { return at.Sub(k.LastUsedAt) >= NoteUseEvery }

// storedKey is a key as it is stored.
type storedKey struct {
	Key
	// Hash is the SHA-256 of the whole text, which has 128 random bits.
	Hash []byte `json:"hash"`
}

// The form of a key: kind, ID, underscore, secret.
const (
	publishablePrefix = "pk_"
	secretPrefix      = "sk_"
	keyIDChars        = len(secretPrefix) + 16
	keySecretChars    = 26
	keyChars          = keyIDChars + 1 + keySecretChars
)

// APIKey is the whole of a key, as it is shown once. It does not show itself to
// whoever prints or logs it, or makes JSON of it. The zero value is none.
type APIKey struct {
	// A function, as what prints a struct around it looks into strings, but not
	// into functions.
	text func() string
}

// ParseAPIKey reads the text of a key. Only its form is looked at: the error is
// ErrKey, and does not repeat it.
func ParseAPIKey(text string) (APIKey, error) {
	if len(text) != keyChars || text[keyIDChars] != '_' ||
		!strings.HasPrefix(text, publishablePrefix) && !strings.HasPrefix(text, secretPrefix) ||
		strings.ContainsFunc(text[len(secretPrefix):keyIDChars]+text[keyIDChars+1:], func(c rune) bool {
			return (c < 'a' || c > 'z') && (c < '2' || c > '7')
		}) {
		return APIKey{}, ErrKey
	}
	return APIKey{func() string { return text }}, nil
}

func newAPIKey(kind KeyKind) APIKey {
	prefix := secretPrefix
	if kind == Publishable {
		prefix = publishablePrefix
	}
	text := prefix + random(keyIDChars-len(prefix)) + "_" + random(keySecretChars)
	return APIKey{func() string { return text }}
}

// random returns up to 26 random letters and digits, of 5 bits each.
func random(chars int) string { return strings.ToLower(rand.Text()[:chars]) }

// Reveal returns the text of the key.
func (k APIKey) Reveal() string {
	if k.text == nil {
		return ""
	}
	return k.text()
}

// ID returns the ID of the key, empty if it is none.
func (k APIKey) ID() KeyID {
	if k.text == nil {
		return ""
	}
	return KeyID(k.text()[:keyIDChars])
}

func (k APIKey) hash() []byte {
	sum := sha256.Sum256([]byte("herald API key\n" + k.Reveal()))
	return sum[:]
}

// String names the key without showing it.
func (k APIKey) String() string { return "API key " + string(k.ID()) }

// Format names the key without showing it, whatever the verb.
func (k APIKey) Format(f fmt.State, _ rune) {
	_, _ = f.Write([]byte(k.String())) // as fmt does: its State keeps the error
}

// LogValue implements slog.LogValuer.
func (k APIKey) LogValue() slog.Value { return slog.StringValue(k.String()) }

// MarshalText names the key without showing it; so does JSON.
func (k APIKey) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// check checks a spec, and fills in what was left out.
func (s *KeySpec) check(known func(AppID) bool, at time.Time) error {
	var faults audience.Faults
	switch s.Kind {
	case "":
		s.Kind = SecretKey
	case Publishable, SecretKey:
	default:
		faults.Add("/kind", audience.Unknown, "publishable or secret")
	}
	checkName("/name", s.Name, &faults)
	switch {
	case s.Kind == Publishable && len(s.Scopes) > 0:
		faults.Add("/scopes", audience.Conflict, "a publishable key may register installations, and has no scopes")
	case s.Kind == SecretKey && len(s.Scopes) == 0:
		faults.Add("/scopes", audience.Required, "at least one of send, devices, read and admin")
	case len(s.Scopes) > len(scopes):
		faults.Add("/scopes", audience.TooMany, "more scopes than there are")
	default:
		for n, scope := range s.Scopes {
			if !slices.Contains(scopes, scope) {
				faults.Add(fmt.Sprint("/scopes/", n), audience.Unknown, "there is no such scope; there are send, devices, read and admin")
			}
		}
	}
	switch {
	case s.Kind == Publishable && len(s.Apps) != 1:
		faults.Add("/apps", audience.Required, "a publishable key is for one app")
	case len(s.Apps) > MaxKeyApps:
		faults.Add("/apps", audience.TooMany, fmt.Sprintf("%d, at most %d are possible", len(s.Apps), MaxKeyApps))
	default:
		for n, app := range s.Apps {
			if !known(app) {
				faults.Add(fmt.Sprint("/apps/", n), audience.Unknown, "there is no such app")
			}
		}
	}
	if s.Anonymous && s.Kind == SecretKey {
		faults.Add("/anonymous", audience.Conflict, "only a publishable key can be")
	}
	if !s.ExpiresAt.IsZero() && !s.ExpiresAt.After(at) {
		faults.Add("/expires_at", audience.Malformed, "not in the future")
	}
	s.ExpiresAt = s.ExpiresAt.UTC().Round(0)
	s.Scopes = slices.Compact(slices.Sorted(slices.Values(s.Scopes)))
	s.Apps = slices.Compact(slices.Sorted(slices.Values(s.Apps)))
	return faults.Err()
}

// CreateKey makes a key. The APIKey is returned this once and not kept. The error is
// an *audience.InvalidError for what cannot be.
func (b *Book) CreateKey(ctx context.Context, s KeySpec) (Key, APIKey, error) {
	var k *storedKey
	var whole APIKey
	err := b.alone(ctx, func() error {
		b.mu.RLock()
		err, n := s.check(func(id AppID) bool { return b.apps[id] != nil }, now()), len(b.keys)
		b.mu.RUnlock()
		if err != nil {
			return err
		}
		if n >= MaxKeys {
			return wrong("", audience.TooMany, "there are %d keys, which is as many as there may be: delete those that were revoked", n)
		}
		whole = newAPIKey(s.Kind)
		k = &storedKey{Key{ID: whole.ID(), KeySpec: s, CreatedAt: now()}, whole.hash()}
		return b.write(ctx, func(tx Tx) error {
			if err := b.note(ctx, tx, "key.create", string(k.ID), "%s, apps %v, scopes %v", s.Name, s.Apps, s.Scopes); err != nil {
				return err
			}
			return put(tx, kindKey, string(k.ID), k)
		}, func() { b.keys[k.ID] = k })
	})
	if err != nil {
		return Key{}, APIKey{}, fmt.Errorf("creating key: %w", err)
	}
	return k.Key, whole, nil
}

// noHash is compared with where there is no key, so that it takes as long.
var noHash = make([]byte, sha256.Size)

// Authenticate returns the key whose text it is, or ErrKey. That it was used is
// noted, see NoteUseEvery; a note that fails is logged, and keeps nobody out.
func (b *Book) Authenticate(ctx context.Context, text string) (Key, error) {
	whole, err := ParseAPIKey(text)
	if err != nil {
		return Key{}, err
	}
	at := now()
	b.mu.RLock()
	k, hash := b.keys[whole.ID()], noHash
	if k != nil {
		hash = k.Hash
	}
	b.mu.RUnlock()
	if same := subtle.ConstantTimeCompare(hash, whole.hash()) == 1; !same || k == nil || !k.Good(at) {
		return Key{}, ErrKey
	}
	if k.useDue(at) {
		if err := b.noteUse(ctx, k.ID, at); err != nil {
			b.logger.WarnContext(ctx, "could not note the use of an API key", slog.String("key", string(k.ID)), slog.Any("error", err))
		}
	}
	return k.Key, nil
}

// noteUse notes the use of a key. Of all who come at once, one does it, and the
// others do not wait; one that fails is tried again when the next hour is over.
func (b *Book) noteUse(ctx context.Context, id KeyID, at time.Time) error {
	b.mu.Lock()
	k := b.keys[id]
	if k == nil || !k.useDue(at) {
		b.mu.Unlock()
		return nil
	}
	used := *k
	used.LastUsedAt = at
	b.keys[id] = &used
	b.mu.Unlock()
	return b.alone(ctx, func() error {
		b.mu.RLock()
		k := b.keys[id] // with what was changed meanwhile
		b.mu.RUnlock()
		if k == nil {
			return nil
		}
		return b.store.Update(ctx, func(tx Tx) error { return put(tx, kindKey, string(id), k) })
	})
}

// KeyOf returns a key, or an error that wraps ErrNotFound.
func (b *Book) KeyOf(id KeyID) (Key, error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if k := b.keys[id]; k != nil {
		return k.Key, nil
	}
	return Key{}, fmt.Errorf("API key: %w", ErrNotFound) // not repeated: it may be a whole one
}

// Keys returns up to limit keys, revoked ones too, by ID, from after one on.
func (b *Book) Keys(after KeyID, limit int) (all []Key) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for _, k := range listed(b.keys, limit, func(k *storedKey) bool { return k.ID > after }) {
		all = append(all, k.Key)
	}
	return all
}

// RevokeKey ends a key, at once and for good, and returns it. One that was revoked
// stays as it is. The error may wrap ErrNotFound.
func (b *Book) RevokeKey(ctx context.Context, id KeyID) (Key, error) {
	var after storedKey
	err := b.alone(ctx, func() error {
		b.mu.RLock()
		k := b.keys[id]
		b.mu.RUnlock()
		if k == nil {
			return ErrNotFound
		}
		after = *k
		if !k.RevokedAt.IsZero() {
			return nil
		}
		after.RevokedAt = now()
		return b.write(ctx, func(tx Tx) error {
			if err := b.note(ctx, tx, "key.revoke", string(id), "%s", k.Name); err != nil {
				return err
			}
			return put(tx, kindKey, string(id), after)
		}, func() { b.keys[id] = &after })
	})
	if err != nil {
		return Key{}, fmt.Errorf("revoking API key: %w", err)
	}
	return after.Key, nil
}

// DeleteKey forgets a key that was revoked or has expired. The error may wrap
// ErrNotFound, and is an *audience.InvalidError for one that is good.
func (b *Book) DeleteKey(ctx context.Context, id KeyID) error {
	err := b.alone(ctx, func() error {
		k, err := b.KeyOf(id)
		if err != nil {
			return err
		}
		if k.Good(now()) {
			return wrong("", audience.Conflict, "the key is good: revoke it first")
		}
		return b.write(ctx, func(tx Tx) error {
			if err := b.note(ctx, tx, "key.delete", string(id), "%s", k.Name); err != nil {
				return err
			}
			return tx.Delete(kindKey, string(id))
		}, func() { delete(b.keys, id) })
	})
	if err != nil {
		return fmt.Errorf("deleting API key: %w", err)
	}
	return nil
}
