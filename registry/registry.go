package registry

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/heraldpush/herald/apns"
)

// ErrUnknownToken says that a token was not made by this registry for this
// environment.
var ErrUnknownToken = errors.New("registry: not a token of this service and environment")

// Registry knows the devices and what their tokens mean. It is safe for
// concurrent use.
type Registry struct {
	store       Store
	sealers     map[apns.Environment]*siv // never changes
	topics      sync.Map                  // apns.TopicHash → uint32, a cache of the store
	maxChannels int
}

// Config says what a Registry is made of.
type Config struct {
	// Store keeps devices, topics, exceptions and channels. Required.
	Store Store
	// Sealer seals the token keys at rest. Nil leaves them as they are, for a
	// store that is never written to a disk.
	Sealer Sealer
	// MaxChannels is how many channels an app may have in an environment. Zero
	// means MaxChannels.
	MaxChannels int
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

// Open returns the registry over a store. The first time, it makes the token
// keys and stores them, sealed; they are never changed, as that would end every
// token.
func Open(ctx context.Context, cfg Config) (*Registry, error) {
	if cfg.Sealer == nil {
		cfg.Sealer = unsealed{}
	}
	if cfg.MaxChannels == 0 {
		cfg.MaxChannels = MaxChannels
	}
	stored, err := cfg.Store.TokenKeys(ctx, func() (map[apns.Environment][]byte, error) { return newTokenKeys(cfg.Sealer) })
	if err != nil {
		return nil, fmt.Errorf("opening registry: %w", err)
	}
	r := &Registry{store: cfg.Store, sealers: make(map[apns.Environment]*siv), maxChannels: cfg.MaxChannels}
	for _, env := range apns.Environments {
		key, err := cfg.Sealer.Open(sealContext(env), stored[env])
		if err == nil {
			r.sealers[env], err = newSIV(key)
		}
		if err != nil {
			return nil, fmt.Errorf("opening registry: token key of %v: %w", env, err)
		}
	}
	return r, nil
}

// sealContext names a token key to the Sealer.
func sealContext(env apns.Environment) string { return "token key " + env.String() }

// newTokenKeys returns a sealed key for each environment.
func newTokenKeys(s Sealer) (map[apns.Environment][]byte, error) {
	keys := make(map[apns.Environment][]byte)
	for _, env := range apns.Environments {
		key := make([]byte, tokenKeyBytes)
		if _, err := rand.Read(key); err != nil {
			return nil, err
		}
		var err error
		if keys[env], err = s.Seal(sealContext(env), key); err != nil {
			return nil, err
		}
	}
	return keys, nil
}

// EnterDevice enters an activated device and returns its ordinal. A device
// that is already entered keeps its ordinal, and so its tokens.
func (r *Registry) EnterDevice(ctx context.Context, id apns.DeviceID) (apns.DeviceOrdinal, error) {
	d, err := r.store.EnterDevice(ctx, Device{ID: id, Entered: time.Now().UTC()})
	if err != nil {
		return 0, fmt.Errorf("entering device %s: %w", id, err)
	}
	return d.Ordinal, nil
}

// Device returns the ordinal of an entered device. It returns ErrNotFound for
// one that is not.
func (r *Registry) Device(ctx context.Context, id apns.DeviceID) (apns.DeviceOrdinal, error) {
	d, err := r.store.Device(ctx, id)
	if err != nil {
		return 0, fmt.Errorf("device %s: %w", id, err)
	}
	return d.Ordinal, nil
}

// BaseToken returns the token by which a device names itself to the courier.
func (r *Registry) BaseToken(d apns.DeviceOrdinal, env apns.Environment) apns.BaseToken {
	return apns.BaseToken(r.sealers[env].sealToken(sealed{kind: kindBase, device: d, env: env}))
}

// OpenBaseToken returns the device that a base token names. It returns
// ErrUnknownToken if the token is not genuine or of the other environment.
func (r *Registry) OpenBaseToken(t apns.BaseToken, env apns.Environment) (apns.DeviceOrdinal, error) {
	s, ok := r.sealers[env].openToken(string(t))
	if !ok || s.kind != kindBase || s.env != env {
		return 0, ErrUnknownToken
	}
	return s.device, nil
}

// DeviceToken returns the device token of a topic on a device: the same each
// time, until the app is removed from the device and registers again.
func (r *Registry) DeviceToken(ctx context.Context, a apns.Address) (apns.DeviceToken, error) {
	topic, err := r.store.EnterTopic(ctx, a.Topic)
	if err != nil {
		return "", fmt.Errorf("making device token: topic %v: %w", a.Topic, err)
	}
	// To ask for a token is to want notifications: a removal ends here.
	x, err := r.store.Exception(ctx, a)
	if err != nil {
		return "", fmt.Errorf("making device token: %w", err)
	}
	if !x.Removed.IsZero() {
		x.Generation++
		x.Former, x.Removed = x.Removed, time.Time{}
		if x.Generation > maxGeneration {
			return "", fmt.Errorf("making device token: topic %v has had %d generations on one device", a.Topic, maxGeneration)
		}
		if err := r.store.PutException(ctx, a, x); err != nil {
			return "", fmt.Errorf("making device token: %w", err)
		}
	}
	return apns.DeviceToken(r.sealers[a.Environment].sealToken(sealed{
		kind: kindApp, device: a.Device, topic: topic, env: a.Environment, generation: x.Generation,
	})), nil
}

// Resolve returns the address that a device token stands for. The error is an
// *apns.Rejection if the token is none of this environment (BadDeviceToken),
// if it is for another topic (DeviceTokenNotForTopic), or if the app no longer
// wants notifications (Unregistered, with the time); anything else is a fault
// of the store.
func (r *Registry) Resolve(ctx context.Context, t apns.DeviceToken, topic apns.Topic, env apns.Environment) (apns.Address, error) {
	s, ok := r.sealers[env].openToken(string(t))
	if !ok || s.kind != kindApp || s.env != env {
		return apns.Address{}, apns.Reject(apns.BadDeviceToken, r.foreign(t, env))
	}
	a := apns.Address{Device: s.device, Environment: env, Topic: topic.Hash()}
	ordinal, err := r.topicOrdinal(ctx, a.Topic)
	if err != nil {
		return apns.Address{}, err
	}
	if ordinal != s.topic {
		return apns.Address{}, apns.Reject(apns.DeviceTokenNotForTopic, "the device token was made for another topic than "+string(topic))
	}
	x, err := r.store.Exception(ctx, a)
	if err != nil {
		return apns.Address{}, fmt.Errorf("resolving device token: %w", err)
	}
	since := x.Removed
	if s.generation < x.Generation {
		since = x.Former
	}
	if !since.IsZero() {
		gone := apns.Reject(apns.Unregistered, "")
		gone.Since = since
		return apns.Address{}, gone
	}
	return a, nil
}

// foreign says, for the log, where a refused token came from if that can be known.
func (r *Registry) foreign(t apns.DeviceToken, env apns.Environment) string {
	for other, sealer := range r.sealers {
		if s, ok := sealer.openToken(string(t)); ok {
			if s.kind == kindBase {
				return "it is a base token of " + other.String()
			}
			if other != env {
				return "the device token was issued by " + other.String()
			}
		}
	}
	return ""
}

// topicOrdinal returns the ordinal of a topic, 0 for one that no device has
// ever asked for.
func (r *Registry) topicOrdinal(ctx context.Context, h apns.TopicHash) (uint32, error) {
	if n, ok := r.topics.Load(h); ok {
		return n.(uint32), nil //nolint:errcheck // only uint32 is stored
	}
	n, err := r.store.TopicOrdinal(ctx, h)
	if errors.Is(err, ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("topic %v: %w", h, err)
	}
	r.topics.Store(h, n)
	return n, nil
}

// Remove records that the app at an address is gone, as of a time: its device
// token is Unregistered from now on. A later DeviceToken begins anew with
// another token. Removing twice keeps the first time.
func (r *Registry) Remove(ctx context.Context, a apns.Address, at time.Time) error {
	x, err := r.store.Exception(ctx, a)
	if err != nil {
		return fmt.Errorf("removing %v: %w", a, err)
	}
	if !x.Removed.IsZero() {
		return nil
	}
	x.Removed = at.UTC()
	if err := r.store.PutException(ctx, a, x); err != nil {
		return fmt.Errorf("removing %v: %w", a, err)
	}
	return nil
}
