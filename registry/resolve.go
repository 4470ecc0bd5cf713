package registry

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/heraldpush/herald/apns"
)

// ErrMustAsk says that the store must be asked, see ResolveNow.
var ErrMustAsk = errors.New("registry: the store must be asked")

// Resolve returns the address that a device token stands for. The error is an
// *apns.Rejection if the token is none of this environment (BadDeviceToken),
// if it is for another topic (DeviceTokenNotForTopic), or if the app no longer
// wants notifications (Unregistered, with the time); anything else is a fault
// of the store.
func (r *Registry) Resolve(ctx context.Context, t apns.DeviceToken, topic apns.Topic, env apns.Environment) (apns.Address, error) {
	s, err := r.open(t, env)
	if err != nil {
		return apns.Address{}, err
	}
	a := apns.Address{Device: s.device, Environment: env, Topic: topic.Hash()}
	ordinal, err := r.topicOrdinal(ctx, a.Topic)
	if err != nil {
		return apns.Address{}, err
	}
	if ordinal != s.topic {
		return apns.Address{}, notForTopic(topic)
	}
	if !r.exceptionAt(a) {
		return a, nil
	}
	since, err := r.gone(ctx, a, s.generation)
	if err != nil {
		return apns.Address{}, fmt.Errorf("resolving device token: %w", err)
	}
	if !since.IsZero() {
		gone := apns.Reject(apns.Unregistered, "")
		gone.Since = since
		return apns.Address{}, gone
	}
	return a, nil
}

// Topic is a topic as the registry knows it, to be kept by those who resolve many
// device tokens of it.
type Topic struct {
	// Name and Hash are the two names of the topic.
	Name apns.Topic
	Hash apns.TopicHash

	ordinal uint32 // 0 if that is not known
}

// Topic returns a topic. It does not ask the store.
func (r *Registry) Topic(name apns.Topic) Topic {
	t := Topic{Name: name, Hash: name.Hash()}
	t.ordinal = r.topics.get(t.Hash)
	return t
}

// Known reports whether ResolveNow knows t. If not, Resolve may make it known, and
// Registry.Topic then returns another one.
func (t *Topic) Known() bool { return t.ordinal != 0 }

// ResolveNow is Resolve for those who must not wait for the store. It needs it
// only for a topic that is not known and for what is out of the ordinary, as a
// removed app: the error then is ErrMustAsk itself, or one that Resolve would
// return. It allocates nothing where there is none.
func (r *Registry) ResolveNow(t apns.DeviceToken, topic *Topic, env apns.Environment) (apns.Address, error) {
	s, err := r.open(t, env)
	if err != nil {
		return apns.Address{}, err
	}
	a := apns.Address{Device: s.device, Environment: env, Topic: topic.Hash}
	switch {
	case topic.ordinal == 0:
		return apns.Address{}, ErrMustAsk
	case topic.ordinal != s.topic:
		return apns.Address{}, notForTopic(topic.Name)
	case r.exceptionAt(a):
		return apns.Address{}, ErrMustAsk
	}
	return a, nil
}

// open reads a device token. The error is BadDeviceToken.
func (r *Registry) open(t apns.DeviceToken, env apns.Environment) (sealed, error) {
	s, ok := r.sealers[env].openToken(string(t))
	if !ok || s.kind != kindApp || s.env != env {
		return sealed{}, apns.Reject(apns.BadDeviceToken, r.foreign(t, env))
	}
	return s, nil
}

func notForTopic(topic apns.Topic) *apns.Rejection {
	return apns.Reject(apns.DeviceTokenNotForTopic, "the device token was made for another topic than "+string(topic))
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
	if n := r.topics.get(h); n != 0 {
		return n, nil
	}
	n, err := r.store.TopicOrdinal(ctx, h)
	if errors.Is(err, ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("topic %v: %w", h, err)
	}
	r.topics.put(h, n)
	return n, nil
}

// ordinals are those topics of the store that were asked for. A topic keeps its
// ordinal for good.
type ordinals struct {
	mu sync.RWMutex
	of map[apns.TopicHash]uint32 // guarded by mu
}

// get returns 0 for a topic that is not there.
func (o *ordinals) get(h apns.TopicHash) uint32 {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return o.of[h]
}

func (o *ordinals) put(h apns.TopicHash, n uint32) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.of == nil {
		o.of = make(map[apns.TopicHash]uint32)
	}
	o.of[h] = n
}
