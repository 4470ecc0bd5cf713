package device

import (
	"errors"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/wire"
)

// hash is short for what topics are found by.
type hash = apns.TopicHash

// answerWithin is how long a courier may take to answer a KeepAlive
// (docs/protocol/courier.md#keepalive).
const answerWithin = 20 * time.Second

// announceAbove is the interval from which a device says it at once: a courier
// that does not know it closes a connection that is silent for 35 minutes.
const announceAbove = 15 * time.Minute

// errSilent says that a courier gave no sign of life when asked for one.
var errSilent = errors.New("the courier is silent")

// session is a connection on which the device was accepted. Its methods take
// what happened and the time, and return what follows. They do no I/O and
// never wait; the caller holds the lock of memory.
type session struct {
	memory    *memory
	keepAlive time.Duration // silence after which it asks for a sign of life
	adaptive  *adaptive     // nil if that does not change

	subscriber subscriber

	filtered bool // a Filter was sent, with these lists
	filter   filter
	asked    map[hash]*request // device tokens that were asked for
	stale    map[hash]int      // answers to come that are out of date
	herald   bool              // the courier is Herald's: it takes extensions
	told     map[hash]removal  // what of memory.removed was sent
	asks     uint64            // KeepAlives that were sent
	answers  uint64            // and those that were answered
	heardAt  time.Time         // when the last frame came
	askedAt  time.Time         // when it asked for a sign of life; zero if it did not since heardAt

	// uncommitted is what was received and is not in the journal yet, or never
	// will be.
	uncommitted map[historyEntry]bool
}

// request is an AppToken that was sent.
type request struct {
	call    uint64 // app.call when it was sent
	waiting bool   // there is no answer yet
	// early holds what came for the app before the answer did: only the
	// answer tells whether it is ours.
	early []wire.Notification
}

// removal is a topic of memory.removed that was sent.
type removal struct {
	call uint64 // the value there
	ask  uint64 // the KeepAlive whose answer says that the courier has it
}

// maxEarly bounds what is held for an app whose device token is outstanding.
const maxEarly = 16

// outcome is what a step leads to, in this order: the memory is written to
// the folder if it changed, and what was received to the journal; effects
// happen, frames are sent. So an app never has a device token that the device
// could forget, and nothing is acknowledged that an app does not get.
type outcome struct {
	effects []effect
	frames  []byte
}

// effect is something to tell the apps: registered, refused or *received.
type effect interface {
	// happen calls whom it concerns. The caller holds no lock.
	happen(d *Device)
}

// registered brings an app its device token.
type registered struct {
	topic    apns.Topic
	token    apns.DeviceToken
	delegate Delegate
}

func (e registered) happen(*Device) {
	if e.delegate.DidRegister != nil {
		e.delegate.DidRegister(e.token)
	}
}

// refused tells an app that there is no device token for it.
type refused struct {
	problem  *RegistrationError
	delegate Delegate
}

func (e refused) happen(*Device) {
	if e.delegate.DidFailToRegister != nil {
		e.delegate.DidFailToRegister(e.problem)
	}
}

// begin says what a device says first: that it wants all there is, and for
// which topics (docs/protocol/courier.md#life-cycle).
func (s *session) begin() outcome {
	o := outcome{frames: wire.SetActiveState{State: wire.Active, For: wire.ActiveForever}.Append(nil)}
	if s.keepAlive > announceAbove {
		o.frames = s.appendKeepAlive(o.frames)
	}
	s.sync(&o)
	return o
}

// committed tells that what a step received is in the journal.
func (s *session) committed(all []*received) {
	for _, r := range all {
		delete(s.uncommitted, r.entry)
		s.memory.resume.add(r.source)
		s.memory.reached(r.source, r.notification.ReceivedAt)
	}
}

// wake is a step after registrations changed.
func (s *session) wake() outcome {
	var o outcome
	s.sync(&o)
	for _, m := range s.memory.receipts {
		o.frames = m.Append(o.frames)
	}
	s.memory.receipts = nil
	return o
}

// sync brings courier and apps up to date with the registrations: the filter,
// the device tokens that are missing, those that an app was not told of, and the
// channels.
func (s *session) sync(o *outcome) {
	want, removed := s.memory.filter(), s.untold()
	if !s.filtered || len(removed) > 0 || !want.equal(s.filter) {
		s.filtered, s.filter = true, want
		o.frames = wire.Filter{
			BaseToken: s.memory.base, Enabled: want.enabled, Ignored: want.ignored, Removed: removed,
		}.Append(o.frames)
	}
	s.tellRemoved(removed, o)
	for h, q := range s.asked {
		if s.memory.apps[h] == nil {
			s.forget(h, q, wire.AckUnknownTopic, o)
		}
	}
	for _, h := range s.memory.topics() {
		a := s.memory.apps[h]
		if a.token != "" {
			if !a.told {
				a.told = true
				o.effects = append(o.effects, registered{a.topic, a.token, a.delegate})
			}
			continue
		}
		r := s.asked[h]
		if r != nil && (r.waiting || r.call == a.call) {
			continue
		}
		s.asked[h] = &request{call: a.call, waiting: true}
		o.frames = wire.AppToken{TopicHash: h, BaseToken: s.memory.base}.Append(o.frames)
	}
	s.syncChannels(o)
}

// deadline is when tick is due.
func (s *session) deadline() time.Time {
	if at := s.subscriber.retryAt; !at.IsZero() && at.Before(s.silentAt()) {
		return at
	}
	return s.silentAt()
}

