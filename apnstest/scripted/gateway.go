package scripted

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/internal/memnet"
)

// Name is the first name in the certificate of every gateway, and the host of one
// in memory. The names of Apple's own gateways, localhost and the loopback addresses
// are in the certificate as well.
const Name = "gateway.example.com"

// TB is the part of testing.TB that a gateway needs.
type TB interface {
	Helper()
	Cleanup(func())
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// Config is what a gateway may be otherwise. The zero value is what New has.
type Config struct {
	// Listener is where it is reached; the gateway closes it. Nil: in memory, by
	// [Gateway.Dial] alone.
	Listener net.Listener
	// Plain leaves TLS out.
	Plain bool
	// NoALPN negotiates no protocol in the TLS handshake, as old gateways did. The
	// zero value negotiates h2.
	NoALPN bool
	// Keep is how many pushes are kept for [Gateway.Pushes], the newest. Zero stands for
	// 100,000. All are counted.
	Keep int
	// Discard keeps no pushes, and not either how often each of them was processed:
	// only counts. It is for long runs, and for measuring.
	Discard bool
	// Lenient keeps violations from failing the test, and Strict has also those fail
	// it that are [Violation.Racy]. They are in [Gateway.Violations] either way.
	Lenient, Strict bool
}

// defaultKeep is Config.Keep where none is given.
const defaultKeep = 100_000

// Gateway is a gateway that does as it is told. Its methods may be called at any
// time, also from within its callbacks.
type Gateway struct {
	config    Config
	authority *authority
	network   memnet.Network // where Config.Listener is nil
	listener  net.Listener
	running   sync.WaitGroup // the accept loop, and a goroutine for each connection

	mu      sync.Mutex
	closed  bool                          // guarded by mu
	down    bool                          // guarded by mu
	script  func(int) Script              // guarded by mu
	reply   func(Push) Reply              // guarded by mu
	replies map[apns.DeviceToken]sequence // guarded by mu
	conns   map[*conn]struct{}            // guarded by mu
	record  record                        // guarded by mu
	awaited bool                          // somebody waits for changed; guarded by mu
	changed chan struct{}                 // closed and replaced when the record changes; guarded by mu
}

// sequence is replies of which the last stays.
type sequence []Reply

// next returns the reply whose turn it is, and what is left.
func (s sequence) next() (Reply, sequence) {
	switch len(s) {
	case 0:
		return Accept(), s
	case 1:
		return s[0], s
	}
	return s[0], s[1:]
}

// New starts a gateway in memory, with TLS. It is closed at the end of the test,
// and whatever its clients did against the rules of HTTP/2 fails the test.
func New(t TB) *Gateway {
	t.Helper()
	return Config{}.New(t)
}

// Listen is New on a free port of the loopback interface, for clients that cannot
// be given [Gateway.Dial], such as those in another process.
func Listen(t TB) *Gateway {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("scripted: %v", err)
	}
	return Config{Listener: l}.New(t)
}

// New starts a gateway as c says, that is closed at the end of the test.
func (c Config) New(t TB) *Gateway {
	t.Helper()
	g, err := c.Start()
	if err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Errorf("%v", err)
		}
		for _, v := range g.Violations() {
			if !c.Lenient && (c.Strict || !v.Racy) {
				t.Errorf("scripted: %v", v)
			}
		}
	})
	return g
}

// Start starts a gateway outside of a test. The caller closes it.
func (c Config) Start() (*Gateway, error) {
	if c.Keep == 0 {
		c.Keep = defaultKeep
	}
	g := &Gateway{
		config: c, listener: c.Listener,
		replies: make(map[apns.DeviceToken]sequence), conns: make(map[*conn]struct{}), changed: make(chan struct{}),
		record: record{keep: c.Keep, discard: c.Discard, attempts: make(map[Key]int), processed: make(map[Key]int)},
	}
	g.Script(Script{})
	g.Reply()
	var err error
	if g.authority, err = newAuthority(); err != nil {
		return nil, fmt.Errorf("scripted: %w", err)
	}
	if g.listener == nil {
		if g.listener, err = g.network.Listen(Name + ":443"); err != nil {
			return nil, fmt.Errorf("scripted: %w", err)
		}
	}
	g.running.Go(g.accept)
	return g, nil
}

// Close ends all connections, and returns when all goroutines have ended. The
// record can still be read.
func (g *Gateway) Close() error {
	g.mu.Lock()
	g.closed = true
	for c := range g.conns {
		c.end()
	}
	g.change()
	g.mu.Unlock()
	err := g.listener.Close()
	g.running.Wait()
	if err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("scripted: closing the listener: %w", err)
	}
	return nil
}

