package device

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/heraldpush/herald/apns"
)

// Presentation is what a device shows of a notification: what the payload asks
// for, as far as the app registered for it. Its texts are as they were sent,
// untrusted; Draw makes them safe for a terminal.
type Presentation struct {
	// ID is the apns-id; empty if the courier does not tell.
	ID apns.NotificationID
	// Topic is what the notification is for.
	Topic apns.Topic
	// AppName is the last part of the bundle ID, such as "Demo".
	AppName string
	// CollapseID, if set, makes this replace an earlier one of the same topic
	// and value on the screen.
	CollapseID apns.CollapseID
	// Banner tells whether a banner is shown. Without it Title, Subtitle and
	// Body are empty.
	Banner   bool
	Title    string
	Subtitle string
	Body     string
	// Sound is the name of the sound to play; empty means none.
	Sound string
	// Badge is the number for the app's icon, 0 to clear it; nil leaves it.
	Badge *int
	// Silent tells that nothing is shown, played or counted: the notification
	// is for the app alone.
	Silent bool
	// ReceivedAt is the device's time of receipt.
	ReceivedAt time.Time
}

// present decides what is shown of n to an app that registered for types
// (docs/protocol/provider.md#payload). A payload that is no object shows
// nothing.
func present(n Notification, types NotificationTypes) Presentation {
	p := Presentation{
		ID:         n.ID,
		Topic:      n.Topic,
		AppName:    appName(n.Topic),
		CollapseID: n.CollapseID,
		ReceivedAt: n.ReceivedAt,
	}
	if a, err := apns.ParseAlert(n.Payload); err == nil && noticeable(n.PushType) {
		if types&Alert != 0 && (a.Title != "" || a.Subtitle != "" || a.Body != "") {
			p.Banner, p.Title, p.Subtitle, p.Body = true, a.Title, a.Subtitle, a.Body
		}
		if types&Sound != 0 {
			p.Sound = a.Sound
		}
		if types&Badge != 0 {
			p.Badge = a.Badge
		}
	}
	p.Silent = !p.Banner && p.Sound == "" && p.Badge == nil
	return p
}

// noticeable reports whether notifications of type t are for the user; the
// others go to the app or an extension of it, whatever they carry.
func noticeable(t apns.PushType) bool {
	return t == apns.PushTypeAlert || t == apns.PushTypeLiveActivity
}

// appName makes a name out of a topic, as no one told the device a better one.
func appName(t apns.Topic) string {
	name := string(t.BundleID())
	name = name[strings.LastIndexByte(name, '.')+1:]
	r, n := utf8.DecodeRuneInString(name)
	if n == 0 {
		return ""
	}
	return string(unicode.ToUpper(r)) + name[n:]
}
