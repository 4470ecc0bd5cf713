// Package dev runs the whole platform on one machine for those who develop
// against it: a made-up team with an app, a key and a certificate, and one
// virtual device that is connected and shows what arrives.
//
// All it keeps is in one folder: the rooms' state, the credentials as files
// for any client to use, dev.json with every address and name (see Values),
// and notifications.jsonl with what the device received.
package dev

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/heraldpush/herald/admin"
	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/console"
	"github.com/heraldpush/herald/courier"
	"github.com/heraldpush/herald/device"
	"github.com/heraldpush/herald/faults"
	"github.com/heraldpush/herald/gateway"
	"github.com/heraldpush/herald/platform"
	"github.com/heraldpush/herald/trace"
)

// Topic is the App ID of the made-up team.
const Topic apns.Topic = "com.example.demo"

// Config says how to run.
type Config struct {
	// Dir is the folder for everything: missing, empty, or of an earlier run.
	// Empty means a temporary one, removed at the end.
	Dir string
	// Addr is the address to listen at. Required.
	Addr netip.Addr
	// Ports says which ports to take.
	Ports Ports
	// Faults is the plan of faults on demand to begin with. Nil means none; magic
	// device tokens are on in any case.
	Faults *faults.Plan
	// Trace says how much is kept of what happened to notifications. Its Dir and
	// Logger are not used: it is in the folder, or in memory if that is temporary.
	Trace trace.Config
	// TraceOff has nothing kept of it.
	TraceOff bool
	// Ready is called when everything answers, after dev.json was written.
	// Required.
	Ready func(Running)
	// Show is called for each notification as the device shows it. Required.
	Show func(device.Presentation)
	// Logger gets what rooms and doors report. Required.
	Logger *slog.Logger
}

// Running is what Ready is told.
type Running struct {
	// Dir is the folder, absolute.
	Dir string
	// Kept reports that Dir was of an earlier run.
	Kept bool
	// Temporary reports that Dir will be removed.
	Temporary bool
	Values
}

// Limits in time.
const (
	startTimeout = 20 * time.Second // for the device to connect and register
	drainTimeout = 500 * time.Millisecond
)

// Run runs the platform until ctx ends, which is no error. It cleans up
// before it returns: dev.json is gone when nothing answers any more.
func Run(ctx context.Context, cfg Config) (err error) {
	dir, err := openHome(ctx, cfg.Dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(dir.Explain(err), dir.close()) }()

	listeners, err := listen(ctx, cfg.Addr, cfg.Ports)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, listeners.close()) }()

	pages := console.New()
	sim, err := newFaults(cfg, pages)
	if err != nil {
		return err
	}
	p, err := openPlatform(ctx, cfg, dir, sim)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	dev, err := develop(ctx, p, dir)
	if err != nil {
		return err
	}
	if err := dir.Finish(); err != nil {
		return err
	}
	pages.Explain(p.Trace)
	r := &rig{cfg: cfg, dir: dir, platform: p, developer: dev, listeners: listeners, console: pages, faults: sim}
	return r.run(ctx)
}

func openPlatform(ctx context.Context, cfg Config, dir *home, sim *faults.Simulator) (*platform.Platform, error) {
	store, err := dir.OpenSpool(cfg.Logger)
	if err != nil {
		return nil, err
	}
	p, err := platform.Open(ctx, platform.Config{
		PortalStore: dir.PortalStore(), RegistryStore: dir.RegistryStore(), Sealer: dir.Sealer(), RSA: true,
		SpoolStore: store, GatewayLimits: new(gateway.DevelopmentLimits()),
		Trace: dir.traceConfig(cfg.Trace), TraceOff: cfg.TraceOff,
		ServerIPs: []netip.Addr{cfg.Addr}, Faults: sim, DrainTimeout: drainTimeout, Logger: cfg.Logger,
	})
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return p, nil
}

// rig is a run: the platform, its credentials, and what it listens on.
type rig struct {
	cfg       Config
	dir       *home
	platform  *platform.Platform
	developer developer
	listeners *listeners
	journal   *journal
	console   *console.Console
	faults    *faults.Simulator
}