// silentAt is when the courier has been silent for too long: to be asked for a
// sign of life, or to be given up.
func (s *session) silentAt() time.Time {
	if !s.askedAt.IsZero() {
		return s.askedAt.Add(answerWithin)
	}
	if s.adaptive != nil {
		return s.heardAt.Add(s.keepAlive - s.adaptive.early)
	}
	return s.heardAt.Add(s.keepAlive)
}

// tick is a step that time alone makes. It may come early. The error says
// that the courier is to be given up.
func (s *session) tick(now time.Time) (outcome, error) {
	var o outcome
	if s.subscriber.due(now) {
		s.subscriber.retryAt = time.Time{}
		s.syncChannels(&o)
	}
	switch {
	case now.Before(s.silentAt()):
		return o, nil
	case !s.askedAt.IsZero():
		return outcome{}, errSilent
	}
	if s.adaptive != nil {
		// A machine that slept says nothing about the network.
		s.adaptive.measuring = now.Sub(s.silentAt()) < time.Minute
	}
	o.frames = append(o.frames, s.ask(now)...)
	return o, nil
}

// ask asks for a sign of life.
func (s *session) ask(now time.Time) []byte {
	s.askedAt = now
	return s.appendKeepAlive(nil)
}

// appendKeepAlive appends a KeepAlive, and counts it.
func (s *session) appendKeepAlive(b []byte) []byte {
	s.memory.resume.ask()
	s.asks++
	return wire.KeepAlive{Interval: s.keepAlive}.Append(b)
}

// held tells the session that it was kept from reading until now, so that the
// silence was its own.
func (s *session) held(now time.Time) {
	s.heardAt, s.askedAt = now, time.Time{}
	if s.subscriber.due(now) {
		s.subscriber.retryAt = now.Add(minSubscribeRetry)
	}
	if s.adaptive != nil {
		s.adaptive.measuring = false
	}
}

// goodbye is the last thing to say (docs/protocol/courier.md#connect).
func (s *session) goodbye() []byte {
	return wire.Connect{BaseToken: s.memory.base, State: wire.StateOffline}.Append(nil)
}

// step takes a frame of the courier. The error wraps wire.ErrMalformed or is a
// *redirect or a *farewell; the connection is over with any. The payload of the frame may
// stay in use.
func (s *session) step(f wire.Frame, now time.Time) (outcome, error) {
	s.heardAt, s.askedAt = now, time.Time{}
	s.borne(now)
	var o outcome
	var err error
	switch f.Command {
	case wire.CommandNotification:
		var n wire.Notification
		if n, err = wire.ParseNotification(f.Payload); err == nil {
			s.receive(n, now, &o)
		}
	case wire.CommandAppTokenResponse:
		var r wire.AppTokenResponse
		if r, err = wire.ParseAppTokenResponse(f.Payload); err == nil {
			s.answered(r, now, &o)
		}
	case wire.CommandChannels:
		if s.subscriber.sequence == 0 {
			break // it was asked nothing
		}
		var m wire.SubscriptionsResponse
		if m, err = wire.ParseSubscriptionsResponse(f.Payload); err == nil {
			s.subscribed(m, now, &o)
		}
	case wire.CommandChannelUpdate:
		var m wire.ChannelUpdate
		if m, err = wire.ParseChannelUpdate(f.Payload); err == nil {
			s.updated(m, now, &o)
		}
	case wire.CommandFlush:
		var m wire.Flush
		if m, err = wire.ParseFlush(f.Payload); err == nil {
			o.frames = m.Response().Append(nil)
		}
	case wire.CommandCancelKeepAlive:
		if _, err = wire.ParseCancelKeepAlive(f.Payload); err == nil {
			o.frames = s.ask(now)
		}
	case wire.CommandRedirect:
		var m wire.Redirect
		if m, err = wire.ParseRedirect(f.Payload); err == nil {
			err = parted(m)
		}
	case wire.CommandKeepAliveResponse:
		if _, err = wire.ParseKeepAliveResponse(f.Payload); err == nil {
			if s.answers++; s.answers >= s.asks {
				s.memory.resume.answered()
			}
			s.confirm()
		}
	case wire.CommandConnectAck:
		err = unexpected(f.Command)
	default: // signs of life, and what belongs to abilities that this device does not announce
		if !comesFromCourier(f.Command) {
			err = unexpected(f.Command)
		}
	}
	if err != nil {
		return outcome{}, err
	}
	return o, nil
}

// answered takes the answer to an AppToken. One that was not asked for, or
// whose app is gone, is passed over.
func (s *session) answered(r wire.AppTokenResponse, now time.Time, o *outcome) {
	if s.stale[r.TopicHash] > 0 {
		s.stale[r.TopicHash]--
		return
	}
	a, q := s.memory.apps[r.TopicHash], s.asked[r.TopicHash]
	if a == nil || q == nil || !q.waiting {
		return
	}
	early := q.early
	q.waiting, q.early = false, nil
	if r.Status != wire.AppTokenOK || r.DeviceToken == "" {
		o.effects = append(o.effects, refused{&RegistrationError{Topic: a.topic, Status: r.Status}, a.delegate})
		for _, n := range early {
			o.ack(n, wire.AckUnavailable)
		}
	} else {
		a.token, a.told, s.memory.changed = r.DeviceToken, false, true
	}
	s.sync(o)
	if a.token == "" {
		return
	}
	for _, n := range early {
		s.receive(n, now, o)
	}
}

// ack answers a notification.
func (o *outcome) ack(n wire.Notification, status wire.AckStatus) {
	o.frames = wire.Ack{Status: status, MessageID: n.MessageID, HasMessageID: true}.Append(o.frames)
}
