package platform

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/courier"
	"github.com/heraldpush/herald/faults"
	"github.com/heraldpush/herald/gateway"
	"github.com/heraldpush/herald/portal"
	"github.com/heraldpush/herald/registry"
	"github.com/heraldpush/herald/spool"
	"github.com/heraldpush/herald/trace"
)

// Config says what a Platform is made of.
type Config struct {
	// Stores of the rooms. Required. The platform closes SpoolStore.
	PortalStore   portal.Store
	RegistryStore registry.Store
	SpoolStore    spool.Store

	// Sealer seals the secrets in PortalStore and RegistryStore at rest. Nil
	// leaves them as they are, for stores that are never written to a disk.
	Sealer portal.Sealer

	// RSA is that of portal.Config: for platforms that are kept.
	RSA bool

	// ServerNames are host names of this platform, besides Apple's and
	// localhost. The first is its own name; clients use it where an address is
	// all they have. Empty means "herald.localhost".
	ServerNames []string
	// ServerIPs are addresses of this platform, besides the loopback ones.
	ServerIPs []netip.Addr

	// GatewayLimits bound what the gateway puts up with from a provider. Nil
	// means gateway.ProductionLimits().
	GatewayLimits *gateway.Limits
	// Faults are the gateway's faults on demand. Nil means none.
	Faults *faults.Simulator
	// DrainTimeout is how long providers' connections may take to end when the
	// platform stops. Zero means the gateway's default.
	DrainTimeout time.Duration
	// CourierDrain is the time over which devices are let go when the platform
	// stops. Zero means that all are at once.
	CourierDrain time.Duration
	// CourierPortable is courier.Config's Portable.
	CourierPortable bool
	// CourierRedirect is the host where devices are sent that have to go then.
	// Empty means that they come back here.
	CourierRedirect string
	// Trace says how much is kept of what happened to notifications, and where.
	// The zero value keeps it in memory. The Logger in it is not used.
	Trace trace.Config
	// TraceOff has nothing kept of it.
	TraceOff bool
	// Logger gets what the rooms and doors report. Nil means slog.Default().
	Logger *slog.Logger
}

// appleNames are the host names under which unchanged clients look for the
// service (docs/protocol/provider.md#environments,
// docs/protocol/courier.md#transport).
var appleNames = []string{
	"api.push.apple.com", "api.sandbox.push.apple.com", "api.development.push.apple.com",
	"courier.push.apple.com", "courier.sandbox.push.apple.com", "*.push.apple.com", "*.sandbox.push.apple.com",
	"localhost",
}

// Platform is the push service and the portal beside it, in one process.
type Platform struct {
	Portal   *portal.Portal
	Registry *registry.Registry
	Spool    *spool.Spool
	// Trace is what happened; nil with Config.TraceOff.
	Trace *trace.Recorder

	cfg     Config
	gateway *gateway.Gateway
	courier *courier.Courier

	mu          sync.Mutex
	certificate *tls.Certificate // the servers'; guarded by mu
}

// Open opens the rooms over their stores and makes the doors. After an error
// nothing is left open, but the stores.
func Open(ctx context.Context, cfg Config) (_ *Platform, err error) {
	if len(cfg.ServerNames) == 0 {
		cfg.ServerNames = []string{"herald.localhost"}
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	p := &Platform{cfg: cfg}
	if err := p.openTrace(); err != nil { //nolint:contextcheck // its work ends with Close
		return nil, err
	}
	defer func() {
		if err != nil {
			p.Trace.Close()
		}
	}()
	if p.Portal, err = portal.Open(ctx, portal.Config{
		Store: cfg.PortalStore, Sealer: cfg.Sealer, RSA: cfg.RSA, ServerNames: cfg.ServerNames, ServerIPs: cfg.ServerIPs,
	}); err != nil {
		return nil, err
	}
	if p.Registry, err = registry.Open(ctx, registry.Config{Store: cfg.RegistryStore, Sealer: cfg.Sealer}); err != nil {
		return nil, err
	}
	p.Spool, err = spool.New(spool.Config{Store: cfg.SpoolStore, Observe: p.observer(), Logger: cfg.Logger}) //nolint:contextcheck // its work ends with Close
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Spool.Close())
		}
	}()
	limits := gateway.ProductionLimits()
	if cfg.GatewayLimits != nil {
		limits = *cfg.GatewayLimits
	}
	gatewayConfig := gateway.Config{
		Portal: p.Portal, Registry: p.Registry, Spool: p.Spool, ServerCertificate: p.serverCertificate,
		DrainTimeout: cfg.DrainTimeout, Limits: limits, Trace: p.Trace, Logger: cfg.Logger.With(slog.String("door", "gateway")),
	}
	if cfg.Faults != nil {
		gatewayConfig.Faults = cfg.Faults
	}
	if p.gateway, err = gateway.New(gatewayConfig); err != nil {
		return nil, err
	}
	p.courier, err = courier.New(courier.Config{
		Portal: p.Portal, Registry: p.Registry, Spool: p.Spool, ServerCertificate: p.serverCertificate, Trace: p.Trace,
		DrainSpread: cfg.CourierDrain, RedirectHost: cfg.CourierRedirect, Portable: cfg.CourierPortable,
		Logger: cfg.Logger.With(slog.String("door", "courier")),
	})
	if err != nil {
		return nil, err
	}
	return p, nil
}