// run serves until ctx ends, or one of the parts does.
func (r *rig) run(ctx context.Context) (err error) {
	if r.journal, err = openJournal(r.dir.Path("notifications.jsonl")); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.journal.close()) }()
	return platform.RunParts(ctx, r.parts)
}

// parts runs the parts, and tells of them once everything answers.
func (r *rig) parts(ctx context.Context, serve func(...platform.Part)) error {
	serve(func(ctx context.Context) error { return r.platform.Serve(ctx, r.listeners.platform) })

	phone, token, err := r.startDevice(ctx, serve)
	if err != nil {
		return err
	}
	idle, err := r.dir.idleDevice(ctx, r.platform)
	if err != nil {
		return err
	}
	key := rand.Text()
	values := r.values(phone, token, idle, key)
	r.console.Describe(values.facts(), values.Curl())
	serve(func(ctx context.Context) error {
		return platform.ServeHTTP(ctx, r.listeners.http, r.pages(key), r.cfg.Logger)
	})
	if err := errors.Join(r.dir.WriteRun(values[KeyHTTP], key), r.dir.writeValues(values)); err != nil {
		return err
	}
	r.cfg.Ready(Running{Dir: r.dir.Dir(), Kept: r.dir.kept, Temporary: r.dir.temporary != "", Values: values})
	<-ctx.Done()
	return errors.Join(r.dir.removeValues(), r.dir.RemoveRun())
}

// pages returns what answers over HTTP: the platform API, and the console.
func (r *rig) pages(key string) http.Handler {
	mux := http.NewServeMux()
	mux.Handle(admin.Prefix, admin.New(admin.Config{Portal: r.platform.Portal, Faults: r.faults, Trace: r.platform.Trace, Key: key, Logger: r.cfg.Logger}))
	mux.Handle("/", r.console)
	return mux
}

// startDevice starts the virtual device and waits until its app has a device
// token. The device ends before the platform, and so says goodbye to a courier that
// is there.
func (r *rig) startDevice(ctx context.Context, serve func(...platform.Part)) (*device.Device, apns.DeviceToken, error) {
	phone, err := device.New(device.Config{
		Courier:       r.listeners.platform.Courier.Addr().String(),
		Environment:   apns.Sandbox,
		Activation:    r.activationURL(),
		EnrolmentCode: r.dir.state.EnrolmentCode,
		Roots:         r.developer.roots,
		Dir:           r.dir.Path(deviceDir),
		Screen:        r.show,
		Logger:        r.cfg.Logger.With(slog.String("part", "device")),
	})
	if err != nil {
		return nil, "", err
	}
	tokens := make(chan apns.DeviceToken, 1)
	failures := make(chan error, 1)
	err = phone.RegisterForRemoteNotifications(Topic, device.Alert|device.Sound|device.Badge, device.Delegate{
		DidRegister: func(t apns.DeviceToken) {
			select {
			case tokens <- t:
			default: // it asked again after a reconnection
			}
		},
		DidFailToRegister: func(err error) {
			select {
			case failures <- err:
			default:
			}
		},
		DidReceive: r.receive,
	})
	if err != nil {
		return nil, "", err
	}
	serve(phone.Run)
	waiting, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := phone.Connected(waiting); err != nil {
		return nil, "", err
	}
	select {
	case t := <-tokens:
		return phone, t, nil
	case err := <-failures:
		return nil, "", err
	case <-waiting.Done():
		return nil, "", fmt.Errorf("virtual device: no device token: %w", context.Cause(waiting))
	}
}

func (r *rig) activationURL() string {
	return "https://" + r.listeners.platform.Courier.Addr().String() + courier.ActivationPath
}

// receive writes down what the app received.
func (r *rig) receive(n device.Notification) {
	if err := r.journal.add(n); err != nil {
		r.cfg.Logger.Error("notification was not written down", slog.Any("error", err))
	}
}

// show passes on what the device shows.
func (r *rig) show(p device.Presentation) {
	r.console.Show(p)
	r.cfg.Show(p)
}
