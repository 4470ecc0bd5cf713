package registry

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/heraldpush/herald/apns"
)

// MaxChannels is how many channels an app may have in an environment, unless
// the registry was told otherwise (docs/protocol/broadcast.md#channels).
const MaxChannels = 10_000

// ChannelOwner is what a channel belongs to: an app in an environment, for one
// term of its capability to broadcast (docs/protocol/broadcast.md#capability).
// What is of another term does not exist.
type ChannelOwner struct {
	App         apns.Topic
	Environment apns.Environment
	Term        uint64
}

// ChannelOrdinal is the push service's number for a channel, from 1. It is
// never given a second time, so what names a channel by it, as the
// subscriptions of devices do, cannot come to mean another.
type ChannelOrdinal uint64

// Channel is what devices follow, and a provider broadcasts on.
type Channel struct {
	ID      apns.ChannelID
	Ordinal ChannelOrdinal
	ChannelOwner
	StoragePolicy apns.StoragePolicy
	Created       time.Time
}

// CreateChannel makes a channel under a new random ID. The error is an
// *apns.Rejection, CannotCreateChannelConfig, if the owner has as many as it
// may have; anything else is a fault of the store.
func (r *Registry) CreateChannel(ctx context.Context, o ChannelOwner, p apns.StoragePolicy) (Channel, error) {
	c, err := r.store.EnterChannel(ctx, Channel{
		ID: apns.NewChannelID(), ChannelOwner: o, StoragePolicy: p, Created: time.Now().UTC(),
	}, r.maxChannels)
	switch {
	case errors.Is(err, ErrChannelsFull):
		return Channel{}, apns.Reject(apns.CannotCreateChannelConfig, fmt.Sprintf("%s has %d channels in %v", o.App, r.maxChannels, o.Environment))
	case err != nil:
		return Channel{}, fmt.Errorf("creating channel: %w", err)
	}
	return c, nil
}

// Channel returns a channel of an owner. The error is an *apns.Rejection,
// ChannelNotRegistered, if it has none with this ID; anything else is a fault
// of the store.
func (r *Registry) Channel(ctx context.Context, o ChannelOwner, id apns.ChannelID) (Channel, error) {
	c, err := r.store.Channel(ctx, o, id)
	if err != nil {
		return Channel{}, unregistered("reading", o, err)
	}
	return c, nil
}

// DeleteChannel ends a channel, for good. Its error is that of Channel.
func (r *Registry) DeleteChannel(ctx context.Context, o ChannelOwner, id apns.ChannelID) error {
	if err := r.store.RemoveChannel(ctx, o, id); err != nil {
		return unregistered("deleting", o, err)
	}
	return nil
}

// Channels returns the IDs of all channels of an owner, oldest first.
func (r *Registry) Channels(ctx context.Context, o ChannelOwner) ([]apns.ChannelID, error) {
	ids, err := r.store.Channels(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("listing channels: %w", err)
	}
	return ids, nil
}

// EndChannels has the store forget the channels of terms that have ended, up to
// the last one of each app, and returns how many. Nobody asks for them any more.
func (r *Registry) EndChannels(ctx context.Context, ended map[apns.Topic]uint64) (forgotten int, err error) {
	if forgotten, err = r.store.EndChannels(ctx, ended); err != nil {
		return 0, fmt.Errorf("forgetting channels: %w", err)
	}
	return forgotten, nil
}

// unregistered turns the absence of a channel into a rejection.
func unregistered(doing string, o ChannelOwner, err error) error {
	if errors.Is(err, ErrNotFound) {
		return apns.Reject(apns.ChannelNotRegistered, fmt.Sprintf("%s has no such channel in %v", o.App, o.Environment))
	}
	return fmt.Errorf("%s channel: %w", doing, err)
}
