package api

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnsclient/payload"
	"github.com/heraldpush/herald/provider"
	"github.com/heraldpush/herald/provider/audience"
)

// contentRequest is what a message shows, plays and counts, and what the app finds
// beside that.
type contentRequest struct {
	Title           string   `json:"title,omitempty"`
	Subtitle        string   `json:"subtitle,omitempty"`
	Body            string   `json:"body,omitempty"`
	TitleLocKey     string   `json:"title_loc_key,omitempty" about:"The key of the title in the app's own strings."`
	TitleLocArgs    []string `json:"title_loc_args,omitempty" about:"What fills the placeholders of that."`
	SubtitleLocKey  string   `json:"subtitle_loc_key,omitempty"`
	SubtitleLocArgs []string `json:"subtitle_loc_args,omitempty"`
	LocKey          string   `json:"loc_key,omitempty" about:"The key of the body in the app's own strings."`
	LocArgs         []string `json:"loc_args,omitempty"`
	LaunchImage     string   `json:"launch_image,omitempty" about:"A file of the app that is shown while it starts."`
	Badge           *int     `json:"badge,omitempty" about:"The number on the app's icon; 0 clears it."`
	Sound           string   `json:"sound,omitempty" about:"A sound file of the app, or default. Silent if it is left out."`
	// CriticalSound stands in place of Sound.
	CriticalSound *criticalSound     `json:"critical_sound,omitempty" about:"A sound that is heard even where the device is mute, by users that let the app do that; in place of sound."`
	URLArgs       []string           `json:"url_args,omitempty" about:"What fills the placeholders of a website's URL, for Safari."`
	Custom        map[string]anyJSON `json:"custom,omitempty" about:"The app's own keys, beside aps."`
}

type criticalSound struct {
	Name   string   `json:"name,omitempty" about:"A sound file of the app. The system's own if it is left out."`
	Volume *float64 `json:"volume,omitempty" about:"From 0 to 1. Full if it is left out."`
}

// apnsRequest says how a message is delivered. The fields of the second half are
// written into the payload, and are for content alone.
type apnsRequest struct {
	PushType   apns.PushType       `json:"push_type,omitempty" about:"If it is left out it follows from the topic, the kind and the content: background for what only wakes the app, else alert."`
	Topic      apns.Topic          `json:"topic,omitempty" about:"The app's bundle ID with the suffix of the push type, which is also what it is if it is left out."`
	Priority   *int                `json:"priority,omitempty" about:"10, 5 or 1. If it is left out 10, and 5 for a background push."`
	CollapseID apns.CollapseID     `json:"collapse_id,omitempty" about:"A later message with the same one takes the place of this one on the screen. At most 64 bytes."`
	Expiration string              `json:"expiration,omitempty" about:"How long the push service keeps it for a device that is away: a time, a duration (ISO 8601) after at or now, or 0: not at all. If it is left out it is deliver.by; without that, 30 days."`
	ID         apns.NotificationID `json:"id,omitempty" about:"The apns-id, where it is for one device token. Herald's own if it is left out."`

	InterruptionLevel apns.InterruptionLevel `json:"interruption_level,omitempty" about:"passive, active, time-sensitive or critical."`
	RelevanceScore    *float64               `json:"relevance_score,omitempty" about:"From 0 to 1: the order in a summary."`
	Category          string                 `json:"category,omitempty" about:"The buttons that it has."`
	ThreadID          string                 `json:"thread_id,omitempty" about:"Groups it with others."`
	TargetContentID   string                 `json:"target_content_id,omitempty" about:"The window that is brought forward."`
	FilterCriteria    string                 `json:"filter_criteria,omitempty" about:"What the app's Focus filter looks at."`
	ContentAvailable  bool                   `json:"content_available,omitempty" about:"Wakes the app. Alone, it makes a background push."`
	MutableContent    bool                   `json:"mutable_content,omitempty" about:"The app changes it before it is shown."`
	ContentChanged    bool                   `json:"content_changed,omitempty" about:"Has widgets and controls load anew."`
}

// inPayload returns the first of the fields that are written into the payload which
// has been set, empty if none has.
func (a *apnsRequest) inPayload() string {
	for _, f := range [...]struct {
		name string
		set  bool
	}{
		{"interruption_level", a.InterruptionLevel != ""},
		{"relevance_score", a.RelevanceScore != nil},
		{"category", a.Category != ""},
		{"thread_id", a.ThreadID != ""},
		{"target_content_id", a.TargetContentID != ""},
		{"filter_criteria", a.FilterCriteria != ""},
		{"content_available", a.ContentAvailable},
		{"mutable_content", a.MutableContent},
		{"content_changed", a.ContentChanged},
	} {
		if f.set {
			return f.name
		}
	}
	return ""
}

// notification fills in what is sent. Whom and when are in o already.
func (m *messageRequest) notification(o *provider.Order, now time.Time, faults *audience.Faults) {
	n := &o.Notification
	n.ID, n.Topic, n.PushType, n.CollapseID = m.APNS.ID, m.APNS.Topic, m.APNS.PushType, m.APNS.CollapseID
	if n.PushType == "" && m.Kind != audience.KindAlert {
		n.PushType = m.Kind.PushType()
	}
	if p := m.APNS.Priority; p != nil {
		if *p != 10 && *p != 5 && *p != 1 {
			faults.Add("/apns/priority", audience.Unknown, "10, 5 or 1")
		} else {
			n.Priority = apns.Priority(*p)
		}
	}
	m.expiration(o, now, faults)
	m.payload(n, faults)
	if n.PushType == "" {
		n.PushType = apns.InferPushType(n.Topic, n.Payload)
	}
	if n.PushType == apns.PushTypeBackground && n.Priority == 0 {
		n.Priority = apns.PriorityConserve // what goes out without one has 10
	}
}

