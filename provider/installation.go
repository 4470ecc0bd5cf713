package provider

import (
	"errors"
	"fmt"
	"time"

	"github.com/heraldpush/herald/apns"
)

// InstallationID names an installation, in the words of the app's team: most
// often a UUID that the app makes at its first launch.
type InstallationID string

// MaxInstallationIDBytes bounds an InstallationID.
const MaxInstallationIDBytes = 128

// Installation is what a provider knows of an app on a device.
type Installation struct {
	// ID is required.
	ID InstallationID
	// DeviceToken is where its notifications go. Register requires it; it is
	// empty once the push service has called it gone.
	DeviceToken apns.DeviceToken
	// Topic is the app, with the suffix of its push type where the device
	// token is of such a kind, such as "com.example.demo". Required.
	Topic apns.Topic
	// Environment is the push service that the device token is of. Required.
	Environment apns.Environment
	// RegisteredAt is when the app had the device token from its device. The
	// zero value stands for the time of Register.
	RegisteredAt time.Time

	// Gone is when the push service found the device token no longer valid.
	// It is zero before that, and again after a later registration. Register
	// ignores what the caller sets.
	Gone time.Time
	// Doubt is why the push service last refused the device token, if it was
	// BadDeviceToken or DeviceTokenNotForTopic; empty otherwise. It is a mark
	// and no verdict: a credential of the other environment brings it upon
	// all installations at once. An accepted notification or a registration
	// removes it. Register ignores what the caller sets.
	Doubt apns.Reason
}

// check says what is wrong with a registration.
func (i Installation) check() error {
	switch {
	case i.ID == "":
		return errors.New("no ID")
	case len(i.ID) > MaxInstallationIDBytes:
		return fmt.Errorf("an ID of %d bytes, at most %d are possible", len(i.ID), MaxInstallationIDBytes)
	case i.DeviceToken == "":
		return errors.New("no device token")
	case len(i.DeviceToken) > apns.MaxDeviceTokenBytes:
		return fmt.Errorf("a device token of %d bytes, at most %d are possible", len(i.DeviceToken), apns.MaxDeviceTokenBytes)
	case !i.Topic.Valid():
		return fmt.Errorf("topic %.100q is none", string(i.Topic))
	case i.Environment != apns.Sandbox && i.Environment != apns.Production:
		return errors.New("no environment")
	}
	return nil
}
