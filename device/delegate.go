package device

import (
	"fmt"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/wire"
)

// Delegate is how an app hears of what it registered for. Each function may be
// nil.
//
// The functions of all delegates of a device, and Config.Screen, are called
// one at a time and in order, from one goroutine that Run owns and waits for.
// No lock is held, so they may call the methods of Device; they must not wait
// for Run to end. One that takes long holds up the others, and after some
// hundred notifications also their receipt.
type Delegate struct {
	// DidRegister brings the device token of the app: once for each call of
	// RegisterForRemoteNotifications, and again whenever the token changes.
	// The provider needs it.
	DidRegister func(apns.DeviceToken)
	// DidFailToRegister says that the courier gave no device token, with a
	// RegistrationError. The device asks again at its next connection, or if
	// the app registers again.
	DidFailToRegister func(error)
	// DidReceive brings a notification, whether or not anything is shown. Where
	// the user denies the app notifications, those that would only be shown do
	// not come.
	DidReceive func(Notification)
	// ChannelSubscriptionFailed says that a channel that the app subscribed to
	// does not exist, or no longer, with a ChannelError.
	ChannelSubscriptionFailed func(error)
}

// Notification is a notification as a device receives it.
type Notification struct {
	// Notification is as far as the courier tells: ID and CollapseID are
	// empty, and PushType is inferred from topic and payload, on a connection
	// to a courier other than Herald's.
	apns.Notification
	// ReceivedAt is the device's time of receipt.
	ReceivedAt time.Time
	// SentAt is when the push service took it; zero if it does not say.
	SentAt time.Time
	// Channel is where it was broadcast; empty for what was sent to the device
	// alone.
	Channel apns.ChannelID
	// Stored tells that it waited for the device at the push service.
	Stored bool
	// Again tells that an earlier process received it, and did not come to
	// note that DidReceive returned: the app may have had it.
	Again bool
}

// RegistrationError says that the courier gave no device token for a topic.
type RegistrationError struct {
	Topic  apns.Topic
	Status wire.AppTokenStatus
}

// Error names the topic and says what the status means.
func (e *RegistrationError) Error() string {
	return fmt.Sprintf("registering %s: %s (status %d)", e.Topic, registrationProblem(e.Status), e.Status)
}

// registrationProblem says what a status means (docs/protocol/courier.md#app-tokens).
func registrationProblem(s wire.AppTokenStatus) string {
	switch s {
	case wire.AppTokenOK:
		return "the courier accepted but gave no device token"
	case wire.AppTokenInvalid:
		return "the courier found the request invalid"
	case wire.AppTokenUnknownDevice:
		return "the courier does not know this device"
	case wire.AppTokenTooMany:
		return "this device has as many device tokens as it may have"
	case wire.AppTokenTryLater:
		return "the courier cannot give one now, try later"
	}
	return "the courier refused"
}