// ServerName returns the platform's own name, which its server certificate is
// valid for.
func (p *Platform) ServerName() string { return p.cfg.ServerNames[0] }

// renewBefore is how long before its end the server certificate is renewed.
const renewBefore = 20 * 24 * time.Hour

// serverCertificate returns the certificate of all doors, renewed in time.
func (p *Platform) serverCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c := p.certificate; c != nil && time.Until(c.Leaf.NotAfter) > renewBefore {
		return c, nil
	}
	names := append(append([]string(nil), p.cfg.ServerNames...), appleNames...)
	ips := []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback()}
	for _, ip := range p.cfg.ServerIPs {
		if !slices.Contains(ips, ip) {
			ips = append(ips, ip)
		}
	}
	c, err := p.Portal.ServerCertificate(names, ips)
	if err != nil {
		return nil, err
	}
	p.certificate = &c
	return p.certificate, nil
}

// Listeners are what a platform serves on. Serve closes them.
type Listeners struct {
	// Gateway has the listener of each environment's gateway.
	Gateway map[apns.Environment]net.Listener
	// Legacy and Feedback have those of its legacy interface, and of the
	// feedback service that belongs to that.
	Legacy, Feedback map[apns.Environment]net.Listener
	// Channels has further listeners of the gateways, for the management of
	// channels, which Apple has at an address of its own. What it serves is the
	// same.
	Channels map[apns.Environment]net.Listener
	// Courier is for devices and their activation.
	Courier net.Listener
}

// Close closes all listeners that Serve has not.
func (l Listeners) Close() error {
	var errs []error
	for _, one := range l.all() {
		if err := one.Close(); !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (l Listeners) all() (all []net.Listener) {
	for _, env := range apns.Environments {
		for _, of := range []map[apns.Environment]net.Listener{l.Gateway, l.Legacy, l.Feedback, l.Channels} {
			if one := of[env]; one != nil {
				all = append(all, one)
			}
		}
	}
	if l.Courier != nil {
		all = append(all, l.Courier)
	}
	return all
}

// Serve serves providers and devices until ctx ends or a door fails. It
// returns when all doors have ended their connections: nil if ctx ended.
func (p *Platform) Serve(ctx context.Context, l Listeners) error {
	err := RunParts(ctx, func(ctx context.Context, serve func(...Part)) error {
		doors := []Part{func(ctx context.Context) error {
			p.forgetChannels(ctx)
			return nil
		}}
		for _, of := range []map[apns.Environment]net.Listener{l.Gateway, l.Channels} {
			for env, one := range of {
				doors = append(doors, func(ctx context.Context) error { return p.gateway.Serve(ctx, one, env) })
			}
		}
		for env, one := range l.Legacy {
			doors = append(doors, func(ctx context.Context) error { return p.gateway.ServeLegacy(ctx, one, env) })
		}
		for env, one := range l.Feedback {
			doors = append(doors, func(ctx context.Context) error { return p.gateway.ServeFeedback(ctx, one, env) })
		}
		if l.Courier != nil {
			doors = append(doors, func(ctx context.Context) error { return p.courier.Serve(ctx, l.Courier) })
		}
		serve(doors...)
		<-ctx.Done()
		return nil
	})
	if err != nil {
		return fmt.Errorf("platform: %w", err)
	}
	return nil
}

// Close closes the spool and its store, and last what is kept of all that
// happened. Call it after Serve has returned.
func (p *Platform) Close() error {
	defer p.Trace.Close()
	return p.Spool.Close()
}
