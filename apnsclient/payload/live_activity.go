package payload

import (
	"time"

	"github.com/heraldpush/herald/apns"
)

// Event is what happens to a Live Activity.
type Event string

// The events.
const (
	// Start begins an activity. It goes to the push-to-start token of the app,
	// and not on a channel.
	Start Event = "start"
	// Update shows something new.
	Update Event = "update"
	// End ends an activity, which stays on the Lock Screen for a while.
	End Event = "end"
)

// LiveActivity is a payload for the Live Activity of an app, or on a channel that
// such activities follow (docs/protocol/provider.md#live-activities).
type LiveActivity struct {
	// Timestamp is when it was sent; of two the device believes the later. It
	// is counted in seconds. Required.
	Timestamp time.Time
	// Event is Start, Update or End. Required.
	Event Event
	// ContentState is what the activity shows: anything that encoding/json makes
	// an object of which the app can decode as its ContentState. Required, but
	// for an End that leaves what is shown.
	ContentState any
	// Alert lights up the screen and is read on a watch. It has a title and a
	// body, or keys for them, and is required for a Start.
	Alert Alert
	// Sound is played with the alert, as in APS.
	Sound string
	// StaleDate is when the activity is to look out of date. Zero stands for
	// never.
	StaleDate time.Time
	// RelevanceScore says which of an app's activities comes first: the highest.
	// Any number.
	RelevanceScore *float64

	// DismissalDate is when an End also removes it from the Lock Screen: at once
	// where that is past, and never later than 4 hours on. Zero leaves it to the
	// system.
	DismissalDate time.Time

	// AttributesType is the name of the app's type of attributes. Required for a
	// Start, and only there.
	AttributesType string
	// Attributes is a value of that type, as ContentState is of its own. Required
	// for a Start, and only there.
	Attributes any
	// InputPushToken has the app get a push token for updates, with a Start on
	// iOS 18 and later.
	InputPushToken bool
	// InputPushChannel is the channel that the started activity follows, in place
	// of InputPushToken. Older systems than iOS 18 do not start it then.
	InputPushChannel apns.ChannelID

	// More holds keys of aps that have no field here.
	More map[string]any
	// Custom holds the app's own keys, beside aps.
	Custom map[string]any
}

// liveActivityFields are the keys of aps that have a field in LiveActivity.
var liveActivityFields = []string{
	"timestamp", "event", "content-state", "attributes-type", "attributes", "input-push-token", "input-push-channel",
	"alert", "stale-date", "relevance-score", "dismissal-date",
}

// Marshal returns the payload. The error is a *FieldError.
func (l LiveActivity) Marshal() (apns.Payload, error) {
	aps := object{path: "aps"}
	l.check(&aps)
	aps.seconds("timestamp", l.Timestamp)
	aps.text("event", string(l.Event))
	aps.objectOf("content-state", l.ContentState)
	aps.text("attributes-type", l.AttributesType)
	aps.objectOf("attributes", l.Attributes)
	aps.one("input-push-token", l.InputPushToken)
	aps.text("input-push-channel", string(l.InputPushChannel))
	if !l.Alert.empty() {
		l.Alert.writeActivity(&aps, l.Sound)
	}
	aps.seconds("stale-date", l.StaleDate)
	aps.number("relevance-score", l.RelevanceScore)
	aps.seconds("dismissal-date", l.DismissalDate)
	return document(&aps, liveActivityFields, l.More, l.Custom)
}

// check refuses what is missing, or does not go with the event.
func (l LiveActivity) check(aps *object) {
	switch l.Event {
	case Start:
		l.checkStart(aps)
	case Update, End:
		l.checkNoStart(aps)
	case "":
		aps.refuse("event", "it is missing", "give Start, Update or End")
	default:
		aps.refuse("event", quoted(string(l.Event))+" is no event", "give Start, Update or End")
	}
	if l.Timestamp.IsZero() {
		aps.refuse("timestamp", "it is missing", "give the time of what is told, such as time.Now()")
	}
	if l.ContentState == nil && l.Event != End {
		aps.refuse("content-state", "it is missing", "give what the activity shows: a value that is a JSON object")
	}
	if l.Event != End && !l.DismissalDate.IsZero() {
		aps.refuse("dismissal-date", "only the end of a Live Activity has one", "leave it out, or give the event End")
	}
	if l.Sound != "" && l.Alert.empty() {
		aps.refuse("alert", "there is a sound and no alert", "give the alert that the sound goes with")
	}
}

// checkNoStart refuses what only a start has.
func (l LiveActivity) checkNoStart(aps *object) {
	const problem = "only the start of a Live Activity has one"
	switch {
	case l.AttributesType != "":
		aps.refuse("attributes-type", problem, "leave it out: an activity keeps its attributes")
	case l.Attributes != nil:
		aps.refuse("attributes", problem, "leave them out: an activity keeps its attributes")
	case l.InputPushToken:
		aps.refuse("input-push-token", problem, "leave it out: an activity is updated as its start said")
	case l.InputPushChannel != "":
		aps.refuse("input-push-channel", problem, "leave it out: an activity is updated as its start said")
	}
}

func (l LiveActivity) checkStart(aps *object) {
	switch {
	case l.AttributesType == "":
		aps.refuse("attributes-type", "it is missing", "give the name of the app's type of attributes: a start needs it")
	case l.Attributes == nil:
		aps.refuse("attributes", "they are missing", "give a value of the type that attributes-type names: a start needs it")
	case l.Alert.empty():
		aps.refuse("alert", "it is missing", "give a title and a body: a start needs them")
	case l.InputPushToken && l.InputPushChannel != "":
		aps.refuse("input-push-channel", "there are a channel and an order for a push token", "give one: the activity is updated by a channel or by its token")
	case l.InputPushChannel != "":
		if _, err := apns.ParseChannelID(string(l.InputPushChannel)); err != nil {
			aps.refuse("input-push-channel", err.Error(), "give the channel ID as it was when the channel was made")
		}
	}
}

// MarshalJSON implements json.Marshaler, for payloads inside other documents.
func (l LiveActivity) MarshalJSON() ([]byte, error) { return l.Marshal() }
