package courier

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/internal/door"
	"github.com/heraldpush/herald/portal"
	"github.com/heraldpush/herald/registry"
	"github.com/heraldpush/herald/spool"
	"github.com/heraldpush/herald/trace"
	"github.com/heraldpush/herald/wire"
)

// Config says what a courier works with.
type Config struct {
	// Portal tells who a device is, and activates devices. Required.
	Portal *portal.Portal
	// Registry makes the devices' tokens. Required.
	Registry *registry.Registry
	// Spool has what is to be delivered. Required.
	Spool *spool.Spool
	// ServerCertificate gives the certificate for a handshake. Required.
	ServerCertificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// DefaultEnvironment is that of a device that asks for a server name which
	// is neither of Apple's two. Zero means sandbox.
	DefaultEnvironment apns.Environment
	// MaxUnproven is how many connections there may be, devices and
	// activations together, that have not proved who they are. Further ones are
	// closed at once, before any cryptography. Zero means 16,384.
	MaxUnproven int
	// MaxUnprovenPerPrefix is how many of them may come from one network, an
	// IPv4 /24 or an IPv6 /56; from the machine itself any number may. Zero
	// means a sixteenth of MaxUnproven, negative any number.
	MaxUnprovenPerPrefix int
	// MaxHandshakes is how many TLS handshakes are computed at a time. Others
	// wait for 5 s at most, and are closed then. Zero means twice GOMAXPROCS.
	MaxHandshakes int
	// MaxAcceptsPerSecond is how many connections may come in a second. Further
	// ones are closed at once. Zero means any number.
	MaxAcceptsPerSecond int
	// WriteTimeout bounds each write to a device. Zero means 30 seconds.
	WriteTimeout time.Duration
	// MaxConnects is how often a device may connect in a minute. Further
	// connections are closed. Zero means 60, negative that there is no bound.
	MaxConnects int
	// DrainSpread is the time over which devices are let go when Serve's context
	// ends, so that they do not all come to another courier at once. Zero means
	// that all are closed at once.
	DrainSpread time.Duration
	// RedirectHost is where devices are sent that have to go then. Empty means
	// nowhere: they come back here.
	RedirectHost string
	// Trace gets a line for each notification that is handed to a device and
	// acknowledged. Nil means that none are kept.
	Trace *trace.Recorder
	// Portable keeps to the transport that is the same on all systems. On Linux
	// there is another for TCP, which costs an idle connection a third less
	// memory.
	Portable bool
	// Logger gets a line for what goes wrong, and at debug level for each
	// connection. Nil means slog.Default().
	Logger *slog.Logger
}

// Server names by which a device says which environment it wants
// (docs/protocol/courier.md#transport).
const (
	SandboxServerName    = "courier.sandbox.push.apple.com"
	ProductionServerName = "courier.push.apple.com"
)

// ActivationPath is where the activation door answers.
const ActivationPath = "/v1/activate"

// Limits in time. A device that does not keep to them is let go.
const (
	connectTimeout = 30 * time.Second // TLS handshake and Connect
	filterTimeout  = time.Minute      // from Connect to the first Filter
)

// storeTimeout bounds what a device waits for the stores.
const storeTimeout = 30 * time.Second

// Courier keeps the connections of devices.
type Courier struct {
	cfg        Config
	tls        *tls.Config
	activation http.Handler
	nonces     nonces
	counts     counts
	pace       pace
	sessions   roster
	draining   atomic.Bool
	entrance   admission // knows the connections that have not proved who they are
	turnstile  turnstile
	// connected is the connections that have, by the device that each is of.
	connected door.Roll[apns.DeviceID, line]
}

