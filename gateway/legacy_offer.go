package gateway

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/registry"
	"github.com/heraldpush/herald/spool"
	"github.com/heraldpush/herald/wire"
)

// offer takes notifications to the stores, in their order, up to the first one
// that is refused. It returns how the connection ends then, or nil.
func (s *legacySession) offer(ctx context.Context, batch []wire.LegacyNotification) *legacyEnd {
	if len(batch) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	began := time.Now()
	s.offerings, s.taken = s.offerings[:0], s.taken[:0]
	defer func() { clear(s.offerings) }() // nothing of them is kept
	refused, why := s.resolve(ctx, batch)
	if len(s.offerings) > 0 {
		s.gateway.cfg.Spool.OfferAll(ctx, s.offerings)
	}
	for _, t := range s.taken {
		if t.offering >= 0 {
			o := &s.offerings[t.offering]
			if o.Err != nil {
				s.gateway.traceRefused(o.Notification.ID, o.Address, s.number, o.Err)
				return s.refuse(ctx, o.Err, t.identifier)
			}
			s.gateway.traceAccepted(o, s.number, began)
		}
		s.last = t.identifier
	}
	if why != nil {
		return s.refuse(ctx, why, refused)
	}
	return nil
}

// resolve makes the checks of each notification and finds its address, up to the
// first one that is refused, whose identifier it returns with the reason.
func (s *legacySession) resolve(ctx context.Context, batch []wire.LegacyNotification) (refused uint32, why error) {
	now := time.Now()
	var gone []registry.FeedbackEntry
	defer func() { s.gateway.noteGone(ctx, s.log, gone) }()
	for i := range batch {
		m := &batch[i]
		o, err := s.check(m, now)
		if err == nil {
			o.Address, err = s.gateway.cfg.Registry.Resolve(ctx, o.DeviceToken, s.topic, s.env)
		}
		if err != nil {
			s.gateway.traceRefused(o.Notification.ID, s.gateway.addressOf(&o, s.env), s.number, err)
		}
		if met, ok := metGone(err, s.topic, s.env, m.DeviceToken); ok {
			gone = append(gone, met)
			s.taken = append(s.taken, legacyTaken{m.Identifier, -1})
			continue
		}
		if err != nil {
			return m.Identifier, err
		}
		s.taken = append(s.taken, legacyTaken{m.Identifier, len(s.offerings)})
		s.offerings = append(s.offerings, o)
	}
	return 0, nil
}

// check makes the checks of a notification that need no store, after those of
// its form (docs/protocol/legacy.md#error).
func (s *legacySession) check(m *wire.LegacyNotification, now time.Time) (o spool.Offering, err error) {
	switch {
	case len(m.DeviceToken) != apns.CourierTokenBytes:
		return o, &wire.LegacyError{Status: wire.LegacyInvalidTokenSize, Identifier: m.Identifier}
	case !m.Payload.IsObject():
		return o, apns.Reject(apns.PayloadEmpty, "the payload is not a JSON object")
	case s.topicErr != nil:
		return o, s.topicErr
	}
	o.DeviceToken = m.DeviceToken
	o.Notification = apns.Notification{
		ID: apns.NotificationID(apns.NewUUID()), Topic: s.topic, PushType: apns.InferPushType(s.topic, m.Payload),
		Priority: m.Priority, Payload: m.Payload,
	}
	if m.HasExpiry {
		o.Notification.Expiration = legacyExpiration(m.Expiry, now)
	}
	o.Notification.Priority = priorityOf(o.Notification)
	return o, nil
}

// legacyExpiration returns what an expiry means at the time now
// (docs/protocol/legacy.md#expiry).
func legacyExpiration(expiry uint32, now time.Time) apns.Expiration {
	if expiry > math.MaxInt32 && now.Unix() <= math.MaxInt32 {
		return apns.DoNotStore
	}
	return apns.ExpiresAt(time.Unix(int64(expiry), 0))
}

// refuse says how a connection ends on which a notification is refused. A fault
// of this side is logged.
func (s *legacySession) refuse(ctx context.Context, why error, identifier uint32) *legacyEnd {
	say := legacyErrorOf(why, identifier)
	switch say.Status { //nolint:exhaustive // the others are the provider's
	case wire.LegacyProcessingError:
		s.log.ErrorContext(ctx, "gateway could not serve a legacy connection", slog.Any("error", why))
	case wire.LegacyShutdown:
		say.Identifier = s.last
	}
	return &legacyEnd{say: say, why: why}
}

// legacyErrorOf returns what a provider is told of a notification that is
// refused (docs/protocol/legacy.md#error).
func legacyErrorOf(why error, identifier uint32) *wire.LegacyError {
	if e, ok := errors.AsType[*wire.LegacyError](why); ok {
		return e
	}
	e := &wire.LegacyError{Status: wire.LegacyProcessingError, Identifier: identifier}
	if r, ok := errors.AsType[*apns.Rejection](why); ok {
		if status, ok := legacyStatuses[r.Reason]; ok {
			e.Status = status
		}
	}
	return e
}

// legacyStatuses are the reasons that a status says.
var legacyStatuses = map[apns.Reason]wire.LegacyStatus{
	apns.MissingTopic:           wire.LegacyMissingTopic,
	apns.PayloadEmpty:           wire.LegacyMissingPayload,
	apns.BadDeviceToken:         wire.LegacyInvalidToken,
	apns.DeviceTokenNotForTopic: wire.LegacyInvalidToken,
	apns.ExpiredToken:           wire.LegacyInvalidToken,
	apns.TooManyRequests:        wire.LegacyShutdown,
	apns.ServiceUnavailable:     wire.LegacyShutdown,
	apns.Shutdown:               wire.LegacyShutdown,
}
