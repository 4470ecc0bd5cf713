package load

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http2"
)

// Result is what became of the pushes.
type Result struct {
	// Sent is how many were sent, and answered; Accepted those with status 200.
	Sent, Accepted int64
	// Refused counts the bad ones that were refused as they have to be, by
	// reason.
	Refused map[string]int64 `json:",omitempty"`
	// Wrong counts all other answers, by status and reason.
	Wrong map[string]int64 `json:",omitempty"`
	// Wall is how long it took.
	Wall time.Duration
	// P50, P99 and P999 are quantiles of the time from sending a push to
	// reading its answer.
	P50, P99, P999 time.Duration
	// Late is how long the latest of 99 % of the pushes waited past its time,
	// where there was a rate.
	Late time.Duration `json:",omitempty"`
	// Cipher is the cipher suite of the connections.
	Cipher string
}

// Load is connections that are ready to send.
type Load struct {
	plan  Plan
	links []*link
	held  func(sent int64) bool
}

// HoldBack has Run ask held before each push, with the number of those that it
// has sent, and wait while that returns true. It is asked from several goroutines.
// A plan with a rate is not held back.
func (l *Load) HoldBack(held func(sent int64) bool) { l.held = held }

// Connect opens the connections of a plan, and warms up. It refuses a plan that
// is out of bounds, or whose address is not a loopback one.
func Connect(ctx context.Context, p Plan) (_ *Load, err error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	requests, err := newRequests(&p)
	if err != nil {
		return nil, err
	}
	config, err := p.tls()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, runTimeout)
	defer cancel()
	l := &Load{plan: p}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.Close())
		}
	}()
	for range p.Connections {
		conn, err := dial(ctx, p.Address, config)
		if err != nil {
			return nil, fmt.Errorf("connecting to %s: %w", p.Address, err)
		}
		one := newLink(conn, requests, p.Streams)
		l.links = append(l.links, one)
		if err := one.flush(); err != nil {
			return nil, err
		}
	}
	if err := l.each(ctx, (*link).warm); err != nil {
		return nil, err
	}
	if p.Warmup > 0 {
		b := newBudget(p.Warmup, 0, 0, len(l.links))
		if err := l.each(ctx, func(one *link) error { return one.run(b) }); err != nil {
			return nil, fmt.Errorf("warming up: %w", err)
		}
	}
	for _, one := range l.links {
		one.tally = tally{}
	}
	return l, nil
}

func dial(ctx context.Context, address string, config *tls.Config) (*tls.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, stallTimeout)
	defer cancel()
	raw, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	conn := tls.Client(raw, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(err, raw.Close())
	}
	if p := conn.ConnectionState().NegotiatedProtocol; p != http2.NextProtoTLS {
		return nil, errors.Join(fmt.Errorf("negotiated %q, not HTTP/2", p), raw.Close())
	}
	return conn, nil
}

// tls returns how connections of a plan shake hands.
func (p *Plan) tls() (*tls.Config, error) {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(p.Roots) {
		return nil, errors.New("no authority to trust")
	}
	c := &tls.Config{
		MinVersion: tls.VersionTLS13, RootCAs: roots, ServerName: p.ServerName, NextProtos: []string{http2.NextProtoTLS},
		DynamicRecordSizingDisabled: true,
	}
	if len(p.Certificate) > 0 {
		pair, err := tls.X509KeyPair(p.Certificate, p.Certificate)
		if err != nil {
			return nil, fmt.Errorf("certificate: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// each calls f for all links at once and waits for all. When ctx ends, so do
// they.
func (l *Load) each(ctx context.Context, f func(*link) error) error {
	defer context.AfterFunc(ctx, func() {
		for _, one := range l.links {
			_ = one.conn.NetConn().Close()
		}
	})()
	errs := make([]error, len(l.links))
	var running sync.WaitGroup
	for i, one := range l.links {
		running.Go(func() { errs[i] = f(one) })
	}
	running.Wait()
	if err := ctx.Err(); err != nil {
		return err
	}
	return errors.Join(errs...)
}

// Run does what the plan says, and returns what became of it. It is for once.
// An error is one of a connection: an answer that was not expected is counted.
func (l *Load) Run(ctx context.Context) (Result, error) {
	ctx, cancel := context.WithTimeout(ctx, runTimeout)
	defer cancel()
	p := &l.plan
	began := time.Now()
	b := newBudget(p.Pushes, p.Duration, p.Rate, len(l.links))
	b.held = l.held
	if err := l.each(ctx, func(one *link) error { return one.run(b) }); err != nil {
		return Result{}, err
	}
	r := Result{Wall: time.Since(began), Cipher: tls.CipherSuiteName(l.links[0].conn.ConnectionState().CipherSuite)}
	var latency, late Histogram
	for _, one := range l.links {
		t := &one.tally
		r.Sent += t.sent
		r.Accepted += t.accepted
		merge(&r.Refused, t.reasons)
		merge(&r.Wrong, t.wrongs)
		latency.Merge(&t.latency)
		late.Merge(&t.late)
	}
	r.P50, r.P99, r.P999 = latency.Quantile(0.5), latency.Quantile(0.99), latency.Quantile(0.999)
	r.Late = late.Quantile(0.99)
	return r, nil
}

func merge(into *map[string]int64, counts map[string]*int64) {
	for key, n := range counts {
		if *into == nil {
			*into = make(map[string]int64)
		}
		(*into)[key] += *n
	}
}

// describe returns what was counted, for people.
func describe(counts map[string]*int64) string {
	return strings.Join(slices.Sorted(maps.Keys(counts)), ", ")
}

// Close closes the connections.
func (l *Load) Close() error {
	var errs []error
	for _, one := range l.links {
		if err := one.conn.NetConn().Close(); !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
