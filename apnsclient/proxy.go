package apnsclient

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/net/http/httpproxy"
)

// maxProxyAnswerBytes bounds what a proxy may answer to CONNECT.
const maxProxyAnswerBytes = 16 << 10

// ProxyFromEnvironment returns the proxy for a gateway, "host" or "host:port",
// that the environment variables HTTPS_PROXY and NO_PROXY name, or their forms
// in lower case, for Config.Proxy. It is nil where there is none. The error is
// for a variable that holds no URL.
func ProxyFromEnvironment(host string) (*url.URL, error) {
	env := httpproxy.FromEnvironment()
	// httpproxy takes what it cannot read for none, and would go past the proxy.
	if s := env.HTTPSProxy; s != "" {
		if !strings.Contains(s, "://") {
			s = "http://" + s
		}
		if u, err := url.Parse(s); err != nil || u.Host == "" {
			return nil, errors.New("HTTPS_PROXY: not a URL: want one such as http://proxy.example.com:3128")
		}
	}
	return env.ProxyFunc()(&url.URL{Scheme: "https", Host: host})
}

// ProxyError says that the proxy of a sender did not open the way to the
// gateway. It stands in the chain of an *UnsentError.
type ProxyError struct {
	// Proxy is its address, "host:port".
	Proxy string
	// Status is its answer to CONNECT, such as 407; zero where there was none,
	// as with SOCKS.
	Status int
	// Problem is what it said or did.
	Problem string
	// Remedy is what to do about it; it may be empty.
	Remedy string
	// Err is the error below, nil where the proxy answered.
	Err error
}

// Error names the proxy, the problem and the remedy, and no password.
func (e *ProxyError) Error() string {
	s := fmt.Sprintf("proxy %s: %s", e.Proxy, e.Problem)
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	if e.Remedy != "" {
		s += ": " + e.Remedy
	}
	return s
}

// Unwrap returns the error below.
func (e *ProxyError) Unwrap() error { return e.Err }

// proxy is the way to a gateway through an HTTP or a SOCKS5 proxy.
type proxy struct {
	addr   string // host:port
	scheme string
	user   *url.Userinfo // nil if there is none
	tls    *tls.Config   // to the proxy itself; nil unless scheme is https
}

// proxyPorts has the schemes of a proxy's URL, with the port where it has none.
var proxyPorts = map[string]string{"http": "80", "https": "443", "socks5": "1080", "socks5h": "1080"}

// newProxy reads the URL of a proxy. The error repeats nothing of it but the
// host, since it may hold a password.
func newProxy(u *url.URL, trust *tls.Config) (*proxy, error) {
	port, ok := proxyPorts[u.Scheme]
	host := u.Hostname()
	switch {
	case !ok:
		return nil, fmt.Errorf("push sender: proxy %.100q: the scheme is none of http, https, socks5 and socks5h", u.Host)
	case host == "":
		return nil, fmt.Errorf("push sender: proxy %.100q: no host", u.Host)
	case u.Path != "" && u.Path != "/", u.RawQuery != "":
		return nil, fmt.Errorf("push sender: proxy %.100q: a URL with a path is no proxy", u.Host)
	}
	p := &proxy{addr: net.JoinHostPort(host, cmp.Or(u.Port(), port)), scheme: u.Scheme, user: u.User}
	switch u.Scheme {
	case "https":
		p.tls = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: trust.RootCAs, ServerName: host}
	case "socks5", "socks5h":
		password, _ := p.user.Password()
		if n := len(p.user.Username()); n > maxSOCKSText || len(password) > maxSOCKSText || p.user != nil && n == 0 {
			return nil, fmt.Errorf("push sender: proxy %.100q: user and password may have 1 to %d bytes each", u.Host, maxSOCKSText)
		}
	}
	return p, nil
}

