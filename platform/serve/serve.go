package serve

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/heraldpush/herald/admin"
	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/faults"
	"github.com/heraldpush/herald/gateway"
	"github.com/heraldpush/herald/platform"
	"github.com/heraldpush/herald/platform/folder"
	"github.com/heraldpush/herald/trace"
)

// Config says how to run.
type Config struct {
	// Dir is the folder that herald portal init made. Required.
	Dir string
	// At says where to listen. Required.
	At Addresses
	// Names are host names by which providers and devices reach the service,
	// besides Apple's and localhost. The first is its own.
	Names []string
	// IPs are addresses by which they do, besides the loopback ones.
	IPs []netip.Addr
	// Limits bound what the gateway puts up with. Nil means
	// gateway.ProductionLimits().
	Limits *gateway.Limits
	// Drain is the time over which devices are let go at the end. Zero cuts all
	// of them at once.
	Drain time.Duration
	// Ready is called when everything answers. Required.
	Ready func(Running)
	// Redirect is where devices are sent then, HOST or HOST:PORT. Empty leaves it
	// to them.
	Redirect string
	// Trace says how much is kept of what happened to notifications. Its Dir is
	// within the folder.
	Trace trace.Config
	// TraceOff has nothing kept of it.
	TraceOff bool
	// Logger gets what rooms and doors report. Required.
	Logger *slog.Logger
}

// Running is what Ready is told.
type Running struct {
	// Dir is the folder, absolute.
	Dir string
	// Name is the service's own, in its server certificate.
	Name string
	// Listening has what listens, in the order in which people look for it.
	Listening []Listening
}

// Listening is a part that listens.
type Listening struct {
	// Key is what dev.json calls the address of such a part, such as
	// "gateway.production".
	Key string
	// Part names it for people.
	Part    string
	Address string
}

// Run runs the service until ctx ends, which is no error. It returns when
// everything has ended.
func Run(ctx context.Context, cfg Config) (err error) {
	f, err := folder.Open(ctx, cfg.Dir, folder.MadeByPortal)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(f.Explain(err), f.Close()) }()
	ls, err := listen(ctx, cfg.At)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ls.close()) }()
	p, sim, err := open(ctx, cfg, f)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	return run(ctx, cfg, f, ls, p, sim)
}

// open opens the platform over the folder's stores.
func open(ctx context.Context, cfg Config, f *folder.Folder) (*platform.Platform, *faults.Simulator, error) {
	store, err := f.OpenSpool(cfg.Logger)
	if err != nil {
		return nil, nil, err
	}
	// Nothing fails on demand before the API is told to; the log says so then.
	cfg.Trace.Dir = f.Path(folder.TraceDir)
	sim := faults.New(faults.Config{Logger: cfg.Logger})
	p, err := platform.Open(ctx, platform.Config{
		PortalStore: f.PortalStore(), RegistryStore: f.RegistryStore(), Sealer: f.Sealer(), RSA: true, SpoolStore: store,
		ServerNames: cfg.Names, ServerIPs: cfg.IPs, GatewayLimits: cfg.Limits, Faults: sim, CourierDrain: cfg.Drain, CourierRedirect: cfg.Redirect,
		Trace: cfg.Trace, TraceOff: cfg.TraceOff, Logger: cfg.Logger,
	})
	if err != nil {
		return nil, nil, errors.Join(err, store.Close())
	}
	return p, sim, nil
}

// run serves until ctx ends, or one of the parts does.
func run(ctx context.Context, cfg Config, f *folder.Folder, ls *listeners, p *platform.Platform, sim *faults.Simulator) error {
	return platform.RunParts(ctx, func(ctx context.Context, serve func(...platform.Part)) error {
		ls.served = true
		key := rand.Text()
		api := admin.New(admin.Config{Portal: p.Portal, Faults: sim, Trace: p.Trace, Key: key, Logger: cfg.Logger})
		serve(func(ctx context.Context) error { return p.Serve(ctx, ls.platform) })
		serve(func(ctx context.Context) error { return platform.ServeHTTP(ctx, ls.api, api, cfg.Logger) })
		if err := f.WriteRun("http://"+ls.api.Addr().String(), key); err != nil {
			return err
		}
		cfg.Ready(Running{Dir: f.Dir(), Name: p.ServerName(), Listening: ls.describe()})
		<-ctx.Done()
		return f.RemoveRun()
	})
}

// describe lists what listens.
func (ls *listeners) describe() (list []Listening) {
	add := func(key, part string, l net.Listener) {
		if l != nil {
			list = append(list, Listening{key, part, l.Addr().String()})
		}
	}
	for _, of := range []struct {
		key, part string
		at        map[apns.Environment]net.Listener
	}{
		{"gateway", "gateway", ls.platform.Gateway},
		{"channels", "channels", ls.platform.Channels},
		{"legacy", "legacy interface", ls.platform.Legacy},
		{"feedback", "feedback", ls.platform.Feedback},
	} {
		for _, env := range []apns.Environment{apns.Production, apns.Sandbox} {
			add(of.key+"."+env.String(), env.String()+" "+of.part, of.at[env])
		}
	}
	add("courier", "courier", ls.platform.Courier)
	add("http", "API", ls.api)
	return list
}
