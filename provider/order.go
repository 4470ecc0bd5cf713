package provider

import (
	"errors"
	"fmt"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnsclient"
	"github.com/heraldpush/herald/provider/account"
	"github.com/heraldpush/herald/provider/audience"
	"github.com/heraldpush/herald/provider/outbox"
)

// The limits of an Order.
const (
	// MaxTargets is how many device tokens, installations or people an order may
	// name; larger audiences have a tag.
	MaxTargets = 10_000
	// MaxAhead is how far ahead a message may be scheduled.
	MaxAhead = 366 * 24 * time.Hour
	// MaxLasting is how long after its start a message may be tried.
	MaxLasting = 30 * 24 * time.Hour
	// defaultLasting is how long it is if the order does not say.
	defaultLasting = 24 * time.Hour
	// maxPast is how long ago the start of a message may be: what was meant to be at
	// once, by a clock that is slow.
	maxPast = 5 * time.Minute
	// maxUrgent is how many targets a message has at most that is urgent without
	// being told.
	maxUrgent = 16
)

// Order asks for a message to be sent.
type Order struct {
	To Recipients
	// Notification is what is sent. Its ID may be set where To is one device token.
	// An empty Topic is the app's bundle ID with the suffix of the push type; an
	// empty PushType follows from the payload.
	Notification apns.Notification
	// Kind is that of the device tokens it goes to. Empty: it follows from the push
	// type, but for liveactivity, which may begin an activity or be for one.
	Kind audience.Kind
	// Environment is that of the device tokens it goes to; zero is both.
	Environment apns.Environment
	// Lane is how much in a hurry it is. Nil: urgent for up to 16 targets, campaign
	// for a tag or everybody, ordinary between.
	Lane *outbox.Lane
	// StartAt is when it is sent; zero is at once.
	StartAt time.Time
	// Deadline is when sending is given up; zero is 24 hours after the start.
	Deadline time.Time
	// ValidateOnly has everything checked, and nothing sent.
	ValidateOnly bool
	// Once, if its Key is set, makes it an order that is carried out once.
	Once outbox.Once
}

// Recipients are whom an order is for: exactly one of the fields.
type Recipients struct {
	DeviceTokens  []outbox.Addressee
	Installations []audience.InstallationID
	People        []audience.Alias
	Tag           string
	Everybody     bool
}

// intent returns what an order comes to for an app, without an ID. The error is an
// *audience.InvalidError.
func (o *Order) intent(app *account.App, now time.Time) (outbox.Intent, error) {
	i := outbox.Intent{
		App: app.Number, Notification: o.Notification, Tag: o.To.Tag, Everybody: o.To.Everybody,
		Use: audience.Use{Kind: o.Kind, Environment: o.Environment},
	}
	var faults audience.Faults
	o.To.check(&faults)
	complete(&i.Notification, app)
	o.checkNotification(&i.Notification, app, &faults)
	if i.Use.Kind == "" {
		i.Use.Kind, _ = audience.KindOf(i.Notification.PushType)
	}
	o.checkKind(&i, &faults)
	i.StartAt, i.Deadline = o.times(now, &faults)
	i.Lane = o.lane()
	return i, faults.Err()
}

// check notes what is wrong with whom an order is for, as far as the store need not
// be asked.
func (r *Recipients) check(faults *audience.Faults) {
	given := 0
	for _, is := range []bool{len(r.DeviceTokens) > 0, len(r.Installations) > 0, len(r.People) > 0, r.Tag != "", r.Everybody} {
		if is {
			given++
		}
	}
	switch {
	case given == 0:
		faults.Add("/to", audience.Required, "nobody is named: give device_tokens, installations, people, a tag, or everybody")
	case given > 1:
		faults.Add("/to", audience.Conflict, "more than one kind of recipients is named; send one message for each")
	}
	for _, list := range []struct {
		at string
		n  int
	}{{"/to/device_tokens", len(r.DeviceTokens)}, {"/to/installations", len(r.Installations)}, {"/to/people", len(r.People)}} {
		if list.n > MaxTargets {
			faults.Add(list.at, audience.TooMany, fmt.Sprintf("%d, at most %d are possible; a larger audience has a tag", list.n, MaxTargets))
		}
	}
	if len(r.Tag) > audience.MaxTagBytes {
		faults.Add("/to/tag", audience.TooLong, fmt.Sprintf("%d bytes, at most %d are possible", len(r.Tag), audience.MaxTagBytes))
	}
	seen := make(map[outbox.Addressee]bool, len(r.DeviceTokens))
	for n, a := range r.DeviceTokens {
		at := fmt.Sprintf("/to/device_tokens/%d", n)
		switch {
		case a.Environment != apns.Sandbox && a.Environment != apns.Production:
			faults.Add(at+"/environment", audience.Required, "sandbox or production")
		case a.DeviceToken == "" || len(a.DeviceToken) > apns.MaxDeviceTokenBytes:
			faults.Add(at+"/value", audience.Malformed, fmt.Sprintf("not a device token: it has 1 to %d bytes", apns.MaxDeviceTokenBytes))
		case seen[a]:
			faults.Add(at, audience.Duplicate, "the device token is named twice")
		}
		seen[a] = true
	}
}

