package apns

import (
	"strconv"
	"time"
)

// Notification is one remote notification, as a provider sends it and as a
// device receives it.
type Notification struct {
	// ID is the apns-id: the provider's, or made by the gateway.
	ID NotificationID
	// Topic is the app it is for, with the suffix of its push type.
	Topic Topic
	// PushType says what it does on arrival. Never empty past the gateway.
	PushType PushType
	// Priority is 10, 5 or 1; zero stands for the default, 10.
	Priority Priority
	// Expiration bounds the time the service keeps it for a device that is
	// away. The zero value stands for the service's own limit, MaxStorage.
	Expiration Expiration
	// CollapseID, if set, makes a later notification with the same value
	// replace this one on the screen.
	CollapseID CollapseID
	// Payload is the JSON document, byte for byte as the provider sent it.
	Payload Payload
}

// NotificationID is the apns-id of a notification, a UUID in the letter case
// its maker chose, such as "eabeae54-14a8-11e5-b60b-1697f925ec7b". Compare
// with EqualFold: some senders write upper case.
type NotificationID string

// CollapseID is the apns-collapse-id of a notification.
type CollapseID string

// MaxCollapseIDBytes bounds a CollapseID.
const MaxCollapseIDBytes = 64

// Valid reports whether id has the form of a UUID, 8-4-4-4-12 hex digits. It
// looks at neither version nor variant: APNs itself has sent ids outside
// RFC 9562 (docs/protocol/provider.md#apns-id).
func (id NotificationID) Valid() bool {
	if len(id) != 36 {
		return false
	}
	for i := range len(id) {
		c := id[i]
		switch i {
		case 8, 13, 18, 23:
			if c != '-' {
				return false
			}
		default:
			if hexDigits[c] == noHexDigit {
				return false
			}
		}
	}
	return true
}

// Priority is the apns-priority of a notification. The zero value stands for
// PriorityImmediate.
type Priority uint8

// The priorities.
const (
	// PriorityPower puts power first: the device is never woken for it.
	PriorityPower Priority = 1
	// PriorityConserve lets the device's power state decide when it arrives.
	PriorityConserve Priority = 5
	// PriorityImmediate is delivered at once. It is the default.
	PriorityImmediate Priority = 10
)

// ParsePriority reads the value of an apns-priority header.
func ParsePriority(s string) (Priority, bool) {
	switch s {
	case "1":
		return PriorityPower, true
	case "5":
		return PriorityConserve, true
	case "10":
		return PriorityImmediate, true
	}
	return 0, false
}

// OrDefault returns p, or the default priority where p is zero.
func (p Priority) OrDefault() Priority {
	if p == 0 {
		return PriorityImmediate
	}
	return p
}

// MaxStorage is the longest time that the service keeps a notification for a
// device that is away, whatever its expiration says.
const MaxStorage = 30 * 24 * time.Hour

// Expiration is the apns-expiration of a notification. The zero value means
// that the sender gave none.
type Expiration struct {
	seconds int64 // since the epoch, UTC; 0 = do not store
	set     bool
}

// DoNotStore is the expiration 0: one attempt now, never stored.
var DoNotStore = Expiration{set: true}

// ExpiresAt returns the expiration t, to the second. A time at or before the
// epoch gives DoNotStore.
func ExpiresAt(t time.Time) Expiration {
	return Expiration{seconds: max(t.Unix(), 0), set: true}
}

// ParseExpiration reads the value of an apns-expiration header: seconds since
// the epoch, UTC, not negative.
func ParseExpiration(s string) (Expiration, bool) {
	if s == "" || s[0] == '+' || s[0] == '-' {
		return Expiration{}, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return Expiration{}, false
	}
	return Expiration{seconds: n, set: true}, true
}

// Header returns the value of an apns-expiration header that says e, and
// whether there is to be one.
func (e Expiration) Header() (string, bool) {
	return strconv.FormatInt(e.seconds, 10), e.set
}

// Seconds returns e in seconds since the epoch, 0 for DoNotStore, and whether
// the sender gave one.
func (e Expiration) Seconds() (int64, bool) { return e.seconds, e.set }

// Stored reports whether a notification with this expiration that the service
// accepts at the time now may be kept for a device that is away. One that
// expired already is tried once, like DoNotStore.
func (e Expiration) Stored(now time.Time) bool {
	return !e.set || e.seconds > now.Unix()
}

// Deadline returns when a notification accepted at the given time is to be
// discarded: at its expiration, but no later than MaxStorage after acceptance.
func (e Expiration) Deadline(accepted time.Time) time.Time { return e.within(accepted.Add(MaxStorage)) }

// ChannelDeadline is Deadline for a message on a channel, which is kept for no
// longer than MaxChannelStorage.
func (e Expiration) ChannelDeadline(accepted time.Time) time.Time {
	return e.within(accepted.Add(MaxChannelStorage))
}

// within returns the time of e, but none after the limit.
func (e Expiration) within(limit time.Time) time.Time {
	if !e.set || e.seconds >= limit.Unix() {
		return limit
	}
	return time.Unix(e.seconds, 0)
}
