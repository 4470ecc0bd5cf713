package device

import (
	"cmp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/heraldpush/herald/apns"
)

// Presentation is what a device shows of a notification: what the payload asks
// for, as far as the app registered for it and the user allows it. Its texts
// are as they were sent, untrusted; Draw makes them safe for a terminal.
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
	// InterruptionLevel is how much the notification may disturb: what the
	// payload asks for, as far as the user lets the app; never empty.
	InterruptionLevel apns.InterruptionLevel
	// Listed tells whether the notification has its place in the list of those
	// that the user finds later. Without it Title, Subtitle and Body are empty.
	Listed bool
	// Banner tells whether a banner is shown at once; what has one is listed
	// too.
	Banner   bool
	Title    string
	Subtitle string
	Body     string
	// Sound is the name of the sound to play; empty means none.
	Sound string
	// Badge is the number for the app's icon, 0 to clear it; nil leaves it.
	Badge *int
	// Silent tells that nothing is listed, shown, played or counted: the
	// notification is for the app alone.
	Silent bool
	// ReceivedAt is the device's time of receipt.
	ReceivedAt time.Time
}

// wishes is what app and user want of notifications.
type wishes struct {
	types      NotificationTypes // of the app
	permission Permission
	quiet      bool // the user is not to be disturbed
}

// present decides what is shown of n (docs/protocol/provider.md#payload). A
// payload that is no object shows nothing.
func present(n Notification, w wishes) Presentation {
	p := Presentation{
		ID:                n.ID,
		Topic:             n.Topic,
		AppName:           appName(n.Topic),
		CollapseID:        n.CollapseID,
		InterruptionLevel: apns.InterruptionActive,
		ReceivedAt:        n.ReceivedAt,
	}
	if a, err := apns.ParseAlert(n.Payload); err == nil && noticeable(n.PushType) {
		p.InterruptionLevel = w.level(a)
		if w.permission.Status == Authorized {
			p.fill(a, w)
		}
	}
	p.Silent = !p.Listed && p.Sound == "" && p.Badge == nil
	return p
}

// level returns how much an alert may disturb.
func (w wishes) level(a apns.Alert) apns.InterruptionLevel {
	l := cmp.Or(a.InterruptionLevel, apns.InterruptionActive)
	if a.CriticalSound { // older than the levels, and says the same
		l = apns.InterruptionCritical
	}
	if l == apns.InterruptionCritical && !w.permission.Critical ||
		l == apns.InterruptionTimeSensitive && w.permission.NoTimeSensitive {
		return apns.InterruptionActive
	}
	return l
}

// fill shows what is allowed of an alert, at the level that p has.
func (p *Presentation) fill(a apns.Alert, w wishes) {
	types := w.types & w.permission.Types
	disturbs := false
	switch p.InterruptionLevel {
	case apns.InterruptionPassive:
	case apns.InterruptionActive:
		disturbs = !w.quiet
	case apns.InterruptionTimeSensitive, apns.InterruptionCritical:
		disturbs = true
	}
	if types&Alert != 0 && (a.Title != "" || a.Subtitle != "" || a.Body != "") {
		p.Listed, p.Banner = true, disturbs
		p.Title, p.Subtitle, p.Body = a.Title, a.Subtitle, a.Body
	}
	if types&Sound != 0 && disturbs {
		p.Sound = a.Sound
	}
	if types&Badge != 0 {
		p.Badge = a.Badge
	}
}

// forApp reports whether n is handed to its app. Where the user denies
// notifications, what is for the eyes alone is not; what wakes the app is.
func forApp(n Notification, p Permission) bool {
	if p.Status != Denied {
		return true
	}
	if p.NoBackground {
		return false
	}
	if !noticeable(n.PushType) {
		return true
	}
	a, err := apns.ParseAlert(n.Payload)
	return err == nil && a.ContentAvailable
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