// New returns a courier, or says what the configuration lacks.
func New(cfg Config) (*Courier, error) {
	if cfg.Portal == nil || cfg.Registry == nil || cfg.Spool == nil || cfg.ServerCertificate == nil {
		return nil, errors.New("courier: Portal, Registry, Spool and ServerCertificate are required")
	}
	if cfg.DefaultEnvironment == 0 {
		cfg.DefaultEnvironment = apns.Sandbox
	}
	if cfg.MaxUnproven == 0 {
		cfg.MaxUnproven = 1 << 14
	}
	if cfg.MaxConnects == 0 {
		cfg.MaxConnects = 60
	}
	if cfg.DrainSpread < 0 {
		return nil, errors.New("courier: DrainSpread is negative")
	}
	if cfg.MaxUnprovenPerPrefix == 0 {
		cfg.MaxUnprovenPerPrefix = max(1, cfg.MaxUnproven/16)
	}
	if cfg.MaxHandshakes == 0 {
		cfg.MaxHandshakes = 2 * runtime.GOMAXPROCS(0)
	}
	if cfg.WriteTimeout == 0 {
		cfg.WriteTimeout = 30 * time.Second
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	c := &Courier{
		cfg: cfg,
		tls: &tls.Config{
			MinVersion:     tls.VersionTLS12,
			GetCertificate: cfg.ServerCertificate,
			// All that is accepted must be listed: a handshake with none in
			// common is refused. The first in common is taken.
			NextProtos: []string{wire.ALPNHerald, wire.ALPNSecurityV3, wire.ALPNSecurityV2, alpnHTTP},
			// Older devices prove themselves in TLS, newer ones in Connect.
			ClientAuth: tls.VerifyClientCertIfGiven,
			ClientCAs:  cfg.Portal.DeviceRoots(),
			// What is waiting for a device goes in one record, and one write.
			DynamicRecordSizingDisabled: true,
		},
		activation: newActivation(cfg),
		entrance: admission{
			most: cfg.MaxUnproven, mostPerPrefix: cfg.MaxUnprovenPerPrefix, rate: float64(cfg.MaxAcceptsPerSecond),
		},
	}
	c.turnstile.open(cfg.MaxHandshakes)
	return c, nil
}

const alpnHTTP = "http/1.1"

// Serve accepts connections until ctx ends or the listener fails. It closes
// the listener, and returns when all connections have ended: nil if ctx ended.
// When it does, nothing more is accepted, and devices are let go over
// Config.DrainSpread.
func (c *Courier) Serve(stop context.Context, l net.Listener) error {
	var beside sync.WaitGroup
	defer beside.Wait()
	ctx, cancel := context.WithCancel(context.WithoutCancel(stop))
	defer cancel()
	accepting := newGate(l)
	beside.Go(func() {
		defer cancel()
		select {
		case <-stop.Done():
		case <-ctx.Done():
			return
		}
		if c.cfg.DrainSpread > 0 {
			accepting.stop()
			c.drain(ctx)
		}
	})
	l = accepting
	beside.Go(func() { c.endRevoked(ctx) })
	_, isTCP := l.Addr().(*net.TCPAddr)
	on := startLoops(ctx, isTCP && !c.cfg.Portable, c.cfg.Logger)
	defer on.stop()
	defer context.AfterFunc(ctx, on.cutAll)()
	given := newHandoff(l.Addr())
	c.serveActivation(ctx, &beside, given)
	if err := door.Serve(ctx, l, c.cfg.Logger, func(ctx context.Context, raw net.Conn) {
		c.serveConn(ctx, raw, given, on)
	}); err != nil {
		return fmt.Errorf("courier: %w", err)
	}
	return nil
}

func isLetter(b byte) bool { return 'A' <= b && b <= 'Z' }

// environment returns the environment that a server name stands for.
func (c *Courier) environment(serverName string) apns.Environment {
	// Devices put a number before the name they connect to: 17-courier….
	switch name := strings.ToLower(serverName); {
	case strings.HasSuffix(name, SandboxServerName):
		return apns.Sandbox
	case strings.HasSuffix(name, ProductionServerName):
		return apns.Production
	}
	return c.cfg.DefaultEnvironment
}
