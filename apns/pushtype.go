package apns

import "bytes"

// PushType says what a notification does when it arrives, the value of the
// apns-push-type header: such as "alert" or "background".
type PushType string

// The push types (docs/protocol/provider.md#push-types).
const (
	PushTypeAlert        PushType = "alert"
	PushTypeBackground   PushType = "background"
	PushTypeLocation     PushType = "location"
	PushTypeVoIP         PushType = "voip"
	PushTypeComplication PushType = "complication"
	PushTypeFileProvider PushType = "fileprovider"
	PushTypeMDM          PushType = "mdm"
	PushTypeLiveActivity PushType = "liveactivity"
	PushTypePushToTalk   PushType = "pushtotalk"
	PushTypeWidgets      PushType = "widgets"
	PushTypeControls     PushType = "controls"
)

// pushTypes lists each push type with the suffix that its topics carry after
// the bundle ID.
var pushTypes = map[PushType]string{
	PushTypeAlert:        "",
	PushTypeBackground:   "",
	PushTypeLocation:     ".location-query",
	PushTypeVoIP:         ".voip",
	PushTypeComplication: ".complication",
	PushTypeFileProvider: ".pushkit.fileprovider",
	PushTypeMDM:          "",
	PushTypeLiveActivity: ".push-type.liveactivity",
	PushTypePushToTalk:   ".voip-ptt",
	PushTypeWidgets:      ".push-type.widgets",
	PushTypeControls:     ".push-type.controls",
}

// suffixed lists the push types that have a suffix; none is the end of another.
var suffixed = []PushType{
	PushTypeLocation, PushTypeVoIP, PushTypeComplication, PushTypeFileProvider,
	PushTypeLiveActivity, PushTypePushToTalk, PushTypeWidgets, PushTypeControls,
}

// suffixes are those of suffixed, found without a map: each push asks for them.
var suffixes = func() []string {
	all := make([]string, len(suffixed))
	for i, p := range suffixed {
		all[i] = pushTypes[p]
	}
	return all
}()

// Known reports whether p is a push type that the service accepts.
func (p PushType) Known() bool { _, ok := pushTypes[p]; return ok }

// Suffix returns what the topics of p carry after the bundle ID, such as
// ".voip"; it is empty for the types that use the bundle ID as it is.
func (p PushType) Suffix() string { return pushTypes[p] }

// Matches reports whether a notification of type p may go to topic t: t ends
// in the suffix of p, or in none where p has none.
func (p PushType) Matches(t Topic) bool {
	s, ok := t.suffixType()
	if !ok {
		return p.Suffix() == ""
	}
	return s == p
}

// InferPushType returns the push type of a notification that names none: that
// of the topic's suffix, background for a payload that has only
// content-available, alert otherwise.
func InferPushType(t Topic, p Payload) PushType {
	if s, ok := t.suffixType(); ok {
		return s
	}
	// Read the payload only if it may ask for that: a key without an escape in it is
	// there in so many letters.
	if !bytes.Contains(p, []byte("content-available")) && bytes.IndexByte(p, '\\') < 0 {
		return PushTypeAlert
	}
	if a, err := ParseAlert(p); err == nil && a.ContentAvailable && !a.Visible() {
		return PushTypeBackground
	}
	return PushTypeAlert
}

// MaxPayloadBytes returns the largest payload that a notification of type p
// may carry over HTTP/2, in bytes.
func (p PushType) MaxPayloadBytes() int {
	if p == PushTypeVoIP {
		return 5120
	}
	return 4096
}
