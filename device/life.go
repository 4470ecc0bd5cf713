package device

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
	"github.com/heraldpush/herald/wire"
)

// Uninstall removes the app of a topic from the device: its registration, what
// the user permitted it, and what waits for it. Its device token is Unregistered
// from when the courier hears of it, which is at once or with the next
// connection. An app that registers again gets another one.
//
// Couriers other than Herald's hear of it as Apple's do, from the receipt for a
// notification that was on its way.
func (d *Device) Uninstall(topic apns.Topic) {
	d.mu.Lock()
	d.memory.uninstall(topic)
	d.mu.Unlock()
	d.wakeUp()
	d.hasArrived()
}

// Restore makes new device tokens for all apps, as a device does whose apps
// were restored from a backup: each app hears of its new one, and the old ones
// are Unregistered. It takes effect with the connection, or the next one, and
// with Herald's courier alone.
func (d *Device) Restore() {
	d.mu.Lock()
	d.memory.roll()
	d.mu.Unlock()
	d.wakeUp()
}

// Reactivate gives the device a new identity for a new enrolment code, where the
// certificate has expired or the courier refuses it. Apps and permissions stay;
// each app gets another device token, and those of the former identity are
// Unregistered. It tries until ctx ends.
//
// The error is ErrRunning, as Run must have ended, an *ActivationError, one of
// Config.Dir, or ctx's.
func (d *Device) Reactivate(ctx context.Context, enrolmentCode string) error {
	if d.config.Activation == "" {
		return errors.New("device: reactivating: Activation is needed")
	}
	return d.alone("reactivating", func() error {
		d.mu.Lock()
		former := d.identity
		d.memory.setBase("")
		d.id, d.memory.changed = "", true // of nobody, while key and memory do not match
		d.mu.Unlock()
		if err := d.save(); err != nil {
			return err
		}
		if err := d.activate(ctx, enrolmentCode, former); err != nil {
			return err
		}
		return d.save()
	})
}

// Erase resets the device. The service learns that it is no more: its device
// tokens are Unregistered, its certificates revoked. Then all that is kept of
// it is removed: identity, apps, permissions and what was received. Reactivate
// makes a new device of it.
//
// If the service can not be told, nothing is removed. The error is ErrRunning,
// as Run must have ended, an *ActivationError, one of Config.Dir, or says why
// the activation door was not reached.
func (d *Device) Erase(ctx context.Context) error {
	return d.alone("erasing", func() error {
		d.mu.Lock()
		identity := d.identity
		d.mu.Unlock()
		if identity.Certificate != nil {
			at, serverName := d.config.doorURL(doorErasure)
			_, err := d.ask(ctx, at, serverName, func(now time.Time) (any, error) {
				p, err := proof(identity, wire.ProofErasure, "", now)
				return wire.ErasureRequest{DeviceProof: p}, err
			})
			if err != nil {
				return err
			}
		}
		return d.wipe()
	})
}

// wipe removes all that is kept.
func (d *Device) wipe() error {
	// The identity last: without it nothing would be known to be left.
	err := d.journal.erase()
	for _, name := range []string{memoryFile, pendingFile, identityFile} {
		err = errors.Join(err, d.folder.remove(name))
	}
	if err != nil {
		return &folderError{err}
	}
	m := newMemory()
	m.permissionByDefault, m.journal = d.config.DefaultPermission, d.journal
	d.mu.Lock()
	d.identity, d.id, d.memory = credential.Identity{}, "", m
	d.mu.Unlock()
	return nil
}

// alone does something that Run must not do meanwhile.
func (d *Device) alone(what string, do func() error) error {
	d.mu.Lock()
	if d.running {
		d.mu.Unlock()
		return ErrRunning
	}
	d.running = true
	d.mu.Unlock()
	err := do()
	d.mu.Lock()
	d.running = false
	d.mu.Unlock()
	if err != nil {
		return fmt.Errorf("device: %s: %w", what, err)
	}
	return nil
}

// uninstall takes an app away, and remembers to tell.
func (m *memory) uninstall(topic apns.Topic) {
	delete(m.permissions, topic)
	m.changed = true
	h := topic.Hash()
	if _, ok := m.apps[h]; !ok {
		return
	}
	delete(m.apps, h)
	m.remove(h)
}

// roll ends all device tokens.
func (m *memory) roll() {
	for h, a := range m.apps {
		if a.token != "" {
			a.token, a.told = "", false
			m.remove(h)
		}
	}
	m.changed = true
}

// remove remembers to tell the courier that the device token of a topic has
// ended. What was not told for longest gives way.
func (m *memory) remove(h hash) {
	if len(m.removed) >= MaxTopics {
		var oldest hash
		var call uint64
		for h, c := range m.removed {
			if call == 0 || c < call {
				oldest, call = h, c
			}
		}
		delete(m.removed, oldest)
	}
	m.calls++
	m.removed[h] = m.calls
}
