package payload

import (
	"fmt"
	"slices"
)

// Alert is what a notification shows. With nothing but a Body it is written as
// a text, else as an object; devices make no difference.
//
// The fields that end in LocKey name a text in the app's own strings, so that
// it is shown in the language of the user; the LocArgs fill its placeholders, %@
// in a text.
type Alert struct {
	// Title is short: it is read at a glance, on a watch first of all.
	Title string
	// Subtitle says more about the title.
	Subtitle string
	// Body is the message.
	Body string
	// LaunchImage is a file of the app that is shown while it starts.
	LaunchImage string

	TitleLocKey     string
	TitleLocArgs    []string
	SubtitleLocKey  string
	SubtitleLocArgs []string
	// LocKey and LocArgs are those of the body.
	LocKey  string
	LocArgs []string

	// Action is the label of the button, for websites in Safari on a Mac.
	Action string
	// ActionLocKey is the key of such a label, which old devices show.
	ActionLocKey string
}

// empty reports whether there is nothing in a.
func (a Alert) empty() bool {
	for _, s := range []string{a.Title, a.Subtitle, a.Body, a.LaunchImage, a.TitleLocKey, a.SubtitleLocKey, a.LocKey, a.Action, a.ActionLocKey} {
		if s != "" {
			return false
		}
	}
	return len(a.TitleLocArgs)+len(a.SubtitleLocArgs)+len(a.LocArgs) == 0
}

// write writes the alert of a notification into aps.
func (a Alert) write(aps *object) {
	o := object{path: "aps.alert"}
	o.text("title", a.Title)
	o.text("subtitle", a.Subtitle)
	o.text("body", a.Body)
	onlyBody := len(o.b)
	o.text("launch-image", a.LaunchImage)
	o.loc("title-loc-key", a.TitleLocKey, "title-loc-args", a.TitleLocArgs)
	o.loc("subtitle-loc-key", a.SubtitleLocKey, "subtitle-loc-args", a.SubtitleLocArgs)
	o.loc("loc-key", a.LocKey, "loc-args", a.LocArgs)
	o.text("action", a.Action)
	o.text("action-loc-key", a.ActionLocKey)
	if o.err == nil && len(o.b) == onlyBody && a.Title == "" && a.Subtitle == "" {
		aps.text("alert", a.Body)
		return
	}
	aps.object("alert", &o)
}

// writeActivity writes the alert of a Live Activity into aps, where a text that
// comes from the app's strings is an object in the place of the text.
func (a Alert) writeActivity(aps *object, sound string) {
	o := object{path: "aps.alert"}
	for _, other := range []struct {
		name string
		set  bool
	}{
		{"subtitle", a.Subtitle != "" || a.SubtitleLocKey != "" || len(a.SubtitleLocArgs) > 0},
		{"launch-image", a.LaunchImage != ""},
		{"action", a.Action != "" || a.ActionLocKey != ""},
	} {
		if other.set {
			o.refuse(other.name, "the alert of a Live Activity has none", "leave it empty: Title, Body and their keys are what is shown")
		}
	}
	o.localized("title", a.Title, "title-loc-key", a.TitleLocKey, "title-loc-args", a.TitleLocArgs)
	o.localized("body", a.Body, "loc-key", a.LocKey, "loc-args", a.LocArgs)
	o.text("sound", sound)
	aps.object("alert", &o)
}

// loc writes a key of the app's strings, and what fills its placeholders.
func (o *object) loc(keyName, key, argsName string, args []string) {
	if key == "" && len(args) > 0 {
		o.refuse(argsName, "there is no "+keyName+" whose placeholders these would fill", "give the key, or no arguments")
	}
	o.text(keyName, key)
	if len(args) > 0 {
		o.texts(argsName, args)
	}
}

// localized writes a text, or the object that stands for one.
func (o *object) localized(name, text, keyName, key, argsName string, args []string) {
	switch {
	case key == "" && len(args) == 0:
		o.text(name, text)
		return
	case text != "":
		o.refuse(name, "there are a text and a "+keyName, "give one: in a Live Activity they have the same place")
	case key == "":
		o.refuse(argsName, "there is no "+keyName+" whose placeholders these would fill", "give the key, or no arguments")
	}
	l := object{path: o.path + "." + name}
	l.loc("loc-key", key, "loc-args", args)
	o.object(name, &l)
}

// texts returns the texts of a that Fit can shorten, by the names that errors
// have for them. They are a's own, and those of the lists copies that a has from
// then on.
func (a *Alert) texts() map[string]*string {
	all := map[string]*string{"aps.alert.title": &a.Title, "aps.alert.subtitle": &a.Subtitle, defaultText: &a.Body}
	for name, args := range map[string]*[]string{"title-loc-args": &a.TitleLocArgs, "subtitle-loc-args": &a.SubtitleLocArgs, "loc-args": &a.LocArgs} {
		*args = slices.Clone(*args)
		for i := range *args {
			all[fmt.Sprintf("aps.alert.%s[%d]", name, i)] = &(*args)[i]
		}
	}
	return all
}
