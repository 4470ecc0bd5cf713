package device

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"sync"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
)

// MaxTopics bounds the topics that a device is registered for at a time: the
// filter that names them all must fit into one frame.
const MaxTopics = 1000

// ErrRunning says that Run was called while another Run of the same device
// had not returned.
var ErrRunning = errors.New("device: already running")

// ErrNotActivated says that New was given nothing to activate the device with,
// which has no certificate yet.
var ErrNotActivated = errors.New("not activated yet: Activation and EnrolmentCode are needed")

// Device is one device in one environment. Its methods may be called from any
// goroutine, at any time.
type Device struct {
	config Config
	folder folder

	// wake tells Run that a registration changed. One that waits already says
	// it all.
	wake chan struct{}
	// arrived tells the goroutine of the delegates that an app registered.
	arrived chan struct{}
	journal *journal
	// renewing is full while the certificate is being renewed.
	renewing chan struct{}

	mu       sync.Mutex
	identity credential.Identity // zero before activation; guarded by mu
	id       apns.DeviceID       // "" before activation; guarded by mu
	memory   *memory             // guarded by mu; of sessions, no step is taken without it
	running  bool                // guarded by mu
	// suspicion is about the end of the last connection; guarded by mu.
	suspicion *suspicion
	up        bool          // accepted by a courier; guarded by mu
	changed   chan struct{} // closed and replaced when up or ended changes; guarded by mu
	ended     error         // what the last Run returned; guarded by mu
	last      error         // why there is no connection, if known; guarded by mu
}

// New returns a device, with what Config.Dir holds of it, and makes that
// folder if it is missing. It opens no connection. The error says which field
// of c is wrong, or which file is damaged; a damaged file is left as it is.
func New(c Config) (*Device, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	d := &Device{
		config:  c,
		folder:  folder{dir: c.Dir, environment: c.Environment},
		wake:    make(chan struct{}, 1),
		arrived: make(chan struct{}, 1),

		renewing: make(chan struct{}, 1),
		changed:  make(chan struct{}),
	}
	if err := d.folder.make(); err != nil {
		return nil, fmt.Errorf("device: %w", err)
	}
	if d.identity, d.id, err = d.folder.loadIdentity(); err != nil {
		return nil, fmt.Errorf("device: %w", err)
	}
	if d.memory, err = d.folder.loadMemory(d.id); err != nil {
		return nil, fmt.Errorf("device: %w", err)
	}
	if d.journal, err = d.folder.loadJournal(c.Logger); err != nil {
		return nil, fmt.Errorf("device: %w", err)
	}
	d.memory.useJournal(d.journal)
	d.memory.permissionByDefault = c.DefaultPermission
	if d.identity.Certificate == nil && (c.Activation == "" || c.EnrolmentCode == "") {
		return nil, fmt.Errorf("device: %w", ErrNotActivated)
	}
	return d, nil
}

// ID returns the name that the device got at its activation; empty before.
func (d *Device) ID() apns.DeviceID {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.id
}

// Certificate returns the device certificate; nil before activation.
func (d *Device) Certificate() *x509.Certificate {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.identity.Certificate
}

// BaseToken returns the device's own name at the courier; empty before the
// first connection. It is not for apps, nor for providers.
func (d *Device) BaseToken() apns.BaseToken {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.memory.base
}

// Connected waits until a courier has accepted the device. It returns what Run
// returned, if that ended with an error, or an error that wraps ctx.Err() and
// names the last obstacle.
func (d *Device) Connected(ctx context.Context) error {
	for {
		d.mu.Lock()
		up, ended, last, changed := d.up, d.ended, d.last, d.changed
		d.mu.Unlock()
		switch {
		case up:
			return nil
		case ended != nil:
			return ended
		}
		select {
		case <-changed:
		case <-ctx.Done():
			if last != nil {
				return fmt.Errorf("device: not connected: %w; before that: %w", ctx.Err(), last)
			}
			return fmt.Errorf("device: not connected: %w", ctx.Err())
		}
	}
}

// RegisterForRemoteNotifications asks for a device token for topic, and that
// its notifications be brought. The types say what of them the user is to
// notice. The delegate hears of the outcome, as soon as the device is
// connected, and of each notification.
//
// A topic that is registered already gets the new types and delegate, and its
// device token again. A registration outlives the process where Config.Dir is
// set: a new process registers again to hear of it. Until then its
// notifications are shown, and wait for it, the last 1000 of all such apps.
//
// The app gets its device token whatever the user permits. The error says that
// topic or types can not be, or that there are MaxTopics already.
func (d *Device) RegisterForRemoteNotifications(topic apns.Topic, types NotificationTypes, delegate Delegate) error {
	switch {
	case !topic.Valid():
		return fmt.Errorf("registering %.80q: not a topic", string(topic))
	case !types.valid():
		return fmt.Errorf("registering %s: %v: unknown notification types", topic, types)
	}
	if err := d.askPermission(topic, types); err != nil {
		return err
	}
	d.mu.Lock()
	ok := d.memory.register(topic, types, delegate)
	d.mu.Unlock()
	if !ok {
		return fmt.Errorf("registering %s: %d topics are registered already", topic, MaxTopics)
	}
	d.wakeUp()
	d.hasArrived()
	return nil
}

// UnregisterForRemoteNotifications takes topic out of the filter: from the
// next frame on the courier brings nothing for it. Its device token is
// forgotten. A topic that is not registered is no error.
func (d *Device) UnregisterForRemoteNotifications(topic apns.Topic) {
	d.mu.Lock()
	d.memory.unregister(topic)
	d.mu.Unlock()
	d.wakeUp()
}

// hasArrived tells that what waits for apps has to be looked at.
func (d *Device) hasArrived() {
	select {
	case d.arrived <- struct{}{}:
	default:
	}
}

func (d *Device) wakeUp() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// begin claims Run.
func (d *Device) begin() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.running {
		return ErrRunning
	}
	d.running, d.ended, d.last = true, nil, nil
	return nil
}

// end tells those who wait for a connection how Run ended.
func (d *Device) end(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.running, d.up, d.ended = false, false, err
	d.change()
}

// setUp notes whether the device is connected, and why not.
func (d *Device) setUp(up bool, last error) {
	d.mu.Lock()
	d.up, d.last = up, last
	d.change()
	d.mu.Unlock()
	if !up && d.config.DidDisconnect != nil {
		d.config.DidDisconnect(last)
	}
}

// change wakes those who wait. The caller holds mu.
func (d *Device) change() {
	close(d.changed)
	d.changed = make(chan struct{})
}
