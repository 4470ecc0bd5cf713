package memory

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/registry"
)

// channels is the part of a Registry that keeps channels. There may be many, so
// a change of it touches no more than what changes.
type channels struct {
	mu   sync.Mutex
	last registry.ChannelOrdinal                                       // guarded by mu
	all  map[apns.ChannelID]registry.Channel                           // guarded by mu
	of   map[registry.ChannelOwner]map[apns.ChannelID]registry.Channel // the same; none is empty; guarded by mu
}

// EnterChannel implements registry.Store.
func (s *channels) EnterChannel(_ context.Context, c registry.Channel, limit int) (registry.Channel, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.all[c.ID]; ok {
		return registry.Channel{}, fmt.Errorf("channel %s is there already", c.ID)
	}
	theirs := s.of[c.ChannelOwner]
	if len(theirs) >= limit {
		return registry.Channel{}, registry.ErrChannelsFull
	}
	s.last++
	c.Ordinal = s.last
	put(&s.all, c.ID, c)
	put(&theirs, c.ID, c)
	put(&s.of, c.ChannelOwner, theirs)
	return c, nil
}

// Channel implements registry.Store.
func (s *channels) Channel(_ context.Context, o registry.ChannelOwner, id apns.ChannelID) (registry.Channel, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return get(s.of[o], id)
}

// Channels implements registry.Store.
func (s *channels) Channels(_ context.Context, o registry.ChannelOwner) ([]apns.ChannelID, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	theirs := s.of[o]
	return slices.SortedFunc(maps.Keys(theirs), func(a, b apns.ChannelID) int {
		return int(int64(theirs[a].Ordinal) - int64(theirs[b].Ordinal)) //nolint:gosec // there are not so many
	}), nil
}

// RemoveChannel implements registry.Store.
func (s *channels) RemoveChannel(_ context.Context, o registry.ChannelOwner, id apns.ChannelID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	theirs := s.of[o]
	if _, err := get(theirs, id); err != nil {
		return err
	}
	delete(s.all, id)
	if delete(theirs, id); len(theirs) == 0 {
		delete(s.of, o)
	}
	return nil
}

// EndChannels implements registry.Store.
func (s *channels) EndChannels(_ context.Context, ended map[apns.Topic]uint64) (removed int, _ error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for o, theirs := range s.of {
		if last, ok := ended[o.App]; !ok || o.Term > last {
			continue
		}
		for id := range theirs {
			delete(s.all, id)
		}
		removed += len(theirs)
		delete(s.of, o)
	}
	return removed, nil
}
