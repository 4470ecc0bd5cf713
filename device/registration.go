package device

import (
	"cmp"
	"slices"

	"github.com/heraldpush/herald/apns"
)

// Registration is an app that is registered on the device.
type Registration struct {
	// Topic is what it registered.
	Topic apns.Topic
	// Types are what it registered for.
	Types NotificationTypes
	// DeviceToken is empty until the courier gives one.
	DeviceToken apns.DeviceToken
}

// Registrations returns the apps that are registered, sorted by topic: also
// those of an earlier process, which have no delegate until they register
// again.
func (d *Device) Registrations() []Registration {
	d.mu.Lock()
	all := make([]Registration, 0, len(d.memory.apps))
	for _, a := range d.memory.apps {
		all = append(all, Registration{Topic: a.topic, Types: a.types, DeviceToken: a.token})
	}
	d.mu.Unlock()
	slices.SortFunc(all, func(a, b Registration) int { return cmp.Compare(a.Topic, b.Topic) })
	return all
}
