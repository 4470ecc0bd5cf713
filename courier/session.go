package courier

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/spool"
	"github.com/heraldpush/herald/trace"
	"github.com/heraldpush/herald/wire"
)

// session is the conversation with a device that has identified itself. Its
// methods return the frames to be written; they do no I/O of their own. They are
// for one goroutine at a time, but for those that say otherwise.
type session struct {
	courier *Courier
	env     apns.Environment
	herald  bool // extension items were negotiated
	id      apns.DeviceID
	device  apns.DeviceOrdinal
	base    apns.BaseToken
	inbox   *spool.Inbox
	on      line // that it is on
	traced  traced

	tokens     int // device tokens asked for on this connection
	active     activity
	subscriber *subscriber // nil until the device speaks of channels

	partBy time.Time // when the device must have left; zero if it need not

	mu       sync.Mutex // others ask how idle a session is
	filterBy time.Time  // when the first Filter must have come; zero once it has; guarded by mu
	life     liveness   // guarded by mu
}

// maxTokens bounds the device tokens that a device can ask for on one
// connection: each topic takes a row in the registry.
const maxTokens = 4096

// end gives up what the session holds.
func (s *session) end() {
	s.courier.sessions.leave(s)
	s.courier.connected.Leave(s.id, s.on)
	s.inbox.Detach()
}

// accepted returns the answer to the Connect that began the session.
func (s *session) accepted(now time.Time) wire.ConnectAck {
	ack := connectAck(wire.StatusAccepted, now)
	ack.BaseToken = s.base
	if s.herald {
		ack.IdleLimit = idleUnknown
		ack.Window = uint16(min(s.courier.cfg.Spool.Window(), math.MaxUint16))
	}
	return ack
}

// receive handles a frame of the device and appends what is to be answered to
// out. After an error the connection is to be closed.
func (s *session) receive(ctx context.Context, f wire.Frame, out []byte) ([]byte, error) {
	now := time.Now()
	s.mu.Lock()
	s.life.seen(now)
	s.mu.Unlock()
	switch f.Command {
	case wire.CommandFilter:
		return s.filter(ctx, f, out)
	case wire.CommandAck:
		return out, s.ack(ctx, f)
	case wire.CommandAppToken:
		return s.appToken(ctx, f, out)
	case wire.CommandChannels:
		return s.subscriptions(ctx, f, out)
	case wire.CommandKeepAlive:
		return s.keepAlive(f, now, out)
	case wire.CommandSetActiveState:
		m, err := wire.ParseSetActiveState(f.Payload)
		if err == nil && s.active.set(m, now) {
			s.inbox.SetActive(s.active.until)
		}
		return out, err
	case wire.CommandSetActiveInterval:
		m, err := wire.ParseSetActiveInterval(f.Payload)
		if err == nil && s.active.setInterval(m.Interval) {
			s.inbox.SetActive(s.active.until)
		}
		return out, err
	case wire.CommandFlush:
		m, err := wire.ParseFlush(f.Payload)
		if err != nil {
			return out, err
		}
		return m.Response().Append(out), nil
	case wire.CommandNotification:
		return s.sendMessage(f, out)
	case wire.CommandTracingAck:
		return out, s.tracingAck(f)
	default:
		// Newer devices send what this version does not know, and older ones
		// what it has no use for.
		s.courier.counts.ignored.Add(1)
		s.courier.cfg.Logger.DebugContext(ctx, "courier ignores a frame", slog.String("command", f.Command.String()), slog.String("device", string(s.id)))
		return out, nil
	}
}

func (s *session) filter(ctx context.Context, f wire.Frame, out []byte) ([]byte, error) {
	m, err := wire.ParseFilter(f.Payload)
	if err != nil {
		return out, err
	}
	if m.BaseToken != s.base {
		return out, nil // of a device that is not connected here
	}
	if err := s.removed(ctx, m.Removed); err != nil {
		return out, err
	}
	stored, err := s.inbox.SetFilter(ctx, spool.Filter{
		Enabled: m.Enabled, Opportunistic: m.Opportunistic, NonWaking: m.NonWaking, Paused: m.Paused, Ignored: m.Ignored,
	})
	switch {
	case errors.Is(err, spool.ErrDetached), errors.Is(err, spool.ErrFilterTooLong):
		return out, fmt.Errorf("filter: %w", err)
	case err != nil: // the filter holds nevertheless
		s.fault(ctx, "filter", err)
	}
	s.mu.Lock()
	first := !s.filterBy.IsZero()
	s.filterBy = time.Time{}
	s.mu.Unlock()
	if first && stored == 0 {
		out = wire.NoStorage{BaseToken: s.base}.Append(out)
	}
	return out, nil
}

