package api

import (
	"encoding/json"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/provider"
	"github.com/heraldpush/herald/provider/account"
	"github.com/heraldpush/herald/provider/audience"
	"github.com/heraldpush/herald/provider/outbox"
)

// Message is a message and how far it has come, without what it says.
type Message struct {
	ID          outbox.MessageID  `json:"id"`
	State       MessageState      `json:"state,omitempty"`
	Why         string            `json:"why,omitempty" about:"Why it is paused or failed: asked, fuse (too many of the answers called device tokens bad), or in words."`
	Audience    MessageAudience   `json:"audience" about:"Whom it is for."`
	Counts      MessageCounts     `json:"counts" about:"How many of them are in which case."`
	ByReason    map[string]int    `json:"by_reason,omitempty" about:"The rejected ones by their reason."`
	Lane        string            `json:"lane,omitempty" about:"urgent, ordinary or campaign."`
	Kind        audience.Kind     `json:"kind,omitempty"`
	Environment apns.Environment  `json:"environment,omitzero" about:"The environment that it goes to. Both if it is missing."`
	PushType    apns.PushType     `json:"push_type,omitempty"`
	Topic       apns.Topic        `json:"topic,omitempty"`
	CollapseID  apns.CollapseID   `json:"collapse_id,omitempty"`
	CreatedAt   time.Time         `json:"created_at"`
	StartAt     time.Time         `json:"start_at,omitzero" about:"When it is or was to be sent. At once if it is missing."`
	Deadline    time.Time         `json:"deadline,omitzero" about:"When sending is given up."`
	EndedAt     time.Time         `json:"ended_at,omitzero" about:"When it came to its end."`
	Links       map[string]string `json:"links" about:"Where more is to be had: self, failures."`
}

// MessageState is the word for what a message is going through.
type MessageState string

// MessageAudience says whom a message is for.
type MessageAudience struct {
	Tag       string `json:"tag,omitempty" about:"All that have this tag."`
	Everybody bool   `json:"everybody,omitempty" about:"All of the app."`
	// Frozen is when nobody comes in any more.
	Frozen bool `json:"frozen" about:"Whether counts.targeted is final: all whom the message is for were found."`
}

// MessageCounts says how many of those a message is for are in which case.
type MessageCounts struct {
	Targeted int `json:"targeted" about:"Installations, or device tokens that were named."`
	Pending  int `json:"pending" about:"Not sent yet, or not answered, or to be tried again."`
	Accepted int `json:"accepted" about:"Accepted by the push service. It is no proof of delivery."`
	Rejected int `json:"rejected" about:"Refused for good, or nothing could be sent. The failures say why."`
	Expired  int `json:"expired" about:"Not accepted before the deadline."`
}

// messageOf returns a message as the API has it.
func messageOf(app account.AppID, m *outbox.Message) Message {
	at := address("v1", "apps", string(app), "messages", m.ID.String())
	doc := Message{ID: m.ID, CreatedAt: m.ID.Time(), Links: map[string]string{"self": at, "failures": at + "/failures"}}
	if m.State == 0 {
		return doc // it was forgotten but for its ID
	}
	r := m.Counts.Receipts
	doc.State, doc.Why = MessageState(m.State.String()), m.Why
	doc.Audience = MessageAudience{m.Tag, m.Everybody, m.Frozen}
	doc.Counts = MessageCounts{m.Counts.Targeted, r[outbox.Pending], r[outbox.Accepted], r[outbox.Rejected], r[outbox.Expired]}
	for reason, n := range m.Counts.Reasons {
		if doc.ByReason == nil {
			doc.ByReason = make(map[string]int)
		}
		doc.ByReason[string(reason)] = n
	}
	doc.Lane, doc.Kind, doc.Environment = m.Lane.String(), m.Use.Kind, m.Use.Environment
	doc.PushType, doc.Topic, doc.CollapseID = m.Notification.PushType, m.Notification.Topic, m.Notification.CollapseID
	doc.StartAt, doc.Deadline, doc.EndedAt = m.StartAt, m.Deadline, m.EndedAt
	return doc
}

// submittedOf returns a message as it was when it was submitted, so that a request
// that comes twice is answered alike.
func submittedOf(app account.AppID, m outbox.Message) Message {
	if m.State != 0 {
		members := m.Counts.Targeted
		if m.Open() {
			members = 0
		}
		m.Status = m.Begin(members, m.ID.Time())
	}
	return messageOf(app, &m)
}

// ValidMessage is a message that could be sent as it is.
type ValidMessage struct {
	Audience        MessageAudience `json:"audience" about:"Whom it is for."`
	Targeted        int             `json:"targeted" about:"How many they are; 0 for a tag or everybody, who are looked for when it is sent."`
	Lane            string          `json:"lane" about:"urgent, ordinary or campaign."`
	Kind            audience.Kind   `json:"kind,omitempty"`
	PushType        apns.PushType   `json:"push_type"`
	Topic           apns.Topic      `json:"topic"`
	Priority        int             `json:"priority"`
	PayloadBytes    int             `json:"payload_bytes" about:"How large the payload is."`
	MaxPayloadBytes int             `json:"max_payload_bytes" about:"How large it could be."`
	Payload         json.RawMessage `json:"payload" about:"What would go to the device."`
	StartAt         time.Time       `json:"start_at,omitzero" about:"When it would be sent. At once if it is missing."`
	Deadline        time.Time       `json:"deadline" about:"When sending would be given up."`
}

