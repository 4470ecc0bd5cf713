package apnsclient

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	"github.com/heraldpush/herald/h2"
)

// protoHTTP2 is HTTP/2 in ALPN (RFC 9113 section 3.2).
const protoHTTP2 = "h2"

// dialerConfig is what a dialer is made of.
type dialerConfig struct {
	addr        string // of the gateway, host:port
	serverName  string // the name that its certificate has to carry
	roots       *x509.CertPool
	dial        func(ctx context.Context, network, addr string) (net.Conn, error) // nil: the system's network
	proxy       *url.URL                                                          // nil: none
	noALPN      bool
	verify      func(tls.ConnectionState) error  // nil: nothing further
	certificate func() (*tls.Certificate, error) // what to present; nil: none
	timeout     time.Duration
}

// dialer makes connections to one gateway: through the proxy if there is one,
// over TLS that is verified to the gateway's name, as far as HTTP/2 can begin.
// It is safe for concurrent use.
type dialer struct {
	cfg     dialerConfig
	tls     *tls.Config
	network *spreader
	proxy   *proxy // nil if there is none
}

// newDialer returns a dialer. The error is about the proxy's URL.
func newDialer(cfg dialerConfig) (*dialer, error) {
	d := &dialer{
		cfg:     cfg,
		network: newSpreader(cfg.dial),
		tls: &tls.Config{
			MinVersion:       tls.VersionTLS12,
			RootCAs:          cfg.roots,
			ServerName:       cfg.serverName,
			VerifyConnection: cfg.verify,
			// Pushes are sent in bulk; small first records only cost time.
			DynamicRecordSizingDisabled: true,
		},
	}
	if !cfg.noALPN {
		d.tls.NextProtos = []string{protoHTTP2}
	}
	if cfg.proxy != nil {
		var err error
		if d.proxy, err = newProxy(cfg.proxy, d.tls); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// dial connects, in the time of the dialer at most, and returns the connection
// and the address that it leads to. The caller ends it, and then passes what
// ended it to explain.
//
// The error is a *CertificateError where the gateway refused the certificate, as far
// as TLS 1.2 goes; it wraps a *tls.CertificateVerificationError, a *ProxyError
// or context.DeadlineExceeded where that is the cause.
func (d *dialer) dial(ctx context.Context) (net.Conn, string, error) {
	ctx, cancel := context.WithTimeout(ctx, d.cfg.timeout)
	defer cancel()
	cfg, presented := d.tls.Clone(), ""
	if d.cfg.certificate != nil {
		certificate, err := d.cfg.certificate()
		if err != nil {
			return nil, "", err
		}
		presented = commonName(certificate)
		// Certificates would send none where the gateway's list of authorities
		// does not name its issuer.
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return certificate, nil }
	}
	raw, address, err := d.reach(ctx)
	if err != nil {
		return nil, "", fmt.Errorf("connecting: %w", err)
	}
	secure := tls.Client(h2.NewSocket(raw), cfg)
	if err := secure.HandshakeContext(ctx); err != nil {
		raw.Close() // the handshake's error says more
		if refused := certificateRefusal(err, presented); refused != nil {
			return nil, "", refused
		}
		return nil, "", fmt.Errorf("TLS handshake: %w", explainTLS(err, d.cfg.serverName))
	}
	if p := secure.ConnectionState().NegotiatedProtocol; p != protoHTTP2 && !d.cfg.noALPN {
		secure.Close() // there is no use for it
		return nil, "", errNoHTTP2(d.cfg.serverName)
	}
	return newSecured(secure, presented), address, nil
}

// reach connects to the gateway below TLS, and says to which address.
func (d *dialer) reach(ctx context.Context) (net.Conn, string, error) {
	if d.proxy == nil {
		c, err := d.network.dial(ctx, d.cfg.addr)
		if err != nil {
			return nil, "", err
		}
		return c, c.RemoteAddr().String(), nil
	}
	raw, err := d.network.dial(ctx, d.proxy.addr)
	if err != nil {
		return nil, "", &ProxyError{Proxy: d.proxy.addr, Problem: "connecting to it", Err: err}
	}
	c, err := d.proxy.open(ctx, raw, d.cfg.addr)
	if err != nil {
		return nil, "", err
	}
	return c, fmt.Sprintf("%s by way of %s", d.cfg.addr, raw.RemoteAddr()), nil
}

// explain returns what ended a connection of d: a *CertificateError where the
// gateway refused the certificate, else err. A gateway under TLS 1.3 does so
// when the handshake is over for us, in the first that it has to say
// (RFC 8446 section 4.4.2.4). Call it when nothing reads from c any more.
func (d *dialer) explain(c net.Conn, err error) error {
	if s, ok := c.(*secured); ok {
		if refused := s.refused.Load(); refused != nil {
			return refused
		}
		if refused := certificateRefusal(err, s.presented); refused != nil {
			return refused
		}
	}
	return err
}

// commonName returns the name on a certificate, empty where there is none.
func commonName(c *tls.Certificate) string {
	leaf := c.Leaf
	if leaf == nil && len(c.Certificate) > 0 {
		leaf, _ = x509.ParseCertificate(c.Certificate[0]) // nil if it is none, which the gateway will say
	}
	if leaf == nil {
		return ""
	}
	return leaf.Subject.CommonName
}

// errNoHTTP2 says what a gateway without HTTP/2 is likely to be.
func errNoHTTP2(name string) error {
	return fmt.Errorf("TLS handshake: %s does not offer HTTP/2: it is likely no push gateway, or a proxy that looks into TLS"+
		" answers in its place; where it is known to speak HTTP/2 without ALPN, set NoALPN", name)
}

// explainTLS adds to the error of a handshake with name what the cause is
// likely to be. It wraps err.
func explainTLS(err error, name string) error {
	var unverified *tls.CertificateVerificationError
	var notTLS tls.RecordHeaderError
	var alert *net.OpError
	switch {
	case errors.As(err, &unverified):
		if hint := explainVerification(unverified, name); hint != "" {
			return fmt.Errorf("%w: %s", err, hint)
		}
	case errors.As(err, &notTLS):
		return fmt.Errorf("%w: %s does not speak TLS on this port", err, name)
	case errors.As(err, &alert) && alert.Op == "remote error" && alert.Err.Error() == "tls: no application protocol":
		return fmt.Errorf("%w: %w", errNoHTTP2(name), err)
	}
	return err
}

// explainVerification says why the certificate of a gateway is not trusted, and
// what to do about it.
func explainVerification(err *tls.CertificateVerificationError, name string) string {
	issuer := "unknown"
	if n := len(err.UnverifiedCertificates); n > 0 {
		issuer = fmt.Sprintf("%.200q", err.UnverifiedCertificates[n-1].Issuer.String())
	}
	var unknown x509.UnknownAuthorityError
	var other x509.HostnameError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &unknown):
		return fmt.Sprintf("the issuer of its chain is %s: give that authority in Roots if it is the gateway's own;"+
			" if it is that of a proxy that looks into TLS, exempt %s from it", issuer, name)
	case errors.As(err, &other):
		return "give the name that its certificate carries in ServerName, or another host"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "see whether the clock of this machine is right"
	}
	return ""
}