// ack takes the device's word for a notification
// (docs/protocol/courier.md#ack).
func (s *session) ack(ctx context.Context, f wire.Frame) error {
	m, err := wire.ParseAck(f.Payload)
	if err != nil || !m.HasMessageID {
		return err
	}
	first := m.MessageID
	several := s.herald && m.First != 0 && m.Status == wire.AckOK
	if several {
		first = m.First
	}
	s.mu.Lock()
	s.life.acked(first, m.MessageID)
	s.mu.Unlock()
	if several {
		return s.ackRange(ctx, first, m.MessageID)
	}
	disposition := spool.Delivered
	switch m.Status {
	case wire.AckNotOurs, wire.AckUnreadable, wire.AckIgnored, wire.AckUnknownTopic:
		disposition = spool.Dropped
	case wire.AckUnavailable:
		disposition = spool.Keep
	case wire.AckOK:
	}
	at := time.Now()
	d, err := s.inbox.Ack(ctx, m.MessageID, disposition)
	switch {
	case errors.Is(err, spool.ErrUnknownMessage):
		return nil // acknowledged twice
	case errors.Is(err, spool.ErrDetached):
		return fmt.Errorf("ack: %w", err)
	case err != nil: // it may come again, that is all
		s.fault(ctx, "ack", err)
	}
	s.traceAcked(&d, m.Status, at)
	if s.gone(m.Status, d) {
		s.remove(ctx, d)
	}
	return nil
}

// gone reports whether the device says that it does not have the app.
// UnknownTopic does only if it cannot mean a repetition, and no newer filter
// has the topic.
func (s *session) gone(status wire.AckStatus, d spool.Delivery) bool {
	if d.Channel != "" {
		return false // it was sent to no app
	}
	if status != wire.AckUnknownTopic {
		return status == wire.AckNotOurs
	}
	// An inbox that has ended lists nothing any more.
	return !d.Stored && !s.inbox.Lists(d.Address.Topic) && !s.inbox.Detached()
}

// remove unregisters the app that a notification was for, unless it has had
// another device token since: that one is good.
func (s *session) remove(ctx context.Context, d spool.Delivery) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	reg := s.courier.cfg.Registry
	_, err := reg.Resolve(ctx, d.DeviceToken, d.Notification.Topic, s.env)
	if _, ok := errors.AsType[*apns.Rejection](err); ok {
		return
	}
	if err == nil {
		err = reg.Remove(ctx, d.Address, time.Now())
	}
	if err != nil {
		s.fault(ctx, "unregister", err)
	}
}

// fault logs what went wrong on the service's side. The device goes on: to
// close its connection would mend nothing.
func (s *session) fault(ctx context.Context, doing string, err error) {
	if errors.Is(ctx.Err(), context.Canceled) {
		return // the courier stops
	}
	s.courier.cfg.Logger.ErrorContext(ctx, "courier met a fault", slog.String("while", doing), slog.Any("error", err), slog.String("device", string(s.id)))
}

func (s *session) appToken(ctx context.Context, f wire.Frame, out []byte) ([]byte, error) {
	m, err := wire.ParseAppToken(f.Payload)
	if err != nil {
		return out, err
	}
	answer := wire.AppTokenResponse{TopicHash: m.TopicHash, AppID: m.AppID}
	const webPush = 2
	switch {
	case m.TopicHash == apns.TopicHash{}, m.Type == webPush:
		answer.Status = wire.AppTokenInvalid
	case m.BaseToken != s.base:
		answer.Status = wire.AppTokenUnknownDevice
	case s.tokens >= maxTokens:
		answer.Status = wire.AppTokenTooMany
	default:
		s.tokens++
		ctx, cancel := context.WithTimeout(ctx, storeTimeout)
		defer cancel()
		at := apns.Address{Device: s.device, Environment: s.env, Topic: m.TopicHash}
		if answer.DeviceToken, err = s.courier.cfg.Registry.DeviceToken(ctx, at); err != nil {
			answer.Status = wire.AppTokenTryLater
			s.fault(ctx, "app token", err)
		}
	}
	return answer.Append(out), nil
}

