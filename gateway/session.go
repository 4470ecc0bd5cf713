package gateway

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"time"

	"golang.org/x/net/http2"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/portal"
)

// session is what the gateway knows of one provider's connection. It is the
// handler of its requests.
type session struct {
	gateway *Gateway
	number  uint64 // of the connection
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
	// proven reports that a provider token was accepted.
	proven  bool
	updates updates
	topics  topics
	room    room // of the push that is being served
	uuids   uuids
}

func newSession(g *Gateway, env apns.Environment, state tls.ConnectionState, log *slog.Logger) *session {
	s := &session{
		gateway: g, number: g.connections.Add(1), env: env, queue: newQueue(),
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

// misplaced reports whether the provider's certificate is for the other
// environment, which it is told before anything else. Whatever else is wrong with
// it is said to its pushes.
func (s *session) misplaced() bool {
	if s.certificate == nil {
		return false
	}
	_, err := s.admitCertificate(time.Now())
	return errors.Is(err, apns.Reject(apns.BadCertificateEnvironment, ""))
}

// dismiss ends the connection because its pushes were refused too often. No reason
// goes with it: it would be one for the pushes in progress.
func (s *session) dismiss() {
	s.log.Info("gateway ends a connection of which too many pushes were refused")
	s.departure.beginWith(http2.ErrCodeEnhanceYourCalm, []byte("too many of your requests were refused"))
}
