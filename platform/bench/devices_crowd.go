package bench

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/heraldpush/herald/internal/load"
	"github.com/heraldpush/herald/wire"
)

// crowdSetup says which devices a crowd is.
type crowdSetup struct {
	Dir         string // that prepare made
	First, Size int    // of the devices there
	ALPN        string
	Source      string // loopback address to connect from; empty for any
}

// connectOrder has a crowd connect all its devices.
type connectOrder struct {
	Address string
	Bare    bool // to the bare TLS accept loop
}

// connected says how that went.
type connected struct {
	// Wall is how long it took until the last one was accepted.
	Wall time.Duration
	// Retries is how often one was cut off, and tried again.
	Retries int64
}

// tally is what devices received since they were last asked.
type tally struct {
	// Delivered counts the notifications; Repeated those among them that
	// had come before.
	Delivered, Repeated int64
	// Latency is the time from the provider's call on.
	Latency load.Histogram
	// FirstSent and LastReceived span all that was delivered; nanoseconds since
	// the epoch.
	FirstSent, LastReceived int64
	// Lost is how many connections ended that nobody asked to end, and Why one
	// of them did.
	Lost int64
	Why  string
}

// handshakes is how many devices of a crowd connect at once.
const handshakes = 128

// Limits of trying again.
const (
	minRetryPause  = 5 * time.Millisecond
	maxRetryPause  = 500 * time.Millisecond
	connectTimeout = 2 * time.Minute
)

// crowdGC has the collector of a crowd run seldom: it shares the cores with the
// service.
const crowdGC = 400

// crowd is many devices in one process.
type crowd struct {
	ids    identities
	keys   []crypto.Signer // of the phones
	first  int
	dialer *net.Dialer
	tls    *tls.Config // to a courier
	bare   *tls.Config // to the bare TLS accept loop

	phones  []*phone
	running sync.WaitGroup // of the phones
	hanging atomic.Bool    // connections are to end

	load *load.Load // nil without one

	mu    sync.Mutex
	tally tally // guarded by mu
}

func newCrowd(setup crowdSetup) (*crowd, error) {
	ids, err := loadIdentities(filepath.Join(setup.Dir, devicesFile))
	if err != nil {
		return nil, err
	}
	if setup.Size < 1 || setup.Size > MaxDevicesPerProcess || setup.First < 0 || setup.First+setup.Size > min(len(ids.Keys), len(ids.Certificates)) {
		return nil, fmt.Errorf("no devices %d to %d", setup.First, setup.First+setup.Size)
	}
	c := &crowd{first: setup.First, phones: make([]*phone, setup.Size)}
	if c.dialer, err = source(setup.Source); err != nil {
		return nil, err
	}
	for _, der := range ids.Keys[setup.First:][:setup.Size] {
		key, err := x509.ParsePKCS8PrivateKey(der)
		if err != nil {
			return nil, err
		}
		signer, ok := key.(crypto.Signer)
		if !ok {
			return nil, fmt.Errorf("%T: not a key that signs", key)
		}
		c.keys = append(c.keys, signer)
	}
	ids.Keys, c.ids = nil, ids
	// Who answers is this machine; to verify it would be work of the load's, and
	// not the service's.
	c.bare = &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true}
	c.tls = &tls.Config{
		MinVersion: tls.VersionTLS12, InsecureSkipVerify: true, ServerName: "courier.push.apple.com", NextProtos: []string{setup.ALPN},
	}
	return c, nil
}

// runCrowd is a part: devices that do as they are told.
func (p *part) runCrowd(ctx context.Context, setup crowdSetup) (err error) {
	debug.SetGCPercent(crowdGC)
	c, failed := newCrowd(setup)
	if err := p.answer(reply{}, failed); err != nil || failed != nil {
		return err // of a failure, the parent knows
	}
	defer func() { err = errors.Join(err, c.closeLoad()) }()
	defer c.hang()
	var most int64 // pushes that are under way
	for {
		o, err := p.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		var r reply
		switch {
		case o.Do == orderBegin && o.Plan != nil:
			if err = c.closeLoad(); err == nil {
				c.load, err = load.Connect(ctx, *o.Plan)
			}
			most = max(1, int64(len(o.Plan.Paths))/2)
		case o.Do == orderRun && c.load != nil:
			var result load.Result
			c.load.HoldBack((&reins{crowd: c, most: most}).hold)
			result, err = c.load.Run(ctx)
			r.Result = &result
		case o.Do == orderConnect && o.Connect != nil:
			r.Connected, err = c.connect(ctx, *o.Connect)
		case o.Do == orderHang:
			c.hang()
		case o.Do == orderTally:
			r.Tally = c.take()
		default:
			err = fmt.Errorf("no order %q", o.Do)
		}
		if err := p.answer(r, err); err != nil {
			return err
		}
	}
}

