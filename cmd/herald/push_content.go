package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnsclient/payload"
)

// pushContent is the payload: as a whole, or by its parts.
type pushContent struct {
	Payload string `placeholder:"FILE" help:"The whole payload, JSON; - is standard input, and what begins with { is the payload itself."`

	Title             string                 `help:"Title of the alert."`
	Subtitle          string                 `help:"Its subtitle."`
	Body              string                 `help:"Its text."`
	Fit               bool                   `help:"Cut the text of the alert, if the payload would else be too large."`
	Sound             string                 `placeholder:"NAME" help:"Sound file of the app, or default."`
	Badge             *int                   `placeholder:"N" help:"Number on the app's icon; 0 clears it."`
	Category          string                 `help:"Category that the app has registered buttons for."`
	ThreadID          string                 `name:"thread-id" help:"What groups notifications."`
	ContentAvailable  bool                   `help:"Wake the app in the background. Alone it makes a background push."`
	MutableContent    bool                   `help:"Let the app change the notification before it is shown."`
	InterruptionLevel apns.InterruptionLevel `placeholder:"LEVEL" help:"passive, active, time-sensitive or critical."`
	RelevanceScore    *float64               `placeholder:"SCORE" help:"From 0 to 1, the highest is shown first in a summary."`
	Data              []string               `sep:"none" placeholder:"KEY=VALUE" help:"A key of the app's own, beside aps. The value is JSON, or else a text; may be repeated."`
}

// parts reports whether a part of the payload is given.
func (c pushContent) parts() bool {
	return c.Title+c.Subtitle+c.Body+c.Sound+c.Category+c.ThreadID+string(c.InterruptionLevel) != "" ||
		c.Badge != nil || c.RelevanceScore != nil || c.ContentAvailable || c.MutableContent || c.Fit || len(c.Data) > 0
}

// payload returns the payload, which may have limit bytes where it can be cut.
func (c pushContent) payload(limit int) (apns.Payload, error) {
	switch {
	case c.Payload != "" && c.parts():
		return nil, withHint(usageError("--payload is the whole payload: it goes with no part of one"), "write the parts into the payload, or leave --payload out.")
	case c.Payload != "":
		return c.whole()
	case !c.parts():
		return nil, withHint(usageError("what is to be pushed?"), "--title, --body, --badge and others say so, or --payload FILE.")
	}
	custom, err := c.custom()
	if err != nil {
		return nil, err
	}
	aps := payload.APS{
		Alert: payload.Alert{Title: c.Title, Subtitle: c.Subtitle, Body: c.Body},
		Badge: c.Badge, Sound: c.Sound, Category: c.Category, ThreadID: c.ThreadID,
		ContentAvailable: c.ContentAvailable, MutableContent: c.MutableContent,
		InterruptionLevel: c.InterruptionLevel, RelevanceScore: c.RelevanceScore, Custom: custom,
	}
	marshal := aps.Marshal
	if c.Fit {
		marshal = func() (apns.Payload, error) { return aps.Fit(limit) }
	}
	p, err := marshal()
	if e, ok := errors.AsType[*payload.FieldError](err); ok {
		return nil, withHint(usageError("%s: %s", plain(e.Field), plain(e.Problem)), "%s.", e.Remedy)
	}
	return p, err
}

// whole reads the payload as it is, without the white space around it, which would
// count.
func (c pushContent) whole() (apns.Payload, error) {
	text, name := []byte(c.Payload), "--payload"
	if !strings.HasPrefix(c.Payload, "{") {
		var err error
		if text, err = readSmallFile(c.Payload); err != nil {
			return nil, unreadable(err)
		}
		name = plain(c.Payload)
	}
	text = bytes.TrimSpace(text)
	var object map[string]json.RawMessage
	if err := json.Unmarshal(text, &object); err != nil || object == nil {
		problem := errors.New("it is not a JSON object")
		if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
			problem = fmt.Errorf("it is not JSON at byte %d: %w", syntax.Offset, err)
		}
		return nil, withHint(unreadable(fmt.Errorf("%s: %w", name, problem)), `a payload is an object, such as {"aps":{"alert":"Hello"}}.`)
	}
	return text, nil
}

// custom returns the app's own keys.
func (c pushContent) custom() (map[string]any, error) {
	custom := make(map[string]any, len(c.Data))
	for _, pair := range c.Data {
		key, value, ok := strings.Cut(pair, "=")
		if !ok || key == "" {
			return nil, usageError("--data %s: want KEY=VALUE", plain(pair))
		}
		if _, twice := custom[key]; twice {
			return nil, usageError("--data %s comes twice", plain(key))
		}
		custom[key] = value
		if json.Valid([]byte(value)) {
			custom[key] = json.RawMessage(value)
		}
	}
	return custom, nil
}

// pushHeaders say how the notification is delivered.
type pushHeaders struct {
	Topic      apns.Topic          `placeholder:"TOPIC" help:"Bundle ID of the app, with the suffix of the push type. Without it, that of the certificate or of herald dev."`
	PushType   apns.PushType       `placeholder:"TYPE" help:"Such as alert, background or voip. Without it, what topic and payload show."`
	Priority   string              `placeholder:"N" help:"10 at once, 5 by the device's power, 1 power first."`
	Expiration string              `placeholder:"TIME" help:"How long it is kept for a device that is away, such as 1h30m; 0 is not at all. Without it, 30 days."`
	CollapseID apns.CollapseID     `name:"collapse-id" placeholder:"ID" help:"A later push with the same one replaces it on the screen."`
	ID         apns.NotificationID `name:"id" placeholder:"UUID" help:"The apns-id. Without it, a random one."`
}

// notification returns what is pushed.
func (c pushCmd) notification(with sending) (n apns.Notification, err error) {
	n = apns.Notification{ID: c.ID, Topic: c.Topic, PushType: c.PushType, CollapseID: c.CollapseID}
	if c.Priority != "" {
		var ok bool
		if n.Priority, ok = apns.ParsePriority(c.Priority); !ok {
			return n, usageError("--priority %s: want 10, 5 or 1", plain(c.Priority))
		}
	}
	if n.Expiration, err = expiration(c.Expiration, time.Now()); err != nil {
		return n, err
	}
	if c.Broadcast != "" {
		n.PushType = apns.PushTypeLiveActivity
	}
	if n.Topic == "" && with.topic != "" {
		n.Topic = with.topic
		if c.Broadcast == "" {
			n.Topic += apns.Topic(n.PushType.Suffix())
		}
	}
	limit := apns.InferPushType(n.Topic, nil).MaxPayloadBytes()
	if c.Broadcast != "" {
		limit = apns.MaxBroadcastBytes
	}
	if n.Payload, err = c.payload(limit); err != nil {
		return n, err
	}
	if n.PushType == "" {
		n.PushType = apns.InferPushType(n.Topic, n.Payload)
	}
	return n, nil
}

// expiration reads how long a notification is kept from now on.
func expiration(s string, now time.Time) (apns.Expiration, error) {
	if s == "" {
		return apns.Expiration{}, nil
	}
	if s == "0" {
		return apns.DoNotStore, nil
	}
	if d, err := time.ParseDuration(s); err == nil && d > 0 {
		return apns.ExpiresAt(now.Add(d)), nil
	}
	return apns.Expiration{}, withHint(usageError("--expiration %s: want a time from now on, or 0", plain(s)), "such as 30m, 12h or 0, which is not to keep it at all.")
}
