package registry

import (
	"context"
	"fmt"
	"time"

	"github.com/heraldpush/herald/apns"
)

// wholeDevice stands for all topics of a device in the address of an exception.
// No topic has this hash.
var wholeDevice apns.TopicHash

// RemoveDevice records that a device is no more, as of a time: all its device
// tokens are Unregistered from now on, in both environments. There is no way
// back. Removing twice keeps the first time.
func (r *Registry) RemoveDevice(ctx context.Context, d apns.DeviceOrdinal, at time.Time) error {
	for _, env := range apns.Environments {
		if err := r.Remove(ctx, apns.Address{Device: d, Environment: env, Topic: wholeDevice}, at); err != nil {
			return fmt.Errorf("removing device: %w", err)
		}
	}
	return nil
}

// exceptionAt reports whether anything may be out of the ordinary at an address.
func (r *Registry) exceptionAt(a apns.Address) bool {
	if r.exceptional.has(a) {
		return true
	}
	if !r.removedDevices.Load() {
		return false
	}
	a.Topic = wholeDevice
	return r.exceptional.has(a)
}

// gone returns since when a device token of a generation at an address is not
// valid; zero if it is.
func (r *Registry) gone(ctx context.Context, a apns.Address, generation uint32) (since time.Time, err error) {
	x, err := r.store.Exception(ctx, a)
	if err != nil {
		return time.Time{}, err
	}
	since = x.Removed
	if generation < x.Generation {
		since = x.Former
	}
	if !since.IsZero() || !r.removedDevices.Load() {
		return since, nil
	}
	a.Topic = wholeDevice
	x, err = r.store.Exception(ctx, a)
	return x.Removed, err
}
