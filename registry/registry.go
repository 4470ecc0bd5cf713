package registry

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync/atomic"
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
	maxChannels int

	// What every push asks for is also in memory.
	topics      ordinals
	exceptional exceptional
	// removedDevices tells that there is a device that was removed as a whole.
	removedDevices atomic.Bool
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
	if err := r.exceptional.open(ctx, cfg.Store, func(a apns.Address) {
		if a.Topic == wholeDevice {
			r.removedDevices.Store(true)
		}
	}); err != nil {
		return nil, fmt.Errorf("opening registry: exceptions: %w", err)
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
		if err := r.putException(ctx, a, x); err != nil {
			return "", fmt.Errorf("making device token: %w", err)
		}
	}
	return apns.DeviceToken(r.sealers[a.Environment].sealToken(sealed{
		kind: kindApp, device: a.Device, topic: topic, env: a.Environment, generation: x.Generation,
	})), nil
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
	if err := r.putException(ctx, a, x); err != nil {
		return fmt.Errorf("removing %v: %w", a, err)
	}
	return nil
}

// putException stores an exception, of which this side knows from before.
func (r *Registry) putException(ctx context.Context, a apns.Address, x Exception) error {
	r.exceptional.add(a)
	if a.Topic == wholeDevice {
		r.removedDevices.Store(true)
	}
	return r.store.PutException(ctx, a, x)
}