// connect connects all phones, and returns when the last one was accepted.
func (c *crowd) connect(ctx context.Context, o connectOrder) (*connected, error) {
	if addr, err := netip.ParseAddrPort(o.Address); err != nil || !addr.Addr().IsLoopback() {
		return nil, fmt.Errorf("%q is not a loopback address: load goes to this machine alone", o.Address)
	}
	c.hang()
	c.hanging.Store(false)
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	began := time.Now()
	var next, retries atomic.Int64
	var working sync.WaitGroup
	errs := make([]error, min(handshakes, len(c.phones)))
	for w := range errs {
		working.Go(func() {
			for errs[w] == nil {
				i := int(next.Add(1) - 1)
				if i >= len(c.phones) {
					return
				}
				if errs[w] = c.connectOne(ctx, i, o, &retries); errs[w] != nil {
					cancel()
				}
			}
		})
	}
	working.Wait()
	for _, err := range errs {
		if err != nil { // one tells as much as all
			return nil, err
		}
	}
	return &connected{Wall: time.Since(began), Retries: retries.Load()}, nil
}

// connectOne connects a phone, again and again if need be.
func (c *crowd) connectOne(ctx context.Context, i int, o connectOrder, retries *atomic.Int64) error {
	for pause := minRetryPause; ; pause = min(2*pause, maxRetryPause) {
		err := c.tryOne(ctx, i, o)
		if err == nil {
			return nil
		}
		retries.Add(1)
		if errors.Is(err, errRefused) {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return fmt.Errorf("device %d: %w", c.first+i, err)
		}
	}
}

func (c *crowd) tryOne(ctx context.Context, i int, o connectOrder) error {
	ctx, cancel := context.WithTimeout(ctx, loginTimeout)
	defer cancel()
	config, greet := c.tls, (*phone).greet
	if o.Bare {
		config, greet = c.bare, (*phone).greetBare
	}
	conn, err := c.dial(ctx, o.Address, config)
	if err != nil {
		return err
	}
	p := &phone{crowd: c, conn: conn}
	_ = conn.SetDeadline(time.Now().Add(loginTimeout))
	if err := greet(p, c.first+i); err != nil {
		p.hang()
		return err
	}
	_ = conn.SetDeadline(time.Now().Add(MaxRun))
	c.phones[i] = p
	// Not this goroutine: a handshake leaves it with a large stack.
	c.running.Go(p.live)
	return nil
}

// hang closes all connections, and returns when they have ended.
func (c *crowd) hang() {
	c.hanging.Store(true)
	for i, p := range c.phones {
		if p != nil {
			p.hang()
			c.phones[i] = nil
		}
	}
	c.running.Wait()
}

// received counts a notification.
func (c *crowd) received(m *wire.Notification, repeated bool, now time.Time) {
	sent := sentAt(m.Payload)
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &c.tally
	t.Delivered++
	if repeated {
		t.Repeated++
	}
	t.LastReceived = max(t.LastReceived, now.UnixNano())
	if sent.IsZero() {
		return
	}
	t.Latency.Add(now.Sub(sent))
	if ns := sent.UnixNano(); t.FirstSent == 0 || ns < t.FirstSent {
		t.FirstSent = ns
	}
}

// lost notes that a connection has ended.
func (c *crowd) lost(err error) {
	if c.hanging.Load() {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tally.Lost++
	c.tally.Why = err.Error()
}

// take returns what was counted, and begins anew.
func (c *crowd) take() *tally {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.tally
	c.tally = tally{}
	return &t
}

// add adds what another crowd counted.
func (t *tally) add(o *tally) {
	t.Delivered += o.Delivered
	t.Repeated += o.Repeated
	t.Latency.Merge(&o.Latency)
	if t.FirstSent == 0 || o.FirstSent > 0 && o.FirstSent < t.FirstSent {
		t.FirstSent = o.FirstSent
	}
	t.LastReceived = max(t.LastReceived, o.LastReceived)
	if t.Lost += o.Lost; o.Lost > 0 {
		t.Why = o.Why
	}
}
