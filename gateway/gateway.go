package gateway

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/h2"
	"github.com/heraldpush/herald/internal/door"
	"github.com/heraldpush/herald/portal"
	"github.com/heraldpush/herald/registry"
	"github.com/heraldpush/herald/spool"
	"github.com/heraldpush/herald/trace"
	"github.com/heraldpush/herald/wire"
)

// Config says what a gateway works with.
type Config struct {
	// Portal tells who may send. Required.
	Portal *portal.Portal
	// Registry tells what a device token stands for. Required.
	Registry *registry.Registry
	// Spool takes what is accepted. Required.
	Spool *spool.Spool
	// ServerCertificate gives the certificate for a handshake. Required.
	ServerCertificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// DrainTimeout is how long a connection may take to end when the gateway
	// stops, or when its certificate is revoked: requests in progress are answered, and what has not ended by then
	// is cut. Only a store that does not answer can take longer. Zero means 10
	// seconds.
	DrainTimeout time.Duration
	// Limits bound what a provider may do beyond single requests. The zero value
	// has none.
	Limits Limits
	// Faults decides which connections and pushes meet a fault on demand. Nil means
	// none.
	Faults Faults
	// Trace gets a line for each notification that is accepted or refused. Nil
	// means that none are kept.
	Trace *trace.Recorder
	// Logger gets a line for what goes wrong, and at debug level for each
	// connection and push. Nil means slog.Default().
	Logger *slog.Logger
}

// Limits in time.
const (
	handshakeTimeout = 10 * time.Second
	storeTimeout     = 10 * time.Second // for a batch of pushes
	lastFrames       = time.Second      // of DrainTimeout, for the peer to read the end
)

// Gateway serves providers.
type Gateway struct {
	cfg      Config
	tls      *tls.Config
	throttle *throttle
	// messages is the throttles of channels, by their storage policy.
	messages map[apns.StoragePolicy]*throttle

	flights     atomic.Uint64 // connections that Config.Faults was asked about
	connections atomic.Uint64 // of providers, as Config.Trace counts them
}

// New returns a gateway, or says what the configuration lacks.
func New(cfg Config) (*Gateway, error) {
	if cfg.Portal == nil || cfg.Registry == nil || cfg.Spool == nil || cfg.ServerCertificate == nil {
		return nil, errors.New("gateway: Portal, Registry, Spool and ServerCertificate are required")
	}
	if cfg.DrainTimeout <= 0 {
		cfg.DrainTimeout = 10 * time.Second
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	var err error
	if cfg.Limits, err = cfg.Limits.withDefaults(); err != nil {
		return nil, err
	}
	g := &Gateway{cfg: cfg, throttle: newThrottle(&cfg.Limits), messages: newChannelThrottles(&cfg.Limits)}
	g.tls = g.newTLS()
	return g, nil
}

// newTLS returns how a gateway shakes hands.
func (g *Gateway) newTLS() *tls.Config {
	c := &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: g.cfg.ServerCertificate,
		NextProtos:     []string{http2.NextProtoTLS},
		// Without a certificate a provider proves itself by provider tokens.
		ClientAuth: tls.VerifyClientCertIfGiven,
		ClientCAs:  g.cfg.Portal.ProviderRoots(),
		// TLS has checked all else by then.
		VerifyConnection: g.refuseRevoked,
		// Answers leave in bulk: small first records would only cost.
		DynamicRecordSizingDisabled: true,
	}
	// A provider that offers protocols, and HTTP/2 not among them, is refused
	// (RFC 7301 section 3.2). By itself crypto/tls would take one that offers
	// HTTP/1.1 for one that offers nothing.
	refusing := c.Clone()
	refusing.NextProtos = []string{"none of those offered"}
	c.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if offered := hello.SupportedProtos; len(offered) > 0 && !slices.Contains(offered, http2.NextProtoTLS) {
			return refusing, nil
		}
		return nil, nil //nolint:nilnil // stands for c itself
	}
	return c
}