// complete gives a notification the push type and topic that it has if it does not
// say.
func complete(n *apns.Notification, app *account.App) {
	if n.PushType == "" {
		n.PushType = apns.InferPushType(n.Topic, n.Payload)
	}
	if n.Topic == "" {
		n.Topic = app.BundleID + apns.Topic(n.PushType.Suffix())
	}
}

// pointers say where in a request stands what a push is refused for.
var pointers = map[apns.Reason]string{
	apns.PayloadTooLarge: "/payload", apns.PayloadEmpty: "/payload", apns.BadCollapseID: "/apns/collapse_id",
	apns.InvalidPushType: "/apns/push_type", apns.BadPriority: "/apns/priority", apns.BadTopic: "/apns/topic",
	apns.BadMessageID: "/apns/id",
}

func (o *Order) checkNotification(n *apns.Notification, app *account.App, faults *audience.Faults) {
	switch {
	case !n.Topic.Valid():
		faults.Add("/apns/topic", audience.Malformed, "not a topic")
	case n.Topic.BundleID() != app.BundleID:
		faults.Add("/apns/topic", audience.Conflict, fmt.Sprintf("of another app: the bundle ID of %s is %s", app.ID, app.BundleID))
	case !n.PushType.Known():
		faults.Add("/apns/push_type", audience.Unknown, "not a push type")
	case !n.PushType.Matches(n.Topic):
		faults.Add("/apns/topic", audience.Conflict, fmt.Sprintf("not a topic of the push type %s, which is %s", n.PushType, app.BundleID+apns.Topic(n.PushType.Suffix())))
	}
	if n.PushType == apns.PushTypeBackground && n.Priority == apns.PriorityImmediate {
		faults.Add("/apns/priority", audience.Conflict, "a background push has the priority 5")
	}
	if n.ID != "" && len(o.To.DeviceTokens) != 1 {
		faults.Add("/apns/id", audience.Conflict, "only a push to one device token can have an ID of the sender's")
	}
	if e, ok := errors.AsType[*apnsclient.CheckError](apnsclient.CheckNotification(n)); ok {
		f := audience.Fault{Pointer: pointers[e.Reason], Code: audience.Malformed, Detail: e.Problem + ": " + e.Remedy}
		if e.Reason == apns.PayloadTooLarge {
			f.Code, f.OverBy = audience.TooLong, len(n.Payload)-n.PushType.MaxPayloadBytes()
		}
		*faults = append(*faults, f)
	}
}

// checkKind notes what is wrong with the kind of device tokens, which those that
// are named themselves need not have.
func (o *Order) checkKind(i *outbox.Intent, faults *audience.Faults) {
	background := i.Notification.PushType == apns.PushTypeBackground && i.Use.Kind == audience.KindAlert
	switch kind := i.Use.Kind; {
	case len(o.To.DeviceTokens) > 0 && o.Kind == "", !i.Notification.PushType.Known():
	case kind == "":
		faults.Add("/kind", audience.Required, fmt.Sprintf("device tokens of which kind a push of the type %s is for does not follow from the type", i.Notification.PushType))
	case !kind.Known():
		faults.Add("/kind", audience.Unknown, "not a kind of device tokens")
	case kind.PushType() != i.Notification.PushType && !background:
		faults.Add("/kind", audience.Conflict, fmt.Sprintf("a push of the type %s does not go to device tokens of this kind", i.Notification.PushType))
	}
}

// times returns when an order starts and when it is given up.
func (o *Order) times(now time.Time, faults *audience.Faults) (start, deadline time.Time) {
	switch start = o.StartAt.UTC().Round(0); {
	case o.StartAt.IsZero():
		start = time.Time{}
	case start.Before(now.Add(-maxPast)):
		faults.Add("/deliver/at", audience.Conflict, "the time has passed")
	case start.After(now.Add(MaxAhead)):
		faults.Add("/deliver/at", audience.TooLong, fmt.Sprintf("too far ahead, at most %d days are possible", MaxAhead/(24*time.Hour)))
	case !start.After(now):
		start = time.Time{} // it is now
	}
	begins := start
	if begins.IsZero() {
		begins = now
	}
	switch deadline = o.Deadline.UTC().Round(0); {
	case o.Deadline.IsZero():
		deadline = begins.Add(defaultLasting)
	case !deadline.After(begins):
		faults.Add("/deliver/by", audience.Conflict, "not after the start")
	case deadline.After(begins.Add(MaxLasting)):
		faults.Add("/deliver/by", audience.TooLong, fmt.Sprintf("too long after the start, at most %d days are possible", MaxLasting/(24*time.Hour)))
	}
	return start, deadline
}

func (o *Order) lane() outbox.Lane {
	switch {
	case o.Lane != nil:
		return *o.Lane
	case o.To.Tag != "" || o.To.Everybody:
		return outbox.Campaign
	case len(o.To.DeviceTokens)+len(o.To.Installations)+len(o.To.People) > maxUrgent:
		return outbox.Ordinary
	}
	return outbox.Urgent
}
