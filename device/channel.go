package device

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/wire"
)

// MaxChannels bounds the channels that a device is subscribed to at a time. Where
// their IDs are long it is fewer: those of all apps must fit into one frame.
const MaxChannels = 1000

const (
	// subscribeRetry is when a device says again what it is subscribed to, if
	// the courier refused and did not say when
	// (docs/protocol/courier.md#channels). The courier may name a time between
	// the other two.
	subscribeRetry    = 30 * time.Second
	minSubscribeRetry = time.Second
	maxSubscribeRetry = 24 * time.Hour
)

// checkpointPause is how long the folder may lack the latest checkpoints while a
// device is connected. What came meanwhile is in the journal, so that nothing is
// shown twice.
const checkpointPause = time.Minute

// ChannelError says that the service has no such channel of an app: it never had,
// or it was deleted. The device is not subscribed to it any more.
type ChannelError struct {
	Topic   apns.Topic
	Channel apns.ChannelID
}

// Error names the channel and its app.
func (e *ChannelError) Error() string { return fmt.Sprintf("%s has no channel %s", e.Topic, e.Channel) }

// SubscribeToChannel has the device follow a channel: what is broadcast on it
// comes to the delegate of topic, with the channel in Notification.Channel. A
// device that was away gets the latest message, if the channel stores any. It is
// what an app of Apple's does by starting a Live Activity with the push type
// .channel(id).
//
// The topic is the bundle ID of the app that owns the channel, or that with the
// suffix .push-type.liveactivity, and is registered. A subscription outlives
// the process where Config.Dir is set, with its place in the channel; it ends
// with UnsubscribeFromChannel, with the registration, or when the service has no
// such channel, of which the delegate hears in ChannelSubscriptionFailed.
// A channel has one topic, the latest.
//
// The error says that topic or ID can not be, or that there are too many channels
// already.
func (d *Device) SubscribeToChannel(topic apns.Topic, id apns.ChannelID) error {
	if _, err := apns.ParseChannelID(string(id)); err != nil {
		return fmt.Errorf("subscribing to a channel of %s: %w", topic, err)
	}
	d.mu.Lock()
	err := d.memory.subscribe(topic, id)
	d.mu.Unlock()
	if err != nil {
		return fmt.Errorf("subscribing to a channel of %s: %w", topic, err)
	}
	d.wakeUp()
	return nil
}

// UnsubscribeFromChannel ends a subscription. One that there is not is no error.
func (d *Device) UnsubscribeFromChannel(topic apns.Topic, id apns.ChannelID) {
	d.mu.Lock()
	d.memory.unsubscribe(topic, id)
	d.mu.Unlock()
	d.wakeUp()
}

