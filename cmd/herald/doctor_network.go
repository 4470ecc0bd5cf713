package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"
)

// network looks at the gateway: its name, whether it answers, and its
// certificate.
func (e *examination) network(ctx context.Context) error {
	if err := e.lookUp(ctx); err != nil {
		return err
	}
	conn, err := e.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close() // nothing was written
	return e.handshake(ctx, conn)
}

func (e *examination) lookUp(ctx context.Context) error {
	if _, err := netip.ParseAddr(e.host); err == nil {
		return e.note(step{Name: "dns", Result: "skipped", Detail: e.host + " is an address"})
	}
	ctx, cancel := context.WithTimeout(ctx, e.Timeout)
	defer cancel()
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", e.host)
	if err != nil {
		return e.failed("dns", e.host, nil, withHint(err, "check the name of the gateway, and whether this machine can look up names at all."))
	}
	words := make([]string, 0, len(ips))
	for _, ip := range ips {
		words = append(words, ip.Unmap().String())
	}
	return e.note(step{Name: "dns", Result: "ok", Detail: e.host + " is " + strings.Join(words, ", ")})
}

func (e *examination) connect(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, e.Timeout)
	defer cancel()
	start := time.Now()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", e.found.Gateway)
	if err != nil {
		return nil, e.failed("tcp", e.found.Gateway, nil,
			withHint(err, "check the port, and whether a firewall lets it through: gateways listen on 443 and 2197."))
	}
	detail := fmt.Sprintf("%s in %s", conn.RemoteAddr(), time.Since(start).Round(time.Microsecond))
	if err := e.note(step{Name: "tcp", Result: "ok", Detail: detail}); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// handshake shows the gateway's certificates, trusted or not.
func (e *examination) handshake(ctx context.Context, conn net.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, e.Timeout)
	defer cancel()
	secure := tls.Client(conn, e.tlsConfig())
	if err := secure.HandshakeContext(ctx); err != nil {
		return e.failed("tls", "no handshake", nil,
			withHint(fmt.Errorf("TLS with %s: %w", e.found.Gateway, err), "this may be another kind of server, or something between that ends TLS."))
	}
	state := secure.ConnectionState()
	facts := make([]string, 0, len(state.PeerCertificates)+1)
	for i, cert := range state.PeerCertificates {
		facts = append(facts, fmt.Sprintf("%d  %s, issued by %s, expires %s", i, nameOf(cert.Subject.CommonName, cert), nameOf(cert.Issuer.CommonName, nil), expires(cert.NotAfter)))
	}
	if err := e.trust(state.PeerCertificates); err != nil {
		return e.failed("tls", "the gateway's certificate is not trusted", facts, err)
	}
	by := "the system's authorities"
	if e.roots != nil {
		by = e.CA
	}
	st := step{Name: "tls", Result: "ok", Facts: facts, Detail: fmt.Sprintf("%s, ALPN %s, trusted by %s", tls.VersionName(state.Version), state.NegotiatedProtocol, by)}
	if state.NegotiatedProtocol != "h2" {
		st.Detail = fmt.Sprintf("%s, no ALPN, trusted by %s", tls.VersionName(state.Version), by)
		st.Facts = append(st.Facts, "without ALPN h2 this may be no gateway for HTTP/2, or something between that ends TLS")
	}
	return e.note(st)
}

// nameOf is the common name of a certificate, or what it has in its place.
func nameOf(commonName string, cert *x509.Certificate) string {
	switch {
	case commonName != "":
		return fmt.Sprintf("%q", commonName)
	case cert != nil && len(cert.DNSNames) > 0:
		return fmt.Sprintf("%q", cert.DNSNames[0])
	case cert != nil && len(cert.IPAddresses) > 0:
		return cert.IPAddresses[0].String()
	}
	return "one without a name"
}

// trust verifies the gateway's chain.
func (e *examination) trust(chain []*x509.Certificate) error {
	if len(chain) == 0 {
		return errors.New("the gateway showed no certificate")
	}
	o := x509.VerifyOptions{Roots: e.roots, DNSName: e.serverName(), Intermediates: x509.NewCertPool()}
	for _, cert := range chain[1:] {
		o.Intermediates.AddCert(cert)
	}
	_, err := chain[0].Verify(o)
	if err == nil {
		return nil
	}
	err = fmt.Errorf("the certificate of %s: %w", e.found.Gateway, err)
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return withHint(err, "--ca FILE trusts an authority besides those of the system. For Apple's gateways this machine's own list is out of date: they changed to USERTrust RSA in 2025.")
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return withHint(err, "--server-name NAME says which name it has to carry.")
	}
	return withHint(err, "see the dates above, and the clock of this machine.")
}
