package registry

import (
	"context"
	"errors"
	"time"

	"github.com/heraldpush/herald/apns"
)

// ErrNotFound says that the store has no such device, topic or channel.
var ErrNotFound = errors.New("not found")

// Store keeps what a Registry must remember. It is safe for concurrent use;
// each method is one transaction, durable (if the store is) when it returns.
// The suite registrytest.Run proves an implementation.
type Store interface {
	// TokenKeys returns the token key of each environment, sealed as make
	// returned it, calling make and storing its result if there are none yet.
	TokenKeys(ctx context.Context, make func() (map[apns.Environment][]byte, error)) (map[apns.Environment][]byte, error)

	// EnterDevice stores d under the next free ordinal, counted from 1, and
	// returns it; a device whose ID is known is returned as it was stored.
	EnterDevice(ctx context.Context, d Device) (Device, error)
	// Device returns the device with this ID, or ErrNotFound.
	Device(ctx context.Context, id apns.DeviceID) (Device, error)

	// EnterTopic returns the ordinal of a topic, giving it the next free one,
	// counted from 1, if it has none.
	EnterTopic(ctx context.Context, h apns.TopicHash) (uint32, error)
	// TopicOrdinal returns the ordinal of a topic, or ErrNotFound.
	TopicOrdinal(ctx context.Context, h apns.TopicHash) (uint32, error)

	// Exception returns what is out of the ordinary at an address; the zero
	// Exception is the ordinary case.
	Exception(ctx context.Context, a apns.Address) (Exception, error)
	// PutException stores it.
	PutException(ctx context.Context, a apns.Address, x Exception) error
	// EachException calls f for each address at which anything is out of the
	// ordinary, in no order, until f returns an error, which it returns.
	EachException(ctx context.Context, f func(apns.Address) error) error

	ChannelStore
	FeedbackStore
}

// Device is an activated device.
type Device struct {
	// ID is the common name of its certificate.
	ID apns.DeviceID
	// Ordinal is the number it has under the seal of its tokens.
	Ordinal apns.DeviceOrdinal
	// Entered is when it was activated first.
	Entered time.Time
}

// Exception is what a device token's seal cannot know, as it came later.
type Exception struct {
	// Generation is that of the valid device token; tokens of a lower one are
	// Unregistered.
	Generation uint32
	// Removed is when the app was found to be gone; zero if it is there.
	Removed time.Time
	// Former is when the tokens of lower generations ceased to be valid.
	Former time.Time
}
