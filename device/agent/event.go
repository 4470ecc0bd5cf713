package agent

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/device"
)

// Kind says what an Event tells.
type Kind string

// The kinds of events.
const (
	// Registered brings the device token of an app.
	Registered Kind = "registered"
	// Received brings a notification.
	Received Kind = "notification"
	// Connected says that a courier has accepted the device.
	Connected Kind = "connected"
	// Disconnected says that this is over, or did not come about; the device
	// tries again.
	Disconnected Kind = "disconnected"
	// Failed says what did not work: the registration of an app, a command,
	// the desktop.
	Failed Kind = "failed"
)

// Ended is the Reason of the last event, if the device was connected.
const Ended = "the agent ended"

// Event is something that happened to the device, and as JSON one object in
// one line. Its members are stable: later versions may add others and further
// kinds (docs/device.md#events).
type Event struct {
	Kind Kind      `json:"event"`
	Time time.Time `json:"time"`
	// Topic is the app that it is about. Empty for Connected and Disconnected.
	Topic apns.Topic `json:"topic,omitempty"`
	// DeviceToken is hex; of Registered alone, and so is Environment.
	DeviceToken string `json:"device_token,omitempty"`
	Environment string `json:"environment,omitempty"`
	// Courier is the address; of Connected alone, and so is Device.
	Courier string        `json:"courier,omitempty"`
	Device  apns.DeviceID `json:"device_id,omitempty"`
	// Reason is for people; of Disconnected and Failed.
	Reason string `json:"reason,omitempty"`
	// Notification is what Received brings, else nil.
	*Notification

	// Presentation is what the device shows of a notification, to draw it.
	Presentation device.Presentation `json:"-"`
}

// Notification is what an Event of the kind Received has beside Topic; its
// Time is that of the receipt.
type Notification struct {
	// ID is the apns-id. One that the agent made up stands for it where the
	// courier does not tell.
	ID         apns.NotificationID `json:"id"`
	PushType   apns.PushType       `json:"push_type"`
	Priority   apns.Priority       `json:"priority"`
	CollapseID apns.CollapseID     `json:"collapse_id,omitempty"`
	// SentAt is when the push service took it, if it says so.
	SentAt *time.Time `json:"sent_at,omitempty"`
	// ExpiresAt is when it loses its worth, if the sender said so.
	ExpiresAt *time.Time `json:"expires_at,omitempty"`
	// Stored tells that it waited for the device at the push service.
	Stored bool `json:"stored"`
	// Again tells that an earlier process had it, and may have reported it.
	Again bool `json:"again,omitempty"`
	// Level is how much it may disturb: what the payload asks for, as far as
	// the user lets the app.
	Level apns.InterruptionLevel `json:"interruption_level"`
	// Shown is what the device lists, shows, plays and counts; nil if nothing.
	Shown *Shown `json:"shown,omitempty"`
	// Payload is what the provider sent.
	Payload json.RawMessage `json:"payload"`
}

// Shown is what the device makes of a notification for its user, as far as the
// app registered for it and the user allows it. Its texts are as they were
// sent, untrusted.
type Shown struct {
	// Banner tells that it is shown at once, and not in the list alone.
	Banner   bool   `json:"banner"`
	Title    string `json:"title,omitempty"`
	Subtitle string `json:"subtitle,omitempty"`
	Body     string `json:"body,omitempty"`
	Sound    string `json:"sound,omitempty"`
	Badge    *int   `json:"badge,omitempty"`
}

// received returns the event of a notification.
func received(n device.Notification, p device.Presentation) Event {
	out := &Notification{
		ID: n.ID, PushType: n.PushType, Priority: n.Priority.OrDefault(), CollapseID: n.CollapseID,
		Stored: n.Stored, Again: n.Again, Level: p.InterruptionLevel, Payload: json.RawMessage(n.Payload),
	}
	if out.ID == "" {
		out.ID = apns.NotificationID(apns.NewUUID())
	}
	if !n.SentAt.IsZero() {
		out.SentAt = new(n.SentAt.UTC())
	}
	if seconds, ok := n.Expiration.Seconds(); ok && seconds > 0 {
		out.ExpiresAt = new(time.Unix(seconds, 0).UTC())
	}
	if !p.Silent {
		out.Shown = &Shown{Banner: p.Banner, Title: p.Title, Subtitle: p.Subtitle, Body: p.Body, Sound: p.Sound, Badge: p.Badge}
	}
	return Event{Kind: Received, Time: n.ReceivedAt.UTC(), Topic: n.Topic, Notification: out, Presentation: p}
}

// JSON returns e as one line, without its end.
func (e Event) JSON() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(e); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
