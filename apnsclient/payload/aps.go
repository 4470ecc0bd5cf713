package payload

import "github.com/heraldpush/herald/apns"

// DefaultSound is the name of the system's own sound.
const DefaultSound = "default"

// APS is a payload for an app: an alert, a background push, or what a VoIP or
// other push brings. The zero value is {"aps":{}}.
type APS struct {
	// Alert is what is shown. The zero value shows nothing.
	Alert Alert
	// Badge is the number on the app's icon; new(0) clears it, nil leaves it as
	// it is.
	Badge *int
	// Sound is the name of a sound file of the app, or DefaultSound. Empty is
	// silent.
	Sound string
	// CriticalSound is heard even where the device is mute, by users that let
	// the app do that. It stands in place of Sound.
	CriticalSound *CriticalSound
	// ThreadID groups notifications, such as those of one conversation.
	ThreadID string
	// Category names the buttons that the app has registered for this kind of
	// notification.
	Category string
	// ContentAvailable wakes the app in the background. Alone, without alert,
	// badge and sound, it makes a background push.
	ContentAvailable bool
	// MutableContent has the app's notification service extension change the
	// notification before it is shown.
	MutableContent bool
	// ContentChanged tells widgets and controls to reload; only for the push
	// types of these.
	ContentChanged bool
	// TargetContentID names the window that is brought forward.
	TargetContentID string
	// InterruptionLevel is how much it may disturb; empty stands for active.
	InterruptionLevel apns.InterruptionLevel
	// RelevanceScore orders the app's notifications in a summary, from 0 to 1,
	// the highest first. Nil gives none.
	RelevanceScore *float64
	// FilterCriteria is what the app's Focus filter looks at.
	FilterCriteria string
	// URLArgs fill the placeholders of a website's URL, for Safari on a Mac. An
	// empty list that is not nil is written: Safari wants one.
	URLArgs []string

	// More holds keys of aps that have no field here.
	More map[string]any
	// Custom holds the app's own keys, beside aps. The values are whatever
	// encoding/json takes, json.RawMessage for what is JSON already.
	Custom map[string]any
}

// apsFields are the keys of aps that have a field in APS.
var apsFields = []string{
	"alert", "badge", "sound", "thread-id", "category", "content-available", "mutable-content", "content-changed",
	"target-content-id", "interruption-level", "relevance-score", "filter-criteria", "url-args",
}

// CriticalSound is the sound of a critical alert.
type CriticalSound struct {
	// Name is a sound file of the app; empty stands for DefaultSound.
	Name string
	// Volume is from 0, silent, to 1; nil stands for 1.
	Volume *float64
}

// Marshal returns the payload. The error is a *FieldError.
func (a APS) Marshal() (apns.Payload, error) {
	aps := object{path: "aps"}
	if !a.Alert.empty() {
		a.Alert.write(&aps)
	}
	if a.Badge != nil {
		if *a.Badge < 0 {
			aps.refuse("badge", "a badge is not negative", "give 0 to clear it, or nil to leave it as it is")
		}
		aps.value("badge", *a.Badge)
	}
	a.sound(&aps)
	aps.text("thread-id", a.ThreadID)
	aps.text("category", a.Category)
	aps.one("content-available", a.ContentAvailable)
	aps.one("mutable-content", a.MutableContent)
	if a.ContentChanged {
		aps.value("content-changed", true)
	}
	aps.text("target-content-id", a.TargetContentID)
	if l := a.InterruptionLevel; l != "" && !l.Known() {
		aps.refuse("interruption-level", quoted(string(l))+" is no level", "give passive, active, time-sensitive or critical: constants of package apns")
	}
	aps.text("interruption-level", string(a.InterruptionLevel))
	aps.share("relevance-score", a.RelevanceScore)
	aps.text("filter-criteria", a.FilterCriteria)
	aps.texts("url-args", a.URLArgs)
	return document(&aps, apsFields, a.More, a.Custom)
}

func (a APS) sound(aps *object) {
	if a.CriticalSound == nil {
		aps.text("sound", a.Sound)
		return
	}
	if a.Sound != "" {
		aps.refuse("sound", "there are a sound and a critical sound", "leave Sound empty: the name is CriticalSound.Name")
	}
	name := a.CriticalSound.Name
	if name == "" {
		name = DefaultSound
	}
	s := object{path: "aps.sound"}
	s.one("critical", true)
	s.text("name", name)
	s.share("volume", a.CriticalSound.Volume)
	aps.object("sound", &s)
}

// MarshalJSON implements json.Marshaler, for payloads inside other documents.
func (a APS) MarshalJSON() ([]byte, error) { return a.Marshal() }
