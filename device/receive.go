package device

import (
	"math"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/wire"
)

// receive decides on a notification, in the order in which devices do
// (docs/protocol/courier.md#receiving): is there an app, is it a repetition,
// is the message of a channel new, is the device token ours, can the payload be read, does the user allow it.
func (s *session) receive(n wire.Notification, now time.Time, o *outcome) {
	a := s.memory.apps[n.TopicHash]
	if a == nil {
		o.ack(n, wire.AckUnknownTopic)
		return
	}
	entry, stamped := entryFor(n.DeviceToken, n.Timestamp)
	if stamped && (s.uncommitted[entry] || s.memory.journal.has(entry, now)) {
		o.ack(n, wire.AckUnknownTopic) // which also stands for a repetition
		return
	}
	if n.Channel != "" && !a.awaits(n) {
		o.ack(n, wire.AckUnknownTopic) // which also stands for an old checkpoint
		return
	}
	if n.DeviceToken == "" {
		o.ack(n, wire.AckNotOurs)
		return
	}
	if string(n.DeviceToken) != string(s.memory.base) && n.DeviceToken != a.token {
		s.stranger(n, a, o)
		return
	}
	if !n.Payload.IsObject() {
		o.ack(n, wire.AckUnreadable)
		return
	}
	w := wishes{a.types, s.memory.permission(a.topic), s.memory.quiet.active(now)}
	m := notificationFrom(n, a.topic, now)
	if !forApp(m, w.permission) {
		o.ack(n, wire.AckIgnored)
		return
	}
	if stamped {
		s.uncommitted[entry] = true
	}
	o.effects = append(o.effects, &received{
		notification: m, wishes: w, delegate: a.delegate, here: a.call != 0, source: n, entry: entry,
	})
	o.ack(n, wire.AckOK)
}

// stranger decides on a notification for a device token that is not the
// app's. While the app has none, because the answer is under way, it may turn
// out to be: to refuse it would end the device token at the push service.
func (s *session) stranger(n wire.Notification, a *app, o *outcome) {
	if a.token != "" {
		o.ack(n, wire.AckNotOurs)
		return
	}
	q := s.asked[n.TopicHash]
	if q == nil || !q.waiting || len(q.early) >= maxEarly {
		o.ack(n, wire.AckUnavailable)
		return
	}
	q.early = append(q.early, n)
}

// notificationFrom returns n in the words of an app, with what a courier other
// than Herald's leaves out.
func notificationFrom(n wire.Notification, topic apns.Topic, now time.Time) Notification {
	m := Notification{
		Notification: apns.Notification{
			Topic:      topic,
			PushType:   n.PushType,
			Priority:   n.Priority.OrDefault(),
			CollapseID: n.CollapseID,
			Payload:    n.Payload,
		},
		ReceivedAt: now,
		Channel:    n.Channel,
		Stored:     n.Storage&wire.Stored != 0,
	}
	if n.ID.Valid() {
		m.ID = n.ID
	}
	if len(m.CollapseID) > apns.MaxCollapseIDBytes {
		m.CollapseID = ""
	}
	switch {
	case m.PushType.Known():
	case n.Channel != "":
		m.PushType = apns.PushTypeLiveActivity // nothing else is broadcast
	default:
		m.PushType = apns.InferPushType(topic, n.Payload)
	}
	if n.Expiry != 0 && n.Expiry != wire.NoExpiry {
		m.Expiration = apns.ExpiresAt(time.Unix(int64(n.Expiry), 0))
	}
	if 0 < n.Timestamp && n.Timestamp <= math.MaxInt64 {
		m.SentAt = time.Unix(0, int64(n.Timestamp))
	}
	return m
}
