package gateway

import (
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/h2"
	"github.com/heraldpush/herald/portal"
	"github.com/heraldpush/herald/spool"
)

// Limits of a connection's concurrent streams
// (docs/protocol/provider.md#settings).
const (
	streamsUnproven = 1    // before the first accepted provider token
	streams         = 1000 // with a certificate, or from then on
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

	queue   queue
	binding binding

	// The rest belongs to the goroutine that reads.

	// holder is who has the certificate, once it was admitted; nil before.
	holder *portal.Sender
	// proven reports that a provider token was accepted.
	proven bool
	said   words
}

func newSession(g *Gateway, env apns.Environment, state tls.ConnectionState, log *slog.Logger) *session {
	s := &session{
		gateway: g, env: env, queue: newQueue(),
		log: log.With(slog.String("environment", env.String())),
	}
	if len(state.PeerCertificates) > 0 {
		s.certificate = state.PeerCertificates[0]
	}
	return s
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
	h := readHeaders(r.Fields)
	id := h.notificationID()
	o, team, err := s.check(r, &h)
	if err != nil {
		s.refuse(r, id, err)
		return
	}
	o.Notification.ID = id
	o.Notification.Payload = r.TakeBody()
	s.binding.claim(team)
	s.queue.add(r, o)
}

// check makes the checks of a push in their order, but for those of the device
// token that need the registry, which come last. It returns the push, without
// ID, payload and address, and whose it is.
func (s *session) check(r *h2.Request, h *headers) (o spool.Offering, team apns.TeamID, err error) {
	hexToken, err := checkForm(r, h)
	if err != nil {
		return o, "", err
	}
	sender, err := s.admit(r, h)
	if err != nil {
		return o, "", err
	}
	topic, err := checkTopic(sender, h, &s.said)
	if err != nil {
		return o, "", err
	}
	if o.Notification, err = checkNotification(r, h, topic, &s.said); err != nil {
		return o, "", err
	}
	if o.DeviceToken, err = apns.ParseDeviceToken(hexToken); err != nil {
		return o, "", apns.Reject(apns.BadDeviceToken, err.Error())
	}
	return o, sender.Team, nil
}

// admit returns who sends: the holder of the certificate, or of the key that
// signed the provider token.
func (s *session) admit(r *h2.Request, h *headers) (*portal.Sender, error) {
	if s.certificate != nil {
		return s.admitCertificate()
	}
	token, err := bearer(h)
	if err != nil {
		return nil, err
	}
	sender, err := s.gateway.cfg.Portal.AdmitProviderToken(keep(&s.said.providerToken, token))
	if err != nil {
		return nil, err
	}
	if !s.binding.allows(sender.Team) {
		return nil, apns.Reject(apns.InvalidProviderToken, "the connection began with another team than "+string(sender.Team))
	}
	if !s.proven {
		s.proven = true
		r.Conn().SetMaxConcurrentStreams(streams)
	}
	return sender, nil
}

// admitCertificate returns the holder of the certificate, which is read once
// and expires like any other.
func (s *session) admitCertificate() (*portal.Sender, error) {
	if s.holder != nil && !time.Now().After(s.certificate.NotAfter) {
		return s.holder, nil
	}
	var err error
	s.holder, err = s.gateway.cfg.Portal.AdmitCertificate(s.certificate, s.env)
	return s.holder, err
}