func validOf(m *outbox.Message) ValidMessage {
	n := &m.Notification
	return ValidMessage{
		Audience: MessageAudience{m.Tag, m.Everybody, m.Frozen}, Targeted: m.Counts.Targeted,
		Lane: m.Lane.String(), Kind: m.Use.Kind, PushType: n.PushType, Topic: n.Topic, Priority: int(n.Priority.OrDefault()),
		PayloadBytes: len(n.Payload), MaxPayloadBytes: n.PushType.MaxPayloadBytes(), Payload: json.RawMessage(n.Payload),
		StartAt: m.StartAt, Deadline: m.Deadline,
	}
}

// Failure is why a message was refused for one of those it is for.
type Failure struct {
	Installation audience.InstallationID `json:"installation,omitempty" about:"Who was meant. Missing if it was removed since, or a device token was named."`
	DeviceToken  *FailedToken            `json:"device_token,omitempty" about:"The device token, if it was named."`
	Status       int                     `json:"status,omitempty" about:"That of the push service's answer. Missing if nothing was sent."`
	Reason       apns.Reason             `json:"reason" about:"That of the answer, or one of ours: no_device_token, in_quarantine."`
	Meaning      string                  `json:"meaning" about:"It in words."`
	Remedy       string                  `json:"remedy" about:"What to do about it."`
	At           time.Time               `json:"at"`
	ID           apns.NotificationID     `json:"apns_id,omitempty" about:"The apns-id that was sent."`
}

// FailedToken is a device token that a message named.
type FailedToken struct {
	Value       string           `json:"value" about:"In hex."`
	Environment apns.Environment `json:"environment"`
}

func failureOf(f *outbox.Failure) Failure {
	return Failure{Status: f.Status, Reason: f.Reason, Meaning: meaning(f.Reason), Remedy: remedyFor(f), At: f.At, ID: f.ID}
}

func messageFailureOf(f *provider.MessageFailure) Failure {
	doc := failureOf(&f.Failure)
	doc.Installation = f.Installation
	if f.Target.DeviceToken != "" {
		doc.DeviceToken = &FailedToken{f.Target.DeviceToken.Hex(), f.Target.Environment}
	}
	return doc
}

// Story is what became of a message for one installation.
type Story struct {
	Installation audience.InstallationID `json:"installation"`
	Message      Message                 `json:"message"`
	Meant        bool                    `json:"meant" about:"Whether the message is for the installation. If not, nothing was sent to it."`
	Receipt      string                  `json:"receipt,omitempty" about:"pending, accepted, rejected or expired. Missing if it was not meant."`
	Summary      string                  `json:"summary" about:"It in words."`
	Failure      *Failure                `json:"failure,omitempty" about:"Why it was rejected."`
	Pushes       []StoryPush             `json:"pushes,omitempty" about:"The device tokens of the installation that the message is for, as they are now."`
	Lines        []StoryLine             `json:"lines" about:"What happened, in the order of time. Single pushes are kept for some days; of an old message only the outcome is left."`
}

// StoryLine is one thing that happened to a message.
type StoryLine struct {
	Time     time.Time           `json:"time"`
	Hop      string              `json:"hop" about:"What happened, in a word: submitted, scheduled, targeted, left-out, tried, receipt, waiting or ended. New ones may come."`
	ID       apns.NotificationID `json:"apns_id,omitempty" about:"The push that it is about. Missing: it is about the message."`
	Sentence string              `json:"sentence" about:"It in words."`
}

// StoryPush is a device token that a message goes to.
type StoryPush struct {
	Kind        audience.Kind       `json:"kind"`
	Name        string              `json:"name,omitempty"`
	Environment apns.Environment    `json:"environment"`
	State       string              `json:"state" about:"active, quarantined or gone."`
	ID          apns.NotificationID `json:"apns_id" about:"The apns-id with which the message goes there."`
}

func storyOf(app account.AppID, told *provider.Story) Story {
	o := &told.Outcome
	s := Story{Installation: o.Installation.ID, Message: messageOf(app, &o.Message), Meant: o.Meant, Summary: summaryOf(o)}
	for _, l := range told.Lines {
		s.Lines = append(s.Lines, StoryLine{l.Time.UTC(), l.Hop, l.ID, l.Sentence})
	}
	if o.Meant {
		s.Receipt = o.Receipt.String()
	}
	if o.Failure != nil {
		f := failureOf(o.Failure)
		f.Installation = o.Installation.ID
		s.Failure = &f
	}
	for n := range o.Installation.Destinations {
		if id, ok := o.Sent[n]; ok {
			d := &o.Installation.Destinations[n]
			s.Pushes = append(s.Pushes, StoryPush{d.Kind, d.Name, d.Environment, d.Standing.State.String(), id})
		}
	}
	return s
}

// summaryOf says in words what became of a message for an installation.
func summaryOf(o *provider.Outcome) string {
	switch {
	case !o.Meant && !o.Message.Frozen:
		return "whether the message is for this installation is not decided yet: its audience is still being looked for"
	case !o.Meant:
		return "the message is not for this installation: it did not have the tag, or no device token for it, when the audience was looked for; or it was not named"
	}
	switch o.Receipt {
	case outbox.Accepted:
		return "the push service accepted it, which is no proof of delivery"
	case outbox.Rejected:
		if o.Failure != nil {
			return "it was refused: " + meaning(o.Failure.Reason)
		}
		return "it was refused"
	case outbox.Expired:
		return "the push service had not accepted it when the deadline came"
	case outbox.Pending:
	}
	switch o.Message.State {
	case outbox.StateScheduled:
		return "it is not time yet to send it"
	case outbox.StatePaused:
		return "it has not been sent: the message is paused"
	case outbox.StateCancelled:
		return "it was not sent: the message was cancelled"
	case outbox.StateFailed:
		return "it was not sent: the message failed"
	case outbox.StateSnapshotting, outbox.StateSending, outbox.StateDone, outbox.StateExpired:
	}
	return "it has not been sent yet, or will be tried again"
}
