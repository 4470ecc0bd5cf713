package apnsclient

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"time"

	"github.com/heraldpush/herald/apns"
)

// Apple's gateways (docs/protocol/provider.md#environments).
const (
	sandboxHost    = "api.sandbox.push.apple.com"
	productionHost = "api.push.apple.com"
	defaultPort    = "443"
)

// The defaults of a Config.
const (
	defaultTimeout     = 10 * time.Second
	defaultIdleTimeout = time.Hour
	defaultMaxAge      = 24 * time.Hour
	defaultConnections = 4
	defaultStreams     = 1000
	defaultPending     = 10_000
)

// Config says where a Sender sends, and how it proves who it is. Environment and
// one of the credentials are required; the zero value of the rest is right for
// Apple's gateways.
type Config struct {
	// Environment is the push service that the device tokens are of. Required.
	Environment apns.Environment

	// Host is the gateway, "host" or "host:port". Empty stands for Apple's
	// gateway of the environment; the port is 443 where there is none. Apple
	// listens on 2197 too.
	Host string

	// ServerName is the name that the gateway's certificate has to carry, and
	// that is asked for with SNI. Empty stands for the host of Host.
	ServerName string

	// Roots are the authorities that the gateway's certificate may come from.
	// Nil stands for those of the system, which is right for Apple.
	Roots *x509.CertPool

	// VerifyConnection, if set, is called after the gateway's certificate was
	// found good, and may refuse the connection: to pin a key, for example.
	VerifyConnection func(tls.ConnectionState) error

	// Certificate is a push certificate with its private key, such as
	// credential.Identity.TLS returns. Either it, CertificateFile or
	// ProviderTokens is required, and no two of them: a gateway ignores
	// provider tokens where there is a certificate.
	Certificate *tls.Certificate

	// CertificateFile is a push certificate in a file, see LoadCertificate. One
	// that replaces it is presented on the connections that are made from then
	// on.
	CertificateFile *CertificateFile

	// ProviderTokens signs the pushes instead of a certificate. Give the same
	// one to all senders that use the key.
	ProviderTokens *ProviderTokens

	// Proxy is the proxy to go through: http or https (CONNECT), socks5 or
	// socks5h, with user and password where it wants them. Nil stands for none.
	Proxy *url.URL

	// Dial makes the connections below TLS, to the gateway or its proxy. Nil
	// stands for net.Dialer.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)

	// NoALPN speaks HTTP/2 without negotiating it, which some test servers
	// want. Apple's gateways take both.
	NoALPN bool

	// Timeout bounds each push: waiting, connecting and all its attempts
	// included. Zero stands for 10 seconds. The context of a push may end it
	// earlier.
	Timeout time.Duration

	// IdleTimeout is how long an unused connection is kept. Zero stands for
	// an hour. Apple wants connections to be kept, and takes connections in
	// quick succession for an attack.
	IdleTimeout time.Duration

	// MaxAge is how long a connection is used before another takes its place,
	// without a push being lost. Zero stands for a day.
	MaxAge time.Duration

	// Connections is how many connections there are at most. A second one is
	// made when pushes have waited for a tenth of a second, and so on. Zero
	// stands for 4.
	Connections int

	// MaxConcurrentStreams bounds how many pushes are under way at a time on a
	// connection; the gateway says how many may be. Zero stands for 1000.
	MaxConcurrentStreams int

	// MaxPending is how many pushes may wait for a connection with room. Zero
	// stands for 10,000.
	MaxPending int

	// FailFast has a push fail with ErrBusy when as many wait already, instead of
	// waiting for a place among them.
	FailFast bool

	// Retry says what to do about pushes that did not go through.
	Retry Retry

	// Hooks are told of attempts and connections.
	Hooks Hooks
}

// Sender sends notifications to one gateway, with one credential. It connects
// at the first push, keeps the connection, makes others where one is not enough, and
// another where one ends. It is safe for concurrent use; close it after use.
type Sender struct {
	environment apns.Environment
	presented   *presented // nil with provider tokens
	engine      *engine

	ids ids
}

// Receipt is what the gateway says of a notification that it accepted: it will
// be delivered, or stored for the device. It is no proof of delivery.
type Receipt struct {
	// ID is the apns-id, as the gateway answered it.
	ID apns.NotificationID
	// UniqueID is the apns-unique-id, under which the sandbox's delivery log
	// has the notification. It is empty in production.
	UniqueID string
}

// New returns a Sender. It connects to nothing yet. The error is a *CheckError
// for a certificate that can not do the work: it has expired, it is for the
// other environment, or it is no push certificate.
func New(cfg Config) (*Sender, error) { return open(cfg, maxAnswerBytes) }