// Channels returns what is subscribed to under a topic, sorted.
func (d *Device) Channels(topic apns.Topic) []apns.ChannelID {
	d.mu.Lock()
	defer d.mu.Unlock()
	var ids []apns.ChannelID
	if a := d.memory.apps[topic.Hash()]; a != nil {
		for id := range a.channels {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// subscribe adds a subscription, or moves it to another topic.
func (m *memory) subscribe(topic apns.Topic, id apns.ChannelID) error {
	to := m.apps[topic.Hash()]
	if to == nil {
		return errors.New("the topic is not registered")
	}
	if _, ok := to.channels[id]; ok {
		return nil
	}
	checkpoint := uint64(0)
	count, bytes := 1, subscriptionBytes(topic, id)
	for _, a := range m.apps {
		for other, at := range a.channels {
			if other == id {
				checkpoint = at
			} else {
				count, bytes = count+1, bytes+subscriptionBytes(a.topic, other)
			}
		}
	}
	if count > MaxChannels || bytes > maxSubscriptionsBytes {
		return fmt.Errorf("there are %d subscriptions already", count-1)
	}
	for _, a := range m.apps {
		delete(a.channels, id)
	}
	to.follow(id, checkpoint)
	m.changed = true
	return nil
}

// follow sets the checkpoint of a channel.
func (a *app) follow(id apns.ChannelID, checkpoint uint64) {
	if a.channels == nil {
		a.channels = map[apns.ChannelID]uint64{}
	}
	a.channels[id] = checkpoint
}

// maxSubscriptionsBytes is what a list of subscriptions may take in a frame.
const maxSubscriptionsBytes = wire.MaxPayloadBytes - 1024

// subscriptionBytes is what a subscription takes there at most, counting the
// topic for each.
func subscriptionBytes(topic apns.Topic, id apns.ChannelID) int {
	const around = 32 // keys, lengths and the checkpoint
	return around + len(topic) + len(id)/4*3
}

func (m *memory) unsubscribe(topic apns.Topic, id apns.ChannelID) {
	if a := m.apps[topic.Hash()]; a != nil {
		if _, ok := a.channels[id]; ok {
			delete(a.channels, id)
			m.changed = true
		}
	}
}

// awaits reports whether a message of a channel is one that the app is to have:
// it is subscribed, and has none that is as new.
func (a *app) awaits(n wire.Notification) bool {
	checkpoint, ok := a.channels[n.Channel]
	return ok && (n.Checkpoint > checkpoint || n.Checkpoint == 0)
}

// reached notes that a message of a channel is in the journal.
func (m *memory) reached(n wire.Notification, now time.Time) {
	a := m.apps[n.TopicHash]
	if n.Channel == "" || a == nil || !a.awaits(n) {
		return
	}
	a.channels[n.Channel] = max(n.Checkpoint, a.channels[n.Channel])
	m.stale = true
	if now.Sub(m.checkpointed) >= checkpointPause {
		m.settle(now)
	}
}

// settle has the folder get the latest checkpoints.
func (m *memory) settle(now time.Time) {
	if m.stale {
		m.stale, m.changed, m.checkpointed = false, true, now
	}
}

// subscriber is what a session has said of channels.
type subscriber struct {
	// told is what the courier knows, by topic; nil until it has the list.
	told    map[apns.ChannelID]apns.Topic
	toldAt  time.Time // when it was given the list, or a frame came before that
	retryAt time.Time // when it is to have the list again; zero if it need not
	// sequence counts what was said, and is its request id.
	sequence uint32
}

// again has the list be told at a time.
func (w *subscriber) again(at time.Time) { w.told, w.retryAt = nil, at }

// due reports whether the list is to be told again now.
func (w *subscriber) due(now time.Time) bool { return !w.retryAt.IsZero() && !now.Before(w.retryAt) }

// subscription is a channel and what is known of it.
type subscription struct {
	topic      apns.Topic
	channel    apns.ChannelID
	checkpoint uint64
}

// subscriptions returns all subscriptions, sorted.
func (m *memory) subscriptions() (all []subscription) {
	for _, a := range m.apps {
		for id, checkpoint := range a.channels {
			all = append(all, subscription{a.topic, id, checkpoint})
		}
	}
	slices.SortFunc(all, func(a, b subscription) int {
		return cmp.Or(cmp.Compare(a.topic, b.topic), cmp.Compare(a.channel, b.channel))
	})
	return all
}

// syncChannels tells the courier what it does not know of the subscriptions: all
// of it, or what changed.
func (s *session) syncChannels(o *outcome) {
	w := &s.subscriber
	want := s.memory.subscriptions()
	if !w.retryAt.IsZero() || w.told == nil && len(want) == 0 {
		return
	}
	m := wire.Subscriptions{BaseToken: s.memory.base, Full: w.told == nil}
	if m.Full {
		w.told, w.toldAt = map[apns.ChannelID]apns.Topic{}, s.heardAt
	}
	of := func(topic apns.Topic) *wire.AppSubscriptions {
		i := slices.IndexFunc(m.Apps, func(a wire.AppSubscriptions) bool { return a.App == topic })
		if i < 0 {
			i = len(m.Apps)
			m.Apps = append(m.Apps, wire.AppSubscriptions{App: topic})
		}
		return &m.Apps[i]
	}
	wanted := map[apns.ChannelID]apns.Topic{}
	for _, sub := range want {
		wanted[sub.channel] = sub.topic
		if w.told[sub.channel] != sub.topic {
			a := of(sub.topic)
			a.Subscribe = append(a.Subscribe, wire.ChannelSubscription{Channel: sub.channel, Checkpoint: sub.checkpoint})
		}
	}
	for id, topic := range w.told {
		if _, ok := wanted[id]; !ok {
			a := of(topic)
			a.Unsubscribe = append(a.Unsubscribe, id)
		}
	}
	for i := range m.Apps {
		slices.Sort(m.Apps[i].Unsubscribe)
	}
	if len(m.Apps) == 0 {
		return
	}
	w.told = wanted
	w.sequence++
	m.RequestID, m.Sequence = w.sequence, uint64(w.sequence)
	o.frames = m.Append(o.frames)
}

// subscribed takes the answer to what was said of channels.
func (s *session) subscribed(m wire.SubscriptionsResponse, now time.Time, o *outcome) {
	w := &s.subscriber
	if m.RequestID > w.sequence {
		return // of nothing that was said
	}
	if m.Status != wire.SubscriptionsOK {
		wait := subscribeRetry
		if m.RetryAfter != 0 {
			wait = min(max(m.RetryAfter, minSubscribeRetry), maxSubscribeRetry)
		}
		w.again(now.Add(wait))
		return
	}
	s.dropChannels(m.Apps, o)
}

// updated takes news of channels.
func (s *session) updated(m wire.ChannelUpdate, now time.Time, o *outcome) {
	s.dropChannels(m.Apps, o)
	if w := &s.subscriber; m.Resend && w.told != nil {
		w.again(w.toldAt.Add(minSubscribeRetry)) // it may ask, but not for ever
		if w.due(now) {
			w.retryAt = time.Time{}
			s.syncChannels(o)
		}
	}
}

// dropChannels forgets the subscriptions to channels that there are not, and has
// their apps told.
func (s *session) dropChannels(apps []wire.AppChannelResults, o *outcome) {
	for i := range apps {
		a := s.memory.apps[apps[i].App.Hash()]
		if a == nil {
			continue
		}
		for _, r := range apps[i].Channels {
			if _, ok := a.channels[r.Channel]; !ok || r.Status != wire.ChannelInvalid {
				continue
			}
			delete(a.channels, r.Channel)
			delete(s.subscriber.told, r.Channel)
			s.memory.changed = true
			o.effects = append(o.effects, channelLost{&ChannelError{a.topic, r.Channel}, a.delegate})
		}
	}
}

// channelLost tells an app that there is no such channel.
type channelLost struct {
	problem  *ChannelError
	delegate Delegate
}

func (e channelLost) happen(*Device) {
	if e.delegate.ChannelSubscriptionFailed != nil {
		e.delegate.ChannelSubscriptionFailed(e.problem)
	}
}