// Serve serves providers of an environment until ctx ends or the listener
// fails. It closes the listener, lets connections end in good order, and
// returns when all have ended: nil if ctx ended.
//
// A provider that asks for the other environment by Apple's host name gets
// that one.
func (g *Gateway) Serve(ctx context.Context, l net.Listener, env apns.Environment) error {
	var watching sync.WaitGroup
	defer watching.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	all := new(presented)
	watching.Go(func() { g.endRevoked(ctx, all) })
	err := door.Serve(ctx, l, g.cfg.Logger, func(ctx context.Context, c net.Conn) { g.serveConn(ctx, c, env, all) })
	if err != nil {
		return fmt.Errorf("%v gateway: %w", env, err)
	}
	return nil
}

// serveConn serves one connection until it ends.
func (g *Gateway) serveConn(ctx context.Context, raw net.Conn, env apns.Environment, all *presented) {
	log := g.cfg.Logger.With(slog.String("remote", raw.RemoteAddr().String()))
	flight, raw := g.takeOff(ctx, raw, env)
	if raw == nil {
		return
	}
	defer flight.land()
	conn, state, err := g.handshake(ctx, raw)
	if err != nil {
		log.DebugContext(ctx, "provider connection failed", slog.Any("error", err))
		_ = raw.Close()
		return
	}
	if named, ok := environmentOf(state.ServerName); ok {
		env = named
	}
	if p, ok := conn.(*peeked); ok && p.isLegacy {
		g.serveLegacy(ctx, certified{p, raw, env, state, log})
		return
	}
	s := newSession(g, env, state, log)
	s.flight = flight
	drain := g.cfg.DrainTimeout
	c := h2.NewConn(conn, h2.Config{
		Handler:              s,
		MaxBodyBytes:         maxBodyBytes,
		MaxConcurrentStreams: flight.capped(s.initialStreams()),
		AnswerFields:         answerFields,
		IdleDebugData:        wire.AppendRejection(nil, apns.Reject(apns.IdleTimeout, "")),
		DrainTimeout:         drain - min(lastFrames, drain/4),
		Logger:               log,
	})
	s.departure = &departure{conn: c, raw: raw, within: drain}
	s.conduct.setStreams = func(n uint32) { c.SetMaxConcurrentStreams(flight.capped(n)) }
	if s.misplaced() {
		c.Refuse(http2.ErrCodeNo, wire.AppendRejection(nil, apns.Reject(apns.BadCertificateEnvironment, "")))
	}
	flight.turnAway(c)
	defer s.enter(all)()
	// The connection outlives ctx for as long as it takes to end well.
	unbound := context.WithoutCancel(ctx)
	told := make(chan struct{})
	staying := context.AfterFunc(ctx, func() {
		defer close(told)
		s.departure.begin(apns.Shutdown)
	})
	stop := s.start(unbound)
	err = c.Serve(unbound)
	if !staying() {
		<-told
	}
	s.departure.end()
	flight.end()
	stop()
	s.errands.wait()
	log.DebugContext(ctx, "provider connection ended", slog.Any("reason", err))
}

// handshake does TLS and finds out whether the provider speaks HTTP/2, which
// it may do without having negotiated it (docs/protocol/provider.md#request),
// or the legacy interface (docs/protocol/legacy.md#transport).
func (g *Gateway) handshake(ctx context.Context, raw net.Conn) (net.Conn, tls.ConnectionState, error) {
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	conn := tls.Server(h2.NewSocket(raw), g.tls)
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, tls.ConnectionState{}, err
	}
	state := conn.ConnectionState()
	if state.NegotiatedProtocol == http2.NextProtoTLS {
		return conn, state, nil
	}
	defer context.AfterFunc(ctx, func() { _ = raw.Close() })()
	r := bufio.NewReaderSize(conn, len(http2.ClientPreface))
	first, err := r.Peek(1)
	if err != nil {
		return nil, state, err
	}
	isLegacy := wire.LegacyCommand(first[0]).Known() && len(state.PeerCertificates) > 0
	if first[0] != http2.ClientPreface[0] && !isLegacy {
		return nil, state, errors.New("neither HTTP/2 was negotiated nor does the connection begin as HTTP/2")
	}
	return &peeked{Conn: conn, r: r, isLegacy: isLegacy}, state, nil
}

// peeked is a connection of which a part was read already.
type peeked struct {
	*tls.Conn
	r        *bufio.Reader
	isLegacy bool // it begins as the legacy interface does
}

func (p *peeked) Read(b []byte) (int, error) { return p.r.Read(b) }
