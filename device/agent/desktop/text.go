package desktop

import (
	"fmt"
	"html"
	"strings"
	"unicode"

	"github.com/godbus/dbus/v5"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/device/agent"
)

// Urgencies of the specification.
const (
	low      = byte(0)
	normal   = byte(1)
	critical = byte(2)
)

// sound is the name of a sound in every theme. The names in notifications are
// of files in apps, which a desktop does not have.
const sound = "message-new-instant"

// text is what a desktop is told of a notification.
type text struct {
	app, summary, body string
	hints              map[string]dbus.Variant
}

// textOf returns what to tell of a notification; not ok means nothing.
func textOf(e agent.Event, markup bool) (t text, ok bool) {
	if e.Notification == nil || e.Shown == nil {
		return text{}, false
	}
	s := e.Shown
	worded := s.Title != "" || s.Subtitle != "" || s.Body != ""
	if worded && !s.Banner && e.Level != apns.InterruptionPassive {
		return text{}, false // the user wants to be left alone
	}
	t.app = line(e.Presentation.AppName)
	if t.summary = line(s.Title); t.summary == "" {
		t.summary = t.app
	}
	var lines []string
	for _, part := range []string{line(s.Subtitle), lineByLine(s.Body)} {
		if part != "" {
			lines = append(lines, part)
		}
	}
	if s.Badge != nil { // desktops have no place for it
		lines = append(lines, fmt.Sprintf("● %d", *s.Badge))
	}
	t.body = strings.Join(lines, "\n")
	if markup {
		t.body = html.EscapeString(t.body)
	}
	t.hints = map[string]dbus.Variant{"urgency": dbus.MakeVariant(urgency(e.Level))}
	if s.Sound != "" {
		t.hints["sound-name"] = dbus.MakeVariant(sound)
	} else {
		t.hints["suppress-sound"] = dbus.MakeVariant(true)
	}
	return t, true
}

// urgency returns how urgent a level is. What breaks through do-not-disturb
// here has to be critical to do so there.
func urgency(l apns.InterruptionLevel) byte {
	switch l {
	case apns.InterruptionPassive:
		return low
	case apns.InterruptionTimeSensitive, apns.InterruptionCritical:
		return critical
	case apns.InterruptionActive:
	}
	return normal
}

// line returns s in one line, without what is no text.
func line(s string) string { return strings.Join(strings.Fields(lineByLine(s)), " ") }

// lineByLine returns s with its lines, without control characters and without
// those that turn the direction of writing; D-Bus takes valid UTF-8 alone.
func lineByLine(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\n', r == '\u200c', r == '\u200d': // the last join letters and emoji
			return r
		case r == '\t':
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\ufffd"))
	return strings.TrimSpace(s)
}
