package gateway

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"time"

	"golang.org/x/net/http2"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/internal/door"
)

// Limits in time of the legacy interface and the feedback service
// (docs/protocol/legacy.md#transport).
const (
	legacyIdle    = time.Hour       // without a byte
	legacyMessage = time.Minute     // for one notification, from its first byte
	legacyWrite   = 5 * time.Second // for the error
	legacyLinger  = 5 * time.Second // for the provider to read it and to close
)

// ServeLegacy serves providers that speak the legacy interface in an
// environment (docs/protocol/legacy.md), until ctx ends or the listener fails.
// It closes the listener, lets connections end in good order, and returns when
// all have ended: nil if ctx ended.
//
// A provider that asks for the other environment by Apple's host name gets
// that one.
func (g *Gateway) ServeLegacy(ctx context.Context, l net.Listener, env apns.Environment) error {
	return g.serveCertified(ctx, l, env, "legacy gateway", g.serveLegacy)
}

// certified is a connection whose provider has shown a certificate.
type certified struct {
	conn  halfCloser // TLS
	raw   net.Conn   // beneath it
	env   apns.Environment
	state tls.ConnectionState
	log   *slog.Logger
}

// halfCloser is a TLS connection, of which a part may have been read already.
type halfCloser interface {
	net.Conn
	CloseWrite() error
}

// serveCertified serves providers that must show a certificate.
func (g *Gateway) serveCertified(
	ctx context.Context, l net.Listener, env apns.Environment, name string, serve func(context.Context, certified),
) error {
	cfg := g.newLegacyTLS(env)
	err := door.Serve(ctx, l, g.cfg.Logger, func(ctx context.Context, raw net.Conn) {
		log := g.cfg.Logger.With(slog.String("remote", raw.RemoteAddr().String()))
		conn := tls.Server(raw, cfg)
		shaking, cancel := context.WithTimeout(ctx, handshakeTimeout)
		err := conn.HandshakeContext(shaking)
		cancel()
		if err != nil {
			log.DebugContext(ctx, "legacy connection failed", slog.Any("error", err))
			_ = raw.Close()
			return
		}
		state := conn.ConnectionState()
		serve(ctx, certified{conn, raw, environmentFor(state, env), state, log})
	})
	if err != nil {
		return fmt.Errorf("%v %s: %w", env, name, err)
	}
	return nil
}

// environmentFor returns the environment that a provider gets on a listener.
func environmentFor(state tls.ConnectionState, env apns.Environment) apns.Environment {
	if named, ok := environmentOf(state.ServerName); ok {
		return named
	}
	return env
}

// newLegacyTLS returns how to shake hands with those that must show a
// certificate (docs/protocol/legacy.md#transport).
func (g *Gateway) newLegacyTLS(env apns.Environment) *tls.Config {
	c := &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: g.cfg.ServerCertificate,
		ClientAuth:     tls.RequireAndVerifyClientCert,
		ClientCAs:      g.cfg.Portal.ProviderRoots(),
		// A ticket that a provider never reads makes its system reset the
		// connection when it closes, and lose what was not sent yet.
		SessionTicketsDisabled: true,
		VerifyConnection: func(state tls.ConnectionState) error {
			_, err := g.cfg.Portal.AdmitCertificate(state.PeerCertificates[0], environmentFor(state, env))
			return err
		},
	}
	refusing := c.Clone()
	refusing.NextProtos = []string{"none of those offered"}
	c.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if slices.Contains(hello.SupportedProtos, http2.NextProtoTLS) {
			return refusing, nil
		}
		return nil, nil //nolint:nilnil // stands for c itself
	}
	return c
}

// closeWrite ends what this side says, in TLS and beneath it, so that the
// provider finds the end after the last byte. What cannot be told any more need
// not be.
func (c certified) closeWrite() {
	_ = c.conn.SetWriteDeadline(time.Now().Add(legacyWrite))
	_ = c.conn.CloseWrite()
	if tcp, ok := c.raw.(interface{ CloseWrite() error }); ok {
		_ = tcp.CloseWrite()
	}
}

// cutAfter closes the connection, whatever it does, when ctx has ended and the
// time to end in good order has passed. The function it returns takes that back.
func (c certified) cutAfter(ctx context.Context, within time.Duration) (stop func()) {
	done := make(chan struct{})
	told := make(chan struct{})
	staying := context.AfterFunc(ctx, func() {
		defer close(told)
		cut := time.NewTimer(within)
		defer cut.Stop()
		select {
		case <-done:
		case <-cut.C:
			_ = c.raw.Close()
		}
	})
	return func() {
		close(done)
		if !staying() {
			<-told
		}
	}
}