// open has the proxy at the other end of raw connect to addr, and returns the
// connection there. It closes raw where it fails. The name is the proxy's to
// resolve.
func (p *proxy) open(ctx context.Context, raw net.Conn, addr string) (net.Conn, error) {
	c := raw
	if p.tls != nil {
		secure := tls.Client(raw, p.tls)
		if err := secure.HandshakeContext(ctx); err != nil {
			raw.Close() // the handshake's error says more
			return nil, &ProxyError{Proxy: p.addr, Problem: "TLS handshake", Err: explainTLS(err, p.tls.ServerName)}
		}
		c = secure
	}
	// A deadline in the past ends what is under way.
	unbind := context.AfterFunc(ctx, func() { raw.SetDeadline(time.Unix(1, 0)) }) //nolint:errcheck // raw is closed, then
	var err error
	if p.scheme == "http" || p.scheme == "https" {
		err = p.connect(c, addr)
	} else {
		err = p.socks(c, addr)
	}
	if !unbind() {
		err = &ProxyError{Proxy: p.addr, Problem: "waiting for it to connect to " + addr, Err: ctx.Err()}
	}
	if err != nil {
		raw.Close() // err says more
		return nil, err
	}
	return c, nil
}

// connect asks for a tunnel with CONNECT (RFC 9110 section 9.3.6).
func (p *proxy) connect(c net.Conn, addr string) error {
	var ask bytes.Buffer
	fmt.Fprintf(&ask, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n", addr, addr)
	if p.user != nil {
		password, _ := p.user.Password()
		fmt.Fprintf(&ask, "Proxy-Authorization: Basic %s\r\n",
			base64.StdEncoding.EncodeToString([]byte(p.user.Username()+":"+password)))
	}
	ask.WriteString("\r\n")
	if _, err := c.Write(ask.Bytes()); err != nil {
		return &ProxyError{Proxy: p.addr, Problem: "asking it to connect to " + addr, Err: err}
	}
	// The gateway says nothing before it is spoken to, so that whatever comes
	// is the proxy's.
	r := bufio.NewReader(io.LimitReader(c, maxProxyAnswerBytes))
	resp, err := http.ReadResponse(r, &http.Request{Method: http.MethodConnect})
	if err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
			err = errors.New("it ended without one, or with one that has no end")
		} else if _, below := errors.AsType[net.Error](err); !below {
			err = fmt.Errorf("%.200s", err.Error()) // it repeats what came
		}
		return &ProxyError{
			Proxy: p.addr, Problem: "no answer to CONNECT " + addr, Err: err,
			Remedy: "see whether this is the address of an HTTP proxy, and whether it wants http or https",
		}
	}
	resp.Body.Close() // it is not read: the connection is closed, or a tunnel
	if resp.StatusCode/100 != 2 {
		return p.refused(resp, addr)
	}
	if r.Buffered() > 0 {
		return &ProxyError{Proxy: p.addr, Problem: "it sent more than its answer to CONNECT " + addr}
	}
	return nil
}

// refused explains an answer to CONNECT other than yes.
func (p *proxy) refused(resp *http.Response, addr string) error {
	e := &ProxyError{
		Proxy: p.addr, Status: resp.StatusCode,
		Problem: fmt.Sprintf("it answered CONNECT %s with %.100q", addr, resp.Status),
	}
	switch resp.StatusCode {
	case http.StatusProxyAuthRequired:
		schemes := authSchemes(resp.Header.Values("Proxy-Authenticate"))
		basic := len(schemes) == 0
		for _, s := range schemes {
			basic = basic || strings.EqualFold(s, "Basic")
		}
		switch {
		case !basic:
			e.Remedy = fmt.Sprintf("it wants %.100s, and only Basic can be given", strings.Join(schemes, " or "))
		case p.user == nil:
			e.Remedy = "give a user and password in the proxy's URL"
		default:
			e.Remedy = "user and password in the proxy's URL are wrong"
		}
	case http.StatusForbidden, http.StatusMethodNotAllowed:
		e.Remedy = "have it allow CONNECT to this host and port; Apple's gateways listen on 2197 too"
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		e.Remedy = "it cannot reach the gateway"
	}
	return e
}

// authSchemes returns the schemes of Proxy-Authenticate fields, one of each.
func authSchemes(fields []string) []string {
	var schemes []string
	for _, f := range fields {
		if s, _, _ := strings.Cut(strings.TrimSpace(f), " "); s != "" {
			schemes = append(schemes, s)
		}
	}
	return schemes
}