// open returns a Sender that keeps so many bytes of an answer.
func open(cfg Config, answerBytes int) (*Sender, error) {
	addr, host, err := cfg.address()
	if err != nil {
		return nil, err
	}
	if err := cfg.check(); err != nil {
		return nil, err
	}
	s := &Sender{environment: cfg.Environment}
	d := dialerConfig{
		addr: addr, serverName: orDefault(cfg.ServerName, host), roots: cfg.Roots, verify: cfg.VerifyConnection,
		dial: cfg.Dial, proxy: cfg.Proxy, noALPN: cfg.NoALPN, timeout: orDefault(cfg.Timeout, defaultTimeout),
	}
	if cfg.ProviderTokens == nil {
		if s.presented, err = newPresented(cfg.Environment, cfg.Certificate, cfg.CertificateFile); err != nil {
			return nil, err
		}
		d.certificate = s.presented.get
	}
	dialer, err := newDialer(d)
	if err != nil {
		return nil, fmt.Errorf("push sender: %w", err)
	}
	s.engine = newEngine(engineConfig{
		addr:        addr,
		dialer:      dialer,
		tokens:      cfg.ProviderTokens,
		timeout:     d.timeout,
		idleTimeout: orDefault(cfg.IdleTimeout, defaultIdleTimeout),
		maxAge:      orDefault(cfg.MaxAge, defaultMaxAge),
		maxLinks:    orDefault(cfg.Connections, defaultConnections),
		maxStreams:  orDefault(cfg.MaxConcurrentStreams, defaultStreams),
		maxPending:  orDefault(cfg.MaxPending, defaultPending),
		answerBytes: answerBytes,
		failFast:    cfg.FailFast,
		retry:       cfg.Retry.withDefaults(),
		hooks:       cfg.Hooks,
	})
	return s, nil
}

// check says whether the parts of c fit together.
func (c Config) check() error {
	switch certificate := c.Certificate != nil || c.CertificateFile != nil; {
	case !certificate && c.ProviderTokens == nil:
		return errors.New("push sender: no credential: give a certificate or provider tokens")
	case certificate && c.ProviderTokens != nil:
		return errors.New("push sender: a certificate and provider tokens: give one, since a gateway would ignore the tokens")
	case c.Certificate != nil && c.CertificateFile != nil:
		return errors.New("push sender: a certificate and one in a file: give one of them")
	case c.Timeout < 0 || c.IdleTimeout < 0 || c.MaxAge < 0:
		return errors.New("push sender: a timeout is negative")
	case c.Connections < 0 || c.MaxConcurrentStreams < 0 || c.MaxPending < 0 || c.Retry.Attempts < 0:
		return errors.New("push sender: a number is negative")
	}
	return nil
}

// address returns the gateway as "host:port", and its host alone.
func (c Config) address() (addr, host string, err error) {
	host, port := c.Host, defaultPort
	switch c.Environment {
	case apns.Sandbox:
		host = orDefault(host, sandboxHost)
	case apns.Production:
		host = orDefault(host, productionHost)
	default:
		return "", "", errors.New("push sender: no environment: give apns.Sandbox or apns.Production")
	}
	if h, p, err := net.SplitHostPort(host); err == nil {
		host, port = h, p
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || net.ParseIP(host) == nil && !plainHost(host) {
		return "", "", fmt.Errorf("push sender: host %.100q: want host or host:port, without a scheme or path", c.Host)
	}
	return net.JoinHostPort(host, port), host, nil
}

// plainHost reports whether s could be a host name.
func plainHost(s string) bool {
	for _, c := range s {
		if c <= ' ' || c == '/' || c == ':' || c == '[' || c == ']' || c == '@' || c == '?' || c == '#' {
			return false
		}
	}
	return s != ""
}

// orDefault returns v, or the default d where v is the zero value.
func orDefault[T comparable](v, d T) T {
	var zero T
	if v == zero {
		return d
	}
	return v
}

// CertificateExpires returns when the certificate that s presents ends to be valid;
// the zero time with provider tokens. A certificate is good for 13 months, and no
// gateway says that its end is near.
func (s *Sender) CertificateExpires() time.Time {
	if s.presented == nil {
		return time.Time{}
	}
	return s.presented.newest().leaf.NotAfter
}

// certificate returns what s presents now, nil with provider tokens.
func (s *Sender) certificate() *pushCertificate {
	if s.presented == nil {
		return nil
	}
	return s.presented.current.Load()
}

// Environment returns the environment that s sends to.
func (s *Sender) Environment() apns.Environment { return s.environment }

// Stats returns the state of s at this moment.
func (s *Sender) Stats() Stats { return s.engine.stats() }

// Push sends one notification to the app and device that the device token
// names, and waits for the answer, at most the sender's Timeout.
//
// Where n has no ID it gets a random one; where it has no PushType, the one
// that its topic and payload show. No apns-priority is sent where n has no
// Priority.
//
// The error is a *CheckError, an *apns.Rejection, a *CertificateError, an
// *UnsentError or an *UnansweredError; OutcomeOf says what to do about each. The
// receipt names the notification with every error as well.
func (s *Sender) Push(ctx context.Context, to apns.DeviceToken, n apns.Notification) (Receipt, error) {
	if n.ID == "" {
		n.ID = s.ids.next()
	}
	complete(&n)
	if err := s.check(to, &n); err != nil {
		return Receipt{ID: n.ID}, err
	}
	f := s.engine.newFlight()
	f.fill(s.engine, to, &n, n.ID)
	if err := s.engine.fly(ctx, f); err != nil {
		s.engine.release(f)
		return Receipt{ID: n.ID}, err
	}
	receipt := f.receipt
	s.engine.release(f)
	return receipt, nil
}

// Close ends s: it refuses further pushes with an *UnsentError that wraps
// ErrClosed, waits for those under way, each of which has a deadline, and
// closes the connections. It is safe to call more than once, and returns nil.
func (s *Sender) Close() error {
	s.engine.close()
	return nil
}
