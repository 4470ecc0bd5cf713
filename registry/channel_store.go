package registry

import (
	"context"
	"errors"

	"github.com/heraldpush/herald/apns"
)

// ErrChannelsFull says that an owner has as many channels as it may have.
var ErrChannelsFull = errors.New("as many channels as there may be")

// ChannelStore is the part of a Store that keeps channels. What is said of a
// Store holds for it.
type ChannelStore interface {
	// EnterChannel stores c under the next ordinal, counted from 1, which no
	// channel had before, and returns it. It returns ErrChannelsFull if the owner
	// has limit channels already. An ID that is there already is an error.
	EnterChannel(ctx context.Context, c Channel, limit int) (Channel, error)
	// Channel returns the channel of an owner with this ID, or ErrNotFound.
	Channel(ctx context.Context, o ChannelOwner, id apns.ChannelID) (Channel, error)
	// Channels returns the IDs of an owner's channels, by ascending ordinal.
	Channels(ctx context.Context, o ChannelOwner) ([]apns.ChannelID, error)
	// RemoveChannel removes the channel of an owner with this ID, or returns
	// ErrNotFound.
	RemoveChannel(ctx context.Context, o ChannelOwner, id apns.ChannelID) error
	// EndChannels removes each channel whose term is the last one of its app in
	// ended, or an earlier one, in both environments, and returns how many.
	EndChannels(ctx context.Context, ended map[apns.Topic]uint64) (int, error)
}
