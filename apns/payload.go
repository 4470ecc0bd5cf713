package apns

import (
	"cmp"
	"encoding/json"
	"errors"
)

// Payload is the JSON document of a notification, byte for byte as sent.
type Payload []byte

// ErrNotAnObject says that a payload is no JSON object.
var ErrNotAnObject = errors.New("payload: not a JSON object")

// Alert is what a payload asks a device to show, play and count. Fields that
// the payload leaves out, or has in a type that is not theirs, are zero: a
// device ignores what it cannot read (docs/protocol/provider.md#payload).
//
// A text that is given as a key into the app's own strings is that key, as it
// is on a device whose app lacks the string.
type Alert struct {
	Title    string
	Subtitle string
	Body     string
	// Sound is the name of a sound file, or "default".
	Sound string
	// CriticalSound tells that the sound is to be heard in any case, if the
	// user lets the app do that.
	CriticalSound bool
	// Badge is the number for the app's icon, 0 to clear it; nil leaves it.
	Badge *int
	// ContentAvailable asks to wake the app in the background.
	ContentAvailable bool
	// InterruptionLevel is how much it may disturb the user; empty if the
	// payload names none, or none that is known.
	InterruptionLevel InterruptionLevel
}

// Visible reports whether there is something to show, play or count.
func (a Alert) Visible() bool {
	return a.Title != "" || a.Subtitle != "" || a.Body != "" || a.Sound != "" || a.Badge != nil
}

// ParseAlert reads the alert out of a payload. It returns ErrNotAnObject for
// a payload that a device could not parse.
func ParseAlert(p Payload) (Alert, error) {
	if !p.IsObject() {
		return Alert{}, ErrNotAnObject
	}
	aps := fields(fields(json.RawMessage(p))["aps"])
	a := Alert{
		Sound:            text(aps["sound"]),
		Badge:            number(aps["badge"]),
		ContentAvailable: truthy(aps["content-available"]),
	}
	if a.Sound == "" { // the critical alert's form
		sound := fields(aps["sound"])
		a.Sound, a.CriticalSound = text(sound["name"]), truthy(sound["critical"])
	}
	if l := InterruptionLevel(text(aps["interruption-level"])); l.Known() {
		a.InterruptionLevel = l
	}
	if a.Body = text(aps["alert"]); a.Body == "" {
		alert := fields(aps["alert"])
		a.Title = cmp.Or(text(alert["title"]), text(alert["title-loc-key"]))
		a.Subtitle = cmp.Or(text(alert["subtitle"]), text(alert["subtitle-loc-key"]))
		a.Body = cmp.Or(text(alert["body"]), text(alert["loc-key"]))
	}
	return a, nil
}

func fields(raw json.RawMessage) map[string]json.RawMessage {
	var m map[string]json.RawMessage
	if json.Unmarshal(raw, &m) != nil {
		return nil
	}
	return m
}

func text(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

func number(raw json.RawMessage) *int {
	var n *int
	if json.Unmarshal(raw, &n) != nil {
		return nil
	}
	return n
}

func truthy(raw json.RawMessage) bool {
	n := number(raw)
	return n != nil && *n == 1
}
