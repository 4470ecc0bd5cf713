package memory

import (
	"context"
	"fmt"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/registry"
)

// Registry is a registry.Store.
type Registry struct {
	known    guarded[registryState]
	feedback feedback
	channels
}

var _ registry.Store = (*Registry)(nil)

type registryState struct {
	TokenKeys  map[apns.Environment][]byte
	Devices    map[apns.DeviceID]registry.Device
	Topics     map[string]uint32    // by the hash in hex
	Exceptions map[string]exception // by addressKey
}

type exception struct {
	Address apns.Address
	registry.Exception
}

// NewRegistry returns an empty store.
func NewRegistry() *Registry { return &Registry{} }

// TokenKeys implements registry.Store.
func (r *Registry) TokenKeys(_ context.Context, make func() (map[apns.Environment][]byte, error)) (keys map[apns.Environment][]byte, err error) {
	err = r.known.view(func(s *registryState) error { keys = s.TokenKeys; return nil })
	if err != nil || keys != nil {
		return keys, err
	}
	err = r.known.change(func(s *registryState) error {
		if s.TokenKeys == nil {
			made, err := make()
			if err != nil {
				return err
			}
			s.TokenKeys = made
		}
		keys = s.TokenKeys
		return nil
	})
	return keys, err
}

// EnterDevice implements registry.Store.
func (r *Registry) EnterDevice(ctx context.Context, d registry.Device) (registry.Device, error) {
	if known, err := r.Device(ctx, d.ID); err == nil {
		return known, nil
	}
	err := r.known.change(func(s *registryState) error {
		if known, ok := s.Devices[d.ID]; ok {
			d = known
			return nil
		}
		d.Ordinal = apns.DeviceOrdinal(len(s.Devices) + 1)
		put(&s.Devices, d.ID, d)
		return nil
	})
	return d, err
}

// Device implements registry.Store.
func (r *Registry) Device(_ context.Context, id apns.DeviceID) (d registry.Device, err error) {
	err = r.known.view(func(s *registryState) (err error) { d, err = get(s.Devices, id); return err })
	return d, err
}

// EnterTopic implements registry.Store.
func (r *Registry) EnterTopic(ctx context.Context, h apns.TopicHash) (uint32, error) {
	n, err := r.TopicOrdinal(ctx, h)
	if err == nil {
		return n, nil
	}
	err = r.known.change(func(s *registryState) error {
		var ok bool
		if n, ok = s.Topics[h.String()]; !ok {
			n = uint32(len(s.Topics) + 1)
			put(&s.Topics, h.String(), n)
		}
		return nil
	})
	return n, err
}

// TopicOrdinal implements registry.Store.
func (r *Registry) TopicOrdinal(_ context.Context, h apns.TopicHash) (n uint32, err error) {
	err = r.known.view(func(s *registryState) (err error) { n, err = get(s.Topics, h.String()); return err })
	return n, err
}

// Exception implements registry.Store.
func (r *Registry) Exception(_ context.Context, a apns.Address) (x registry.Exception, err error) {
	err = r.known.view(func(s *registryState) error {
		if len(s.Exceptions) > 0 {
			x = s.Exceptions[addressKey(a)].Exception
		}
		return nil
	})
	return x, err
}

// PutException implements registry.Store.
func (r *Registry) PutException(_ context.Context, a apns.Address, x registry.Exception) error {
	return r.known.change(func(s *registryState) error {
		if x == (registry.Exception{}) {
			delete(s.Exceptions, addressKey(a))
		} else {
			put(&s.Exceptions, addressKey(a), exception{a, x})
		}
		return nil
	})
}

// EachException implements registry.Store.
func (r *Registry) EachException(_ context.Context, f func(apns.Address) error) error {
	var all []apns.Address
	err := r.known.view(func(s *registryState) error {
		for _, x := range s.Exceptions {
			all = append(all, x.Address)
		}
		return nil
	})
	for i := 0; i < len(all) && err == nil; i++ {
		err = f(all[i])
	}
	return err
}

func addressKey(a apns.Address) string {
	return fmt.Sprintf("%d/%v/%v", a.Device, a.Environment, a.Topic)
}

// put sets a key of a map that may not exist yet.
func put[K comparable, V any](m *map[K]V, k K, v V) {
	if *m == nil {
		*m = make(map[K]V)
	}
	(*m)[k] = v
}

// get returns the value of a key, or registry.ErrNotFound.
func get[K comparable, V any](m map[K]V, k K) (V, error) {
	v, ok := m[k]
	if !ok {
		return v, registry.ErrNotFound
	}
	return v, nil
}
