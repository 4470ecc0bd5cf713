package apnsclient

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
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
)

// Config says where a Sender sends, and how it proves who it is.
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

	// Dial makes the connection below TLS. Nil stands for net.Dialer.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)

	// Certificate is a push certificate with its private key, such as
	// credential.Identity.TLS returns. Either it or ProviderTokens is
	// required, not both: a gateway ignores provider tokens where there is a
	// certificate.
	Certificate *tls.Certificate

	// ProviderTokens signs the pushes instead of a certificate. Give the same
	// one to all senders that use the key.
	ProviderTokens *ProviderTokens

	// Timeout bounds each push, dialling and waiting included. Zero stands
	// for 10 seconds. The context of a push may end it earlier.
	Timeout time.Duration

	// IdleTimeout is how long an unused connection is kept. Zero stands for
	// an hour. Apple wants connections to be kept, and takes connections in
	// quick succession for an attack.
	IdleTimeout time.Duration
}

// Sender sends notifications to one gateway, with one credential. It connects
// at the first push, keeps the connection, and makes another where that one
// ends. It is safe for concurrent use; close it after use.
type Sender struct {
	environment apns.Environment
	timeout     time.Duration
	certificate *pushCertificate // nil with provider tokens
	tokens      *ProviderTokens  // nil with a certificate
	engine      *engine

	mu     sync.Mutex
	closed bool           // guarded by mu
	pushes sync.WaitGroup // those under way; added to under mu, so never after closed
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
func New(cfg Config) (*Sender, error) {
	addr, host, err := cfg.address()
	if err != nil {
		return nil, err
	}
	s := &Sender{
		environment: cfg.Environment,
		timeout:     orDefault(cfg.Timeout, defaultTimeout),
		tokens:      cfg.ProviderTokens,
	}
	switch {
	case cfg.Certificate == nil && cfg.ProviderTokens == nil:
		return nil, errors.New("push sender: no credential: give a certificate or provider tokens")
	case cfg.Certificate != nil && cfg.ProviderTokens != nil:
		return nil, errors.New("push sender: a certificate and provider tokens: give one, since a gateway would ignore the tokens")
	case cfg.Timeout < 0 || cfg.IdleTimeout < 0:
		return nil, errors.New("push sender: a timeout is negative")
	case cfg.Certificate != nil:
		if s.certificate, err = readCertificate(cfg.Certificate); err != nil {
			return nil, err
		}
		if err := s.certificate.check(cfg.Environment, time.Now()); err != nil {
			return nil, err
		}
	}
	s.engine = newEngine(engineConfig{
		addr:        addr,
		dial:        cfg.Dial,
		tls:         cfg.tls(host),
		timeout:     s.timeout,
		idleTimeout: orDefault(cfg.IdleTimeout, defaultIdleTimeout),
		certificate: s.certificate.name(),
	})
	return s, nil
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

func (c Config) tls(host string) *tls.Config {
	t := &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"h2"},
		RootCAs:    c.Roots,
		ServerName: orDefault(c.ServerName, host),
	}
	if c.Certificate != nil {
		// Certificates would send none where the gateway's list of
		// authorities does not name its issuer.
		t.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return c.Certificate, nil
		}
	}
	return t
}

// orDefault returns v, or the default d where v is the zero value.
func orDefault[T comparable](v, d T) T {
	var zero T
	if v == zero {
		return d
	}
	return v
}

// Environment returns the environment that s sends to.
func (s *Sender) Environment() apns.Environment { return s.environment }

// Push sends one notification to the app and device that the device token
// names, and waits for the answer, at most the sender's Timeout.
//
// Where n has no ID it gets a random one; where it has no PushType, the one
// that its topic and payload show. No apns-priority is sent where n has no
// Priority.
//
// The error is a *CheckError, an *apns.Rejection, a *CertificateError, an
// *UnsentError or an *UnansweredError; the package comment says what to do
// about each. The receipt names the notification with every error as well.
func (s *Sender) Push(ctx context.Context, to apns.DeviceToken, n apns.Notification) (Receipt, error) {
	n = complete(n)
	receipt := Receipt{ID: n.ID}
	if err := s.check(to, n); err != nil {
		return receipt, err
	}
	if !s.begin() {
		return receipt, &UnsentError{Host: s.engine.addr, Err: ErrClosed}
	}
	defer s.pushes.Done()
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	return s.send(ctx, request{to: to, notification: n})
}

// send posts r, a second time if the provider token had expired
// (docs/protocol/provider.md#provider-tokens).
func (s *Sender) send(ctx context.Context, r request) (Receipt, error) {
	receipt := Receipt{ID: r.notification.ID}
	if s.tokens == nil {
		return s.engine.post(ctx, r)
	}
	var err error
	if r.providerToken, err = s.tokens.get(); err != nil {
		return receipt, &UnsentError{Host: s.engine.addr, Err: err}
	}
	receipt, err = s.engine.post(ctx, r)
	var refused *apns.Rejection
	if !errors.As(err, &refused) {
		return receipt, err
	}
	switch refused.Reason {
	case apns.TooManyProviderTokenUpdates:
		s.tokens.hold()
	case apns.ExpiredProviderToken:
		another, signed, fault := s.tokens.replace(r.providerToken)
		if fault != nil {
			return receipt, &UnsentError{Host: s.engine.addr, Err: fault}
		}
		if signed {
			// Connections have been seen to serve badly after this answer.
			s.engine.retire()
		}
		if another != "" {
			r.providerToken = another
			return s.engine.post(ctx, r)
		}
	default:
	}
	return receipt, err
}

// begin counts a push as under way, unless s is closed.
func (s *Sender) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.pushes.Add(1)
	return true
}

// Close ends s: it refuses further pushes with an *UnsentError that wraps
// ErrClosed, waits for those under way, each of which has a deadline, and
// closes the connection. It is safe to call more than once, and returns nil.
func (s *Sender) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.pushes.Wait()
	s.engine.close()
	return nil
}