// Addr returns the address of the gateway, "host:port". In memory, it is one that
// only Dial knows.
func (g *Gateway) Addr() string { return g.listener.Addr().String() }

// URL returns what the paths of requests are put behind, such as
// "https://gateway.example.com:443".
func (g *Gateway) URL() string {
	if g.config.Plain {
		return "http://" + g.Addr()
	}
	return "https://" + g.Addr()
}

// Dial connects to the gateway, whatever the address: it has the form of
// net.Dialer.DialContext, and stands in the place of it in a client that believes to
// dial Apple.
func (g *Gateway) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	g.mu.Lock()
	down := g.down
	g.mu.Unlock()
	if down {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Addr: g.listener.Addr(), Err: syscall.ECONNREFUSED}
	}
	if g.config.Listener == nil {
		return g.network.DialContext(ctx, "tcp", g.Addr())
	}
	return new(net.Dialer).DialContext(ctx, g.listener.Addr().Network(), g.Addr())
}

// Roots returns what a client has to trust.
func (g *Gateway) Roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(g.authority.root)
	return pool
}

// RootPEM returns the certificate that a client has to trust, as a file holds it:
// for clients that are no Go programs.
func (g *Gateway) RootPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: g.authority.root.Raw})
}

// Reply sets how pushes are answered for which there is nothing else: the first
// push with the first reply, and all from the last on with the last. None is Accept().
func (g *Gateway) Reply(replies ...Reply) {
	rest := sequence(replies)
	var mu sync.Mutex
	g.OnPush(func(Push) (r Reply) {
		mu.Lock()
		defer mu.Unlock()
		r, rest = rest.next()
		return r
	})
}

// ReplyTo sets how pushes to a device token are answered, whatever Reply and OnPush
// say: the first with the first reply, and all from the last on with the last. Without
// replies it takes back what was set.
func (g *Gateway) ReplyTo(to apns.DeviceToken, replies ...Reply) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(replies) == 0 {
		delete(g.replies, to)
		return
	}
	g.replies[to] = replies
}

// OnPush sets what decides how a push is answered. It is called when the push has
// arrived whole, for the pushes of one connection in their order, for those of several
// at once; it must not block. It replaces what Reply said.
func (g *Gateway) OnPush(decide func(Push) Reply) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.reply = decide
}

// Script sets how connections go that are opened from now on.
func (g *Gateway) Script(s Script) { g.OnConnect(func(int) Script { return s }) }

// OnConnect sets what decides how a connection goes. It is called with the number
// of the connection, from 1, as soon as it was accepted; it must not block.
func (g *Gateway) OnConnect(decide func(n int) Script) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.script = decide
}

// Do does something to all connections that are open.
func (g *Gateway) Do(a Action) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for c := range g.conns {
		if c.open {
			a.do(c)
		}
	}
}

// Down has the gateway refuse to be dialled, or not any more. [Gateway.Dial] returns
// ECONNREFUSED meanwhile; who comes to the listener by another way finds the connection
// reset. Connections that are open stay so.
func (g *Gateway) Down(down bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.down = down
}

// answer returns the reply to a push.
func (g *Gateway) answer(p Push) Reply {
	g.mu.Lock()
	if s, ok := g.replies[p.DeviceToken]; ok {
		var r Reply
		r, g.replies[p.DeviceToken] = s.next()
		g.mu.Unlock()
		return r
	}
	decide := g.reply
	g.mu.Unlock()
	return decide(p)
}

// accept serves each connection until the listener is closed.
func (g *Gateway) accept() {
	for {
		nc, err := g.listener.Accept()
		if err != nil {
			if errors.Is(err, syscall.ECONNABORTED) {
				continue
			}
			return
		}
		g.mu.Lock()
		g.record.counts.Opened++
		c := newConn(g, nc, g.record.counts.Opened)
		g.conns[c] = struct{}{}
		if g.closed || g.down {
			c.end()
		}
		g.change()
		g.mu.Unlock()
		g.running.Go(c.serve)
	}
}

// tls returns the configuration for a connection.
func (g *Gateway) tls(h Handshake) *tls.Config {
	cfg := &tls.Config{
		Certificates: []tls.Certificate{g.authority.leaf}, MinVersion: tls.VersionTLS12,
		ClientAuth: tls.RequestClientCert, // any is taken: who it is for is not asked here
	}
	if !g.config.NoALPN {
		cfg.NextProtos = []string{"h2"}
	}
	if h == HandshakeRefused {
		cfg.VerifyConnection = func(tls.ConnectionState) error { return errRefused }
	}
	return cfg
}

// errRefused is what a handshake ends with that is to be refused.
var errRefused = errors.New("the script refuses the certificate")
