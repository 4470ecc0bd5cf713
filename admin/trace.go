package admin

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/portal"
	"github.com/heraldpush/herald/trace"
)

// TraceRequest names a notification.
type TraceRequest struct {
	// ID is the apns-id, or of a broadcast the apns-request-id.
	ID apns.NotificationID `json:"apns_id"`
}

// Trace is the story of a notification.
type Trace struct {
	ID    apns.NotificationID `json:"apns_id"`
	Lines []TraceLine         `json:"lines"` // by time
}

// TraceLine is a line of a story. What does not apply is left out.
type TraceLine struct {
	Time time.Time `json:"time"`
	// Hop is the stable name of what happened, such as "handed"; others than
	// this version knows may come.
	Hop string `json:"hop"`
	// Sentence says it for people.
	Sentence string `json:"sentence"`
	// Device is the push service's number for the device.
	Device      apns.DeviceOrdinal `json:"device,omitempty"`
	Environment string             `json:"environment,omitempty"`
	// Topic is there if it is one of an app in the portal, TopicHash always.
	Topic      apns.Topic  `json:"topic,omitempty"`
	TopicHash  string      `json:"topic_hash,omitempty"`
	Status     *uint16     `json:"status,omitempty"` // of refusals and acknowledgements
	Reason     apns.Reason `json:"reason,omitempty"`
	Connection uint64      `json:"connection,omitempty"`
	MessageID  uint32      `json:"message_id,omitempty"`
	// Stored reports that the device was told that it had been stored.
	Stored bool `json:"stored,omitempty"`
	// Until is when it expires.
	Until *time.Time `json:"until,omitempty"`
	// Other is the apns-id of what took its place.
	Other apns.NotificationID `json:"other_apns_id,omitempty"`
	// Derived reports that the line follows from others.
	Derived bool `json:"derived,omitempty"`
}

// GetTrace refuses with E-TRACE what is not known, or not any more.
var GetTrace = &Operation[TraceRequest, Trace]{
	Row: Row{http.MethodGet, "/v1/traces/{apns_id}", "Tells the story of a notification, a line for each hop."},
	runRooms: func(ctx context.Context, r Rooms, in TraceRequest) (Trace, error) {
		if r.Trace == nil {
			return Trace{}, newProblem(http.StatusNotFound, CodeTrace, "", "this platform keeps no traces")
		}
		lines, err := r.Trace.Story(ctx, in.ID)
		switch {
		case errors.Is(err, trace.ErrNotAnID):
			return Trace{}, newProblem(http.StatusBadRequest, CodeArgument, "It is in the answer to the push, a UUID such as eabeae54-14a8-11e5-b60b-1697f925ec7b.", "this is no apns-id")
		case err != nil:
			return Trace{}, err
		case len(lines) == 0:
			return Trace{}, newProblem(http.StatusNotFound, CodeTrace, "Traces are kept for some days, and not across restarts without a folder; the apns-id of each push is in its answer.",
				"nothing is known of a notification with this apns-id")
		}
		names, err := topicNames(ctx, r.Portal)
		if err != nil {
			return Trace{}, err
		}
		t := Trace{ID: lines[0].ID}
		for i := range lines {
			t.Lines = append(t.Lines, traceLine(&lines[i], names))
		}
		return t, nil
	},
}

// topicKinds are push types with each suffix that there is.
var topicKinds = []apns.PushType{
	apns.PushTypeAlert, apns.PushTypeLocation, apns.PushTypeVoIP, apns.PushTypeComplication, apns.PushTypeFileProvider,
	apns.PushTypeLiveActivity, apns.PushTypePushToTalk, apns.PushTypeWidgets, apns.PushTypeControls,
}

// topicNames returns the topics of all apps by their hashes.
func topicNames(ctx context.Context, p *portal.Portal) (map[apns.TopicHash]apns.Topic, error) {
	apps, err := p.Apps(ctx)
	if err != nil {
		return nil, err
	}
	names := make(map[apns.TopicHash]apns.Topic)
	for _, app := range apps {
		for _, kind := range topicKinds {
			t := app.BundleID + apns.Topic(kind.Suffix())
			names[t.Hash()] = t
		}
	}
	return names, nil
}

func traceLine(l *trace.Line, names map[apns.TopicHash]apns.Topic) TraceLine {
	out := TraceLine{
		Time: l.Time.UTC(), Hop: l.Hop.String(), Sentence: l.Sentence(), Device: l.Address.Device, Topic: names[l.Address.Topic],
		Reason: l.Reason, Connection: l.Connection, MessageID: l.Message, Stored: l.WasStored, Other: l.Other, Derived: l.Derived,
	}
	if l.Address.Environment != 0 {
		out.Environment = l.Address.Environment.String()
	}
	if l.Address.Topic != (apns.TopicHash{}) {
		out.TopicHash = l.Address.Topic.String()
	}
	switch l.Hop {
	case trace.Accepted, trace.Refused, trace.Acked, trace.Processed, trace.Tried:
		out.Status = &l.Status
	default: // it has none
	}
	if !l.Until.IsZero() {
		until := l.Until.UTC()
		out.Until = &until
	}
	return out
}