func (m *messageRequest) expiration(o *provider.Order, now time.Time, faults *audience.Faults) {
	switch m.APNS.Expiration {
	case "":
		if !o.Deadline.IsZero() {
			o.Notification.Expiration = apns.ExpiresAt(o.Deadline)
		}
	case "0":
		o.Notification.Expiration = apns.DoNotStore
	default:
		from := now
		if o.StartAt.After(now) {
			from = o.StartAt
		}
		at, err := parseWhen(m.APNS.Expiration, from)
		if err != nil {
			faults.Add("/apns/expiration", audience.Malformed, err.Error()+", nor 0")
			return
		}
		o.Notification.Expiration = apns.ExpiresAt(at)
	}
}

// payload fills in the payload.
func (m *messageRequest) payload(n *apns.Notification, faults *audience.Faults) {
	switch {
	case m.Content == nil && m.Payload == nil:
		faults.Add("/content", audience.Required, "there is nothing to send: give content or a payload")
	case m.Payload != nil && m.Content != nil:
		faults.Add("/payload", audience.Conflict, "there is content, too: give one of them")
	case m.Payload != nil:
		n.Payload = apns.Payload(m.Payload)
		if name := m.APNS.inPayload(); name != "" {
			faults.Add("/apns/"+name, audience.Conflict, "there is a payload, which goes out as it is: write it there")
		}
	default:
		m.build(n, faults)
	}
}

// build makes the payload of content.
func (m *messageRequest) build(n *apns.Notification, faults *audience.Faults) {
	if _, ok := m.Content.Custom["aps"]; ok {
		faults.Add("/content/custom/aps", audience.Conflict, "aps belongs to Apple: use content and apns, or payload")
		return
	}
	c, a := m.Content, &m.APNS
	aps := payload.APS{
		Alert: payload.Alert{
			Title: c.Title, Subtitle: c.Subtitle, Body: c.Body, LaunchImage: c.LaunchImage,
			TitleLocKey: c.TitleLocKey, TitleLocArgs: c.TitleLocArgs, SubtitleLocKey: c.SubtitleLocKey, SubtitleLocArgs: c.SubtitleLocArgs,
			LocKey: c.LocKey, LocArgs: c.LocArgs,
		},
		Badge: c.Badge, Sound: c.Sound, ThreadID: a.ThreadID, Category: a.Category,
		// A background push that does not say so wakes nothing.
		ContentAvailable: a.ContentAvailable || a.PushType == apns.PushTypeBackground,
		MutableContent:   a.MutableContent, ContentChanged: a.ContentChanged, TargetContentID: a.TargetContentID,
		InterruptionLevel: a.InterruptionLevel, RelevanceScore: a.RelevanceScore, FilterCriteria: a.FilterCriteria, URLArgs: c.URLArgs,
		Custom: make(map[string]any, len(c.Custom)),
	}
	if s := c.CriticalSound; s != nil {
		aps.CriticalSound = &payload.CriticalSound{Name: s.Name, Volume: s.Volume}
	}
	for name, value := range c.Custom {
		aps.Custom[name] = value
	}
	var err error
	if n.Payload, err = aps.Marshal(); err != nil {
		faults.Add(contentPointer(err), audience.Malformed, problemOf(err))
		return
	}
	m.checkShown(n, faults)
}

// checkShown notes what a device would answer with silence.
func (m *messageRequest) checkShown(n *apns.Notification, faults *audience.Faults) {
	shown, err := apns.ParseAlert(n.Payload)
	if err != nil { // which Marshal does not make
		faults.Add("/content", audience.Malformed, err.Error())
		return
	}
	switch push := n.PushType; {
	case push == apns.PushTypeBackground && shown.Visible():
		faults.Add("/apns/push_type", audience.Conflict, "a background push shows, plays and counts nothing: leave title, body, badge and sound out, or send an alert")
	case (push == apns.PushTypeAlert || push == "" && n.Topic.BundleID() == n.Topic) && !shown.Visible() && !shown.ContentAvailable:
		faults.Add("/content", audience.Required, "there is nothing to show, play or count: give a title, a body, a badge or a sound; apns.content_available wakes the app alone")
	}
}

// contentPointer returns where in a request stands what a payload could not be made
// of: "aps.alert.title-loc-args[1]" is /content/title_loc_args/1.
func contentPointer(err error) string {
	field, ok := errors.AsType[*payload.FieldError](err)
	if !ok {
		return "/content"
	}
	name, ofAPS := strings.CutPrefix(field.Field, "aps.")
	if !ofAPS {
		return "/content/custom/" + escape(name)
	}
	name = strings.TrimPrefix(name, "alert.")
	name = strings.NewReplacer("-", "_", "[", "/", "]", "", ".", "/").Replace(name)
	switch first, _, _ := strings.Cut(name, "/"); first {
	case "thread_id", "category", "target_content_id", "interruption_level", "relevance_score", "filter_criteria":
		return "/apns/" + name
	case "sound":
		if rest := strings.TrimPrefix(name, "sound"); rest != "" {
			return "/content/critical_sound" + rest
		}
	}
	return "/content/" + name
}

// problemOf says what a payload could not be made of.
func problemOf(err error) string {
	if field, ok := errors.AsType[*payload.FieldError](err); ok {
		return fmt.Sprintf("%s: %s", field.Problem, field.Remedy)
	}
	return err.Error()
}
