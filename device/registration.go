package device

import (
	"cmp"
	"fmt"
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

// Save writes to Config.Dir what changed by the methods of this Device. Run does
// so by itself; this is for programs that change something and do not run.
func (d *Device) Save() error {
	if err := d.save(); err != nil {
		return fmt.Errorf("device: %w", err)
	}
	return nil
}
