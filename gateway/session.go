package gateway

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"time"

	"golang.org/x/net/http2"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/h2"
	"github.com/heraldpush/herald/portal"
	"github.com/heraldpush/herald/spool"
	"github.com/heraldpush/herald/wire"
)

// session is what the gateway knows of one provider's connection. It is the
// handler of its requests.
type session struct {
	gateway *Gateway
	env     apns.Environment
	log     *slog.Logger

	// certificate is what the provider showed in TLS, nil for one that proves
	// itself by provider tokens.
	certificate *x509.Certificate

	queue     queue
	errands   errands
	binding   binding
	conduct   conduct
	departure *departure
	flight    *flight // nil without Config.Faults

	// The rest belongs to the goroutine that reads.

	// holder is who has the certificate, once it was admitted; nil before.
	holder *portal.Sender
	// revoked is closed if anything was revoked since then.
	revoked <-chan struct{}
	// proven reports that a provider token was accepted.
	proven  bool
	updates updates
	said    words
}

func newSession(g *Gateway, env apns.Environment, state tls.ConnectionState, log *slog.Logger) *session {
	s := &session{
		gateway: g, env: env, queue: newQueue(),
		log: log.With(slog.String("environment", env.String())),
	}
	if len(state.PeerCertificates) > 0 {
		s.certificate = state.PeerCertificates[0]
	}
	s.conduct = conduct{limits: &g.cfg.Limits, streams: s.initialStreams(), leave: s.dismiss}
	return s
}

// enter has the connection ended when its certificate is revoked. The function
// it returns takes that back.
func (s *session) enter(all *presented) (leave func()) {
	if s.certificate == nil {
		return func() {}
	}
	serial := portal.Serial(s.certificate)
	all.Enter(serial, s)
	// One that was revoked since the handshake may have been looked for before
	// it was there.
	if s.gateway.cfg.Portal.CheckCertificate(s.certificate) != nil {
		s.departure.begin(apns.BadCertificate)
	}
	return func() { all.Leave(serial, s) }
}

// initialStreams returns the stream limit that the connection begins with.
func (s *session) initialStreams() uint32 {
	if s.certificate != nil {
		return streams
	}
	return streamsUnproven
}

// ServeRequest decides about a push as far as that needs no store, and refuses
// it or puts it in the queue.
func (s *session) ServeRequest(r *h2.Request) {
	if wire.IsBroadcastPath(r.Path) {
		s.serveBroadcast(r)
		return
	}
	h := readHeaders(r.Fields)
	id := h.notificationID()
	o, sender, err := s.check(r, &h)
	if err != nil {
		s.refuse(context.Background(), r, id, err)
		return
	}
	o.Notification.ID = id
	o.Notification.Payload = r.TakeBody()
	s.binding.claim(sender)
	if s.flight != nil {
		if f := s.meet(sender, &o); !f.IsNone() {
			s.divert(r, o, f)
			return
		}
	}
	s.queue.add(r, o)
}

// check makes the checks of a push in their order, but for those of the device
// token that need the registry, which come last. It returns the push, without
// ID, payload and address, and who sends it.
func (s *session) check(r *h2.Request, h *headers) (o spool.Offering, sender *portal.Sender, err error) {
	hexToken, err := checkForm(r, h)
	if err != nil {
		return o, nil, err
	}
	if sender, err = s.admit(h); err != nil {
		return o, nil, err
	}
	topic, err := checkTopic(sender, h, &s.said)
	if err != nil {
		return o, nil, err
	}
	if o.Notification, err = checkNotification(r, h, topic, &s.said); err != nil {
		return o, nil, err
	}
	if o.DeviceToken, err = apns.ParseDeviceToken(hexToken); err != nil {
		return o, nil, apns.Reject(apns.BadDeviceToken, err.Error())
	}
	return o, sender, nil
}

// admit returns who sends: the holder of the certificate, or of the key that
// signed the provider token.
func (s *session) admit(h *headers) (*portal.Sender, error) {
	if s.certificate != nil {
		return s.admitCertificate()
	}
	token, err := bearer(h)
	if err != nil {
		return nil, err
	}
	sender, err := s.gateway.cfg.Portal.AdmitProviderToken(keep(&s.said.providerToken, token), s.env)
	if err != nil {
		return nil, err
	}
	if err := s.binding.allows(sender); err != nil {
		return nil, err
	}
	if err := s.renew(sender); err != nil {
		return nil, err
	}
	if !s.proven {
		s.proven = true
		s.conduct.prove()
	}
	return sender, nil
}

// renew takes note of the provider token. The error is
// TooManyProviderTokenUpdates.
func (s *session) renew(sender *portal.Sender) error {
	limits := &s.gateway.cfg.Limits
	if this := signingOf(sender); limits.ProviderTokenInterval > 0 && !s.updates.has(this) {
		return s.updates.take(this, time.Now(), limits)
	}
	return nil
}

// misplaced reports whether the provider's certificate is for the other
// environment, which it is told before anything else. Whatever else is wrong with
// it is said to its pushes.
func (s *session) misplaced() bool {
	if s.certificate == nil {
		return false
	}
	_, err := s.admitCertificate()
	return errors.Is(err, apns.Reject(apns.BadCertificateEnvironment, ""))
}

// dismiss ends the connection because its pushes were refused too often. No reason
// goes with it: it would be one for the pushes in progress.
func (s *session) dismiss() {
	s.log.Info("gateway ends a connection of which too many pushes were refused")
	s.departure.beginWith(http2.ErrCodeEnhanceYourCalm, []byte("too many of your requests were refused"))
}

// admitCertificate returns the holder of the certificate, which is read once:
// it is read again only when it may have been revoked, or has expired.
func (s *session) admitCertificate() (*portal.Sender, error) {
	select {
	case <-s.revoked:
		s.holder = nil
	default:
	}
	if s.holder != nil && !time.Now().After(s.certificate.NotAfter) {
		return s.holder, nil
	}
	var err error
	s.revoked = s.gateway.cfg.Portal.Revoked() // before the question, so that none is missed
	s.holder, err = s.gateway.cfg.Portal.AdmitCertificate(s.certificate, s.env)
	return s.holder, err
}