// sendMessage refuses a message from the device: there is nobody to give it
// to. Devices match the answers by order, so each message gets one.
func (s *session) sendMessage(f wire.Frame, out []byte) ([]byte, error) {
	m, err := wire.ParseSendMessage(f.Payload)
	if err != nil {
		return out, err
	}
	return wire.SendMessageAck{
		Status: wire.SendInvalid, Timestamp: uint64(time.Now().UnixNano()),
		MessageID: m.MessageID, HasMessageID: m.HasMessageID, Destination: []byte(m.DeviceToken),
	}.Append(out), nil
}

// notification returns the frame for a delivery, which is written now: after
// that, due may name an earlier time than before.
func (s *session) notification(d spool.Delivery) wire.Notification {
	s.traceHanded(&d)
	s.mu.Lock()
	s.life.wrote(d.MessageID, time.Now())
	s.mu.Unlock()
	n := wire.Notification{
		DeviceToken: d.DeviceToken,
		TopicHash:   d.Address.Topic,
		Payload:     d.Notification.Payload,
		MessageID:   d.MessageID,
		Expiry:      expiry(d.Notification.Expiration),
		Timestamp:   uint64(d.Timestamp),
		Priority:    d.Notification.Priority.OrDefault(),
		BaseToken:   s.base,
	}
	if d.Channel != "" {
		n.DeviceToken = apns.DeviceToken(s.base) // there is none that it was sent to
		n.Channel, n.Checkpoint = d.Channel, uint64(d.Timestamp)
	}
	if d.Stored {
		n.Storage |= wire.Stored
	}
	if d.Last {
		n.Storage |= wire.LastStored
	}
	if s.herald {
		n.ID, n.PushType = d.Notification.ID, d.Notification.PushType
		n.Topic, n.CollapseID = d.Notification.Topic, d.Notification.CollapseID
		if s.courier.cfg.Trace != nil { // it is told what becomes of it
			n.TracingID, n.Flags = trace.ParseID(d.Notification.ID), wire.Traced
		}
	}
	return n
}

// expiry returns an expiration as the courier protocol writes it.
func expiry(e apns.Expiration) uint32 {
	sec, set := e.Seconds()
	if !set || sec >= math.MaxUint32 {
		return wire.NoExpiry
	}
	return uint32(sec)
}

// keepAlive answers a KeepAlive: at once; or with a receipt, and with the
// response when the time has come that the device names
// (docs/protocol/courier.md#keepalive).
func (s *session) keepAlive(f wire.Frame, now time.Time, out []byte) ([]byte, error) {
	m, err := wire.ParseKeepAlive(f.Payload)
	if err != nil {
		return out, err
	}
	s.mu.Lock()
	err = s.life.keepAlive(m.Interval, m.ResponseDelay, now)
	s.mu.Unlock()
	switch {
	case err != nil:
		return out, err
	case m.ResponseDelay != 0:
		return wire.KeepAliveAck{}.Append(out), nil
	}
	return wire.KeepAliveResponse{}.Append(out), nil
}

// due returns when tick is to be called. It is to be asked again after each
// frame that was handled, and after each notification that was written.
func (s *session) due() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.life.due()
	if !s.filterBy.IsZero() {
		at = earlier(at, s.filterBy)
	}
	if !s.partBy.IsZero() {
		at = earlier(at, s.partBy)
	}
	return at
}

// tick is called when the time that due named has come, or early, and appends
// what is to be written to out. After an error the connection is to be closed.
func (s *session) tick(now time.Time, out []byte) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !s.partBy.IsZero() && !now.Before(s.partBy):
		return out, errDraining
	case !s.filterBy.IsZero() && !now.Before(s.filterBy):
		return out, errNoFilter
	}
	return s.life.tick(now, out)
}
