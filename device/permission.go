package device

import (
	"fmt"
	"time"

	"github.com/heraldpush/herald/apns"
)

// AuthorizationStatus is whether the user lets an app show notifications, with
// the values of Apple's UNAuthorizationStatus.
type AuthorizationStatus uint8

// The authorization statuses.
const (
	// NotDetermined means that the user was not asked.
	NotDetermined AuthorizationStatus = iota
	// Denied means that nothing of the app is shown, played or counted. The app
	// keeps its device token, and still gets what is not for the user's eyes.
	Denied
	// Authorized means that the types of the permission are shown.
	Authorized
)

// statusNames are the names of the statuses, as device.json has them.
var statusNames = [...]string{NotDetermined: "not determined", Denied: "denied", Authorized: "authorized"}

// String returns Apple's word for s.
func (s AuthorizationStatus) String() string {
	if int(s) < len(statusNames) {
		return statusNames[s]
	}
	return fmt.Sprintf("AuthorizationStatus(%d)", uint8(s))
}

// ParseAuthorizationStatus reads what String writes.
func ParseAuthorizationStatus(s string) (AuthorizationStatus, error) {
	for i, name := range statusNames {
		if name == s {
			return AuthorizationStatus(i), nil
		}
	}
	return 0, fmt.Errorf("authorization status %.40q: want authorized, denied or not determined", s)
}

// Permission is what the user lets an app do, whatever it asked for.
type Permission struct {
	// Status is whether the app may show anything. NotDetermined stands for
	// Config.DefaultPermission.
	Status AuthorizationStatus
	// Types is what may be shown, played and counted where Status is
	// Authorized.
	Types NotificationTypes
	// Critical lets critical notifications through whatever the user set.
	// Without it they are as active ones.
	Critical bool
	// NoTimeSensitive keeps time-sensitive notifications from breaking
	// through do-not-disturb.
	NoTimeSensitive bool
	// NoBackground keeps the app, where Status is Denied, also from what wakes
	// it in the background. The courier is then told to ignore the topic: it
	// neither delivers nor stores for it.
	NoBackground bool
}

// granted is the permission of an app where nobody said otherwise.
var granted = Permission{Status: Authorized, Types: Alert | Sound | Badge}

func (p Permission) valid() bool { return int(p.Status) < len(statusNames) && p.Types.valid() }

// ignored reports whether no notification of any kind is to come to the app.
func (p Permission) ignored() bool { return p.Status == Denied && p.NoBackground }

// doNotDisturb is the user's wish for silence.
type doNotDisturb struct {
	on    bool
	until time.Time // when it ends by itself; zero if it does not
}

// active reports whether it holds now.
func (q doNotDisturb) active(now time.Time) bool {
	return q.on && (q.until.IsZero() || now.Before(q.until))
}

// SetPermission records the user's decision about the app of a topic. It holds
// from the next notification on, and outlives the registration: Uninstall ends
// it. NotDetermined goes back to Config.DefaultPermission.
//
// The error says that topic or permission can not be, or that decisions about
// MaxTopics apps are recorded already.
func (d *Device) SetPermission(topic apns.Topic, p Permission) error {
	switch {
	case !topic.Valid():
		return fmt.Errorf("permission of %.80q: not a topic", string(topic))
	case !p.valid():
		return fmt.Errorf("permission of %s: %v, %v: want a known status and known types", topic, p.Status, p.Types)
	}
	d.mu.Lock()
	ok := d.memory.permit(topic, p)
	d.mu.Unlock()
	if !ok {
		return fmt.Errorf("permission of %s: those of %d topics are recorded already", topic, MaxTopics)
	}
	d.wakeUp()
	return nil
}

// Permission returns what the user lets the app of a topic do: the decision, or
// Config.DefaultPermission where there is none. It need not be registered.
func (d *Device) Permission(topic apns.Topic) Permission {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.memory.permission(topic)
}

// EnabledRemoteNotificationTypes returns what the user notices of the
// notifications of a topic: what its app registered for, as far as the user
// allows it. None also stands for an app that is not registered.
func (d *Device) EnabledRemoteNotificationTypes(topic apns.Topic) NotificationTypes {
	d.mu.Lock()
	defer d.mu.Unlock()
	a := d.memory.apps[topic.Hash()]
	if a == nil {
		return 0
	}
	p := d.memory.permission(topic)
	if p.Status != Authorized {
		return 0
	}
	return a.types & p.Types
}

// SetDoNotDisturb says whether the user wants to be left alone, until a time;
// zero means until this is called again. Meanwhile notifications go to the
// list without banner and sound, but for those that may break through.
func (d *Device) SetDoNotDisturb(on bool, until time.Time) {
	d.mu.Lock()
	d.memory.quiet = doNotDisturb{on: on, until: until}
	d.memory.changed = true
	d.mu.Unlock()
	d.wakeUp()
}

// DoNotDisturb reports whether the user wants to be left alone now, and until
// when; zero means that no end is set.
func (d *Device) DoNotDisturb() (on bool, until time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if q := d.memory.quiet; q.active(time.Now()) {
		return true, q.until
	}
	return false, time.Time{}
}

// askPermission asks the user about an app, where there is someone to ask and
// nothing was decided.
func (d *Device) askPermission(topic apns.Topic, types NotificationTypes) error {
	if d.config.AskPermission == nil {
		return nil
	}
	d.mu.Lock()
	_, decided := d.memory.permissions[topic]
	d.mu.Unlock()
	if decided {
		return nil
	}
	return d.SetPermission(topic, d.config.AskPermission(topic, types))
}

// permit records a decision; false means that there are too many.
func (m *memory) permit(topic apns.Topic, p Permission) bool {
	if p.Status == NotDetermined {
		p = Permission{} // what it says beside has no meaning
	}
	old, known := m.permissions[topic]
	switch {
	case old == p: // and an unknown one is zero
		return true
	case p == Permission{}:
		delete(m.permissions, topic)
	case !known && len(m.permissions) >= MaxTopics:
		return false
	default:
		m.permissions[topic] = p
	}
	m.changed = true
	return true
}

// permission returns what holds for a topic.
func (m *memory) permission(topic apns.Topic) Permission {
	if p, ok := m.permissions[topic]; ok {
		return p
	}
	return m.permissionByDefault
}
