package audience

import (
	"time"

	"github.com/heraldpush/herald/apns"
)

// InstallationID names an installation, in the words of the app's team: most
// often a UUID that the app makes at its first launch. It consists of letters,
// digits and "-._~:@".
type InstallationID string

// Kind is what a device token is for. An app has one of each kind on a device,
// but for activities.
type Kind string

// The kinds of device tokens.
const (
	KindAlert        Kind = "alert" // the app's own: alerts and background pushes
	KindVoIP         Kind = "voip"
	KindComplication Kind = "complication"
	KindLocation     Kind = "location"
	KindFileProvider Kind = "fileprovider"
	KindPushToTalk   Kind = "pushtotalk"
	KindWidgets      Kind = "widgets"
	KindControls     Kind = "controls"
	KindPushToStart  Kind = "push_to_start" // begins Live Activities
	KindActivity     Kind = "activity"      // one Live Activity, which Name tells
)

// pushTypes has the push type of each kind; that of the kinds alert goes for
// background too.
var pushTypes = map[Kind]apns.PushType{
	KindAlert:        apns.PushTypeAlert,
	KindVoIP:         apns.PushTypeVoIP,
	KindComplication: apns.PushTypeComplication,
	KindLocation:     apns.PushTypeLocation,
	KindFileProvider: apns.PushTypeFileProvider,
	KindPushToTalk:   apns.PushTypePushToTalk,
	KindWidgets:      apns.PushTypeWidgets,
	KindControls:     apns.PushTypeControls,
	KindPushToStart:  apns.PushTypeLiveActivity,
	KindActivity:     apns.PushTypeLiveActivity,
}

// Known reports whether k is a kind.
func (k Kind) Known() bool { _, ok := pushTypes[k]; return ok }

// PushType returns the push type that goes to device tokens of kind k, empty for
// no kind.
func (k Kind) PushType() apns.PushType { return pushTypes[k] }

// KindOf returns the kind of device tokens that a push type goes to, where there
// is one that follows from it: a liveactivity may begin an activity or be for
// one. An app's own device token also takes pushes of the type mdm, of which
// this package knows nothing.
func KindOf(p apns.PushType) (Kind, bool) {
	if p == apns.PushTypeBackground {
		return KindAlert, true
	}
	if p == apns.PushTypeLiveActivity {
		return "", false
	}
	for k, t := range pushTypes {
		if t == p {
			return k, true
		}
	}
	return "", false
}

// Destination is a device token of an installation. Kind, Name and Environment
// tell it from the others of the installation.
type Destination struct {
	Kind Kind
	// Name is the id of the activity with KindActivity, and else empty.
	Name string
	// Environment is the push service that DeviceToken is of.
	Environment apns.Environment
	DeviceToken apns.DeviceToken
	Standing    Standing
}

// same reports whether d and e are for the same, whatever the device tokens.
func (d *Destination) same(e *Destination) bool {
	return d.Kind == e.Kind && d.Name == e.Name && d.Environment == e.Environment
}

// Alias is a name of a person: the label says of what kind, such as
// "external_id" or "email".
type Alias struct {
	Label string
	ID    string
}

// Installation is what a provider knows of an app on a device.
type Installation struct {
	ID InstallationID
	// Ordinal is the store's number for it.
	Ordinal Ordinal
	// Destinations are by kind, name and environment.
	Destinations []Destination
	// Person is who uses it, by label; empty if the app has not said. All the
	// aliases are the same person's.
	Person []Alias
	// Tags are in their order, without repetition.
	Tags []string
	// Locale is a BCP 47 language tag, such as "de-CH".
	Locale string
	// TimeZone is a name of the IANA database, such as "Europe/Zurich".
	TimeZone   string
	AppVersion string
	// Sequence is that of the registration; zero if it had none.
	Sequence uint64
	// CreatedAt and UpdatedAt are when it was first and last registered, to the
	// nanosecond and in UTC. UpdatedAt lags by up to ConfirmEvery.
	CreatedAt, UpdatedAt time.Time
}

// IsZero reports whether i is the zero value: no installation.
func (i Installation) IsZero() bool { return i.ID == "" && i.CreatedAt.IsZero() }
