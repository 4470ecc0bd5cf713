package gateway

import (
	"context"
	"errors"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/h2"
	"github.com/heraldpush/herald/portal"
	"github.com/heraldpush/herald/registry"
	"github.com/heraldpush/herald/spool"
	"github.com/heraldpush/herald/wire"
)

// ServeRequest decides about a push on the spot, where that needs no store that
// has to be waited for, and otherwise puts it in the queue. While anything is in
// the queue all goes there, so that pushes are accepted in their order.
//
// Until its request is answered, a push refers to the text and the body of that:
// what is kept of it is copied where it is kept. So no push allocates anything on
// its way to the spool, but for the first ones of a sender or a topic.
func (s *session) ServeRequest(r *h2.Request) {
	if wire.IsBroadcastPath(r.Path) {
		s.serveBroadcast(r)
		return
	}
	now := time.Now()
	s.room.reset()
	h := readHeaders(r.Fields)
	id := s.pushID(&h)
	o, sender, err := s.check(r, &h, now)
	o.Notification.ID = id
	if err != nil {
		s.refuse(context.Background(), r, &o, err)
		return
	}
	o.Notification.Payload = r.Body
	if s.flight != nil {
		s.serveFaulty(r, &o, sender)
		return
	}
	if o.Address.Device == 0 || s.binding.undecided() || !s.gateway.cfg.Spool.OfferNow(&o) {
		s.binding.claim(sender)
		s.queue.add(r, &o)
		return
	}
	if o.Err != nil {
		s.refuse(context.Background(), r, &o, o.Err)
		return
	}
	s.binding.bind(sender)
	s.conduct.accept(1, now)
	s.accept(context.Background(), r, &o, now, &s.uuids)
}

// check makes the checks of a push in their order. It returns the push, without
// ID and payload, and who sends it. It has no address if the registry has to look
// for that in its store: what follows from it is then still to be checked.
func (s *session) check(r *h2.Request, h *headers, now time.Time) (o spool.Offering, sender *portal.Sender, err error) {
	hexToken, err := checkForm(r, h)
	if err != nil {
		return o, nil, err
	}
	if sender, err = s.admit(r, h, now); err != nil {
		return o, nil, err
	}
	topic, err := s.checkTopic(sender, h)
	if err != nil {
		return o, nil, err
	}
	if o.Notification, err = checkNotification(r, h, topic.Name); err != nil {
		return o, nil, err
	}
	if o.DeviceToken, err = s.room.deviceToken(hexToken); err != nil {
		return o, nil, apns.Reject(apns.BadDeviceToken, err.Error())
	}
	if s.flight != nil {
		return o, sender, nil // a fault comes before what follows from the device token
	}
	o.Address, err = s.gateway.cfg.Registry.ResolveNow(o.DeviceToken, topic, s.env)
	switch {
	case errors.Is(err, registry.ErrMustAsk):
		return o, sender, nil
	case err != nil:
		return o, nil, err
	}
	return o, sender, s.gateway.throttle.take(o.Address, now)
}

// admit returns who sends: the holder of the certificate, or of the key that
// signed the provider token.
func (s *session) admit(r *h2.Request, h *headers, now time.Time) (*portal.Sender, error) {
	if s.certificate != nil {
		return s.admitCertificate(now)
	}
	sender, err := s.admitProviderToken(r, h, now)
	if err != nil {
		return nil, err
	}
	if err := s.binding.allows(sender); err != nil {
		return nil, err
	}
	if err := s.renew(sender, now); err != nil {
		return nil, err
	}
	if !s.proven {
		s.proven = true
		s.conduct.prove()
	}
	return sender, nil
}

// admitProviderToken returns who signed the provider token, as it is remembered
// with the value of the header, if nothing has changed since.
func (s *session) admitProviderToken(r *h2.Request, h *headers, now time.Time) (*portal.Sender, error) {
	memo := h.memo(r, authorization)
	if memo != nil {
		if sender, ok := memo.Kept.(*portal.Sender); ok && sender.Current(now) {
			return sender, nil
		}
	}
	token, err := bearer(h)
	if err != nil {
		return nil, err
	}
	sender, err := s.gateway.cfg.Portal.AdmitProviderToken(token, s.env)
	if err != nil {
		return nil, err
	}
	if memo != nil {
		memo.Kept = sender
	}
	return sender, nil
}

// admitCertificate returns the holder of the certificate, which is read once:
// it is read again only when it may have been revoked, or has expired.
func (s *session) admitCertificate(now time.Time) (_ *portal.Sender, err error) {
	if s.holder == nil || !s.holder.Current(now) {
		s.holder, err = s.gateway.cfg.Portal.AdmitCertificate(s.certificate, s.env)
	}
	return s.holder, err
}

// renew takes note of the provider token. The error is
// TooManyProviderTokenUpdates.
func (s *session) renew(sender *portal.Sender, now time.Time) error {
	limits := &s.gateway.cfg.Limits
	if this := signingOf(sender); limits.ProviderTokenInterval > 0 && !s.updates.has(this) {
		return s.updates.take(this, now, limits)
	}
	return nil
}
