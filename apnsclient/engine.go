package apnsclient

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http/httptrace"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"

	"github.com/heraldpush/herald/apns"
)

const (
	// closeTimeout bounds the last word on a connection.
	closeTimeout = time.Second
	// maxTimeouts is how many pushes in a row may go unanswered on a
	// connection before it is given up.
	maxTimeouts = 3
)

// engine is what carries requests: one connection at a time, over which the
// gateway's stream limit is obeyed, and streams that the gateway did not begin
// with are sent again.
type engine struct {
	addr      string // host:port
	authority string // addr, without the port of https
	dialRaw   func(ctx context.Context, network, addr string) (net.Conn, error)
	tls       *tls.Config
	timeout   time.Duration // for a connection to be made
	name      string        // of the certificate
	transport *transport

	mu       sync.Mutex
	closed   bool     // guarded by mu
	current  *link    // nil before the first; guarded by mu
	dialling *dialing // nil if there is no need; guarded by mu
	unproven int      // connections tried since the last answer; guarded by mu
	last     error    // what ended the last connection, or kept it from being made; may be nil; guarded by mu

	running sync.WaitGroup // goroutines of this engine; added to under mu, so never after closed
}

type engineConfig struct {
	addr        string
	dial        func(ctx context.Context, network, addr string) (net.Conn, error)
	tls         *tls.Config
	timeout     time.Duration
	idleTimeout time.Duration
	certificate string
}

func newEngine(cfg engineConfig) *engine {
	e := &engine{
		addr:      cfg.addr,
		authority: strings.TrimSuffix(cfg.addr, ":"+defaultPort),
		dialRaw:   cfg.dial,
		tls:       cfg.tls,
		timeout:   cfg.timeout,
		name:      cfg.certificate,
	}
	if e.dialRaw == nil {
		e.dialRaw = new(net.Dialer).DialContext
	}
	e.transport = newTransport(e, cfg.idleTimeout)
	return e
}

// attempt is a push on its way through the transport, which may try it on
// several links.
type attempt struct {
	link *link       // the latest; nil before the first
	sent atomic.Bool // its header was written on that link
}

type attemptKey struct{}

// post sends r and returns the answer. The context has a deadline.
func (e *engine) post(ctx context.Context, r request) (Receipt, error) {
	a := new(attempt)
	ctx = context.WithValue(ctx, attemptKey{}, a)
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: func() { a.sent.Store(true) }})
	id := r.notification.ID
	resp, err := e.transport.roundTrip(r.http(ctx, e.authority))
	if err != nil {
		return Receipt{ID: id}, e.explain(a, r, err)
	}
	defer resp.Body.Close() // what is left of the answer is of no interest
	e.proven(a.link)
	return readAnswer(resp, id)
}

// explain turns what the transport says of a push that got no answer into one
// of the errors of this package.
func (e *engine) explain(a *attempt, r request, err error) error {
	var refused *CertificateError
	var rejected *apns.Rejection
	var reset http2.StreamError
	switch {
	case errors.As(err, &refused):
		return refused
	case errors.As(err, &rejected):
		return rejected
	case a.link == nil, !a.sent.Load():
		return &UnsentError{Host: e.addr, Err: err}
	}
	if said := a.link.conn.unheard(); said != nil {
		return said
	}
	if errors.As(a.link.conn.verdict(), &refused) {
		return refused
	}
	if errors.As(err, &reset) && reset.Code == http2.ErrCodeRefusedStream {
		return &UnsentError{Host: e.addr, Err: err}
	}
	if errors.Is(err, context.DeadlineExceeded) && a.link.timeouts.Add(1) >= maxTimeouts {
		a.link.retire()
	}
	return &UnansweredError{Host: e.addr, ID: r.notification.ID, Err: err}
}
