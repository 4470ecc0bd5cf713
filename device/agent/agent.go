package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/device"
)

// agent is a run.
type agent struct {
	cfg    Config
	device *device.Device
	inbox  *inbox

	current device.Notification // the latest that an app got; of the goroutine that calls the delegates
	desktop *queue              // nil without a desktop
	command *command            // nil without a command
	ending  chan struct{}       // closed when no notification comes any more
	workers sync.WaitGroup      // on what came

	finishWithin time.Duration // is how long they may go on at the end

	reporting sync.Mutex // one event at a time

	mu      sync.Mutex
	reach   reach                       // guarded by mu
	waiting map[apns.Topic][]chan error // who waits for a device token; guarded by mu
	working func(apns.Topic, *box)      // starts commands for an app; nil while nothing runs; guarded by mu
	worked  map[*box]bool               // has them; guarded by mu
}

// reach is whether there is a courier.
type reach struct {
	connected bool
	since     time.Time
	courier   string
	reason    string // why not
}

// Run runs the agent of a device until ctx ends, which is no error; then it
// says goodbye to the courier, and lets what works on notifications finish for
// some seconds.
//
// Its errors wrap ErrInUse if another process has the folder, or are those of
// device.New, of device.Run, or a *SocketError.
func Run(ctx context.Context, cfg Config) (err error) {
	cfg, err = cfg.withDefaults()
	if err != nil {
		return err
	}
	held, err := lock(cfg.Dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, held.Close()) }()
	a, err := open(cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.inbox.journal.close()) }()
	socket, err := listen(ctx, cfg.socket())
	if err != nil {
		return err
	}
	if err := cfg.Settings.write(cfg.Dir); err != nil {
		return errors.Join(err, socket.Close())
	}
	return a.run(ctx, socket)
}

// open returns an agent that does nothing yet. Its folder is held.
func open(cfg Config) (*agent, error) {
	a := &agent{
		cfg: cfg, finishWithin: finishWithin, ending: make(chan struct{}), waiting: make(map[apns.Topic][]chan error),
		worked: make(map[*box]bool),
	}
	d, err := cfg.device()
	if err != nil {
		return nil, err
	}
	d.Screen, d.DidConnect, d.DidDisconnect = a.show, a.connected, a.disconnected
	if a.device, err = device.New(d); err != nil {
		return nil, err
	}
	var damaged int
	if a.inbox, damaged, err = openInbox(cfg.Dir, defaultLimits, cfg.Command != ""); err != nil {
		return nil, err
	}
	if damaged > 0 {
		cfg.Logger.Warn("what was kept for readers was damaged in part, as by a crash", "lines", damaged)
	}
	if err := a.registerAll(); err != nil {
		return nil, errors.Join(err, a.inbox.journal.close())
	}
	return a, nil
}

// registerAll registers the apps of earlier runs and of the Config.
func (a *agent) registerAll() error {
	for _, r := range a.device.Registrations() {
		if err := a.register(App{Topic: r.Topic, Types: r.Types}); err != nil {
			return err
		}
	}
	for _, app := range a.cfg.Apps {
		if err := a.register(app); err != nil {
			return err
		}
	}
	return nil
}

// run serves the socket and the device.
func (a *agent) run(ctx context.Context, socket net.Listener) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	working, stopWork := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWork()
	if err := a.startWork(working); err != nil {
		a.finishWork(stopWork)
		return errors.Join(err, socket.Close())
	}
	var parts sync.WaitGroup
	failures := make([]error, 2)
	serve := func(i int, part func() error) {
		parts.Go(func() {
			failures[i] = part()
			fail(failures[i]) // without one, nothing else can go on either
		})
	}
	serve(0, func() error { return a.serve(ctx, socket) })
	serve(1, func() error { return a.device.Run(ctx) })
	if a.cfg.Ready != nil {
		var topics []apns.Topic
		for _, r := range a.device.Registrations() {
			topics = append(topics, r.Topic)
		}
		a.cfg.Ready(Ready{Socket: a.cfg.socket(), Device: a.device.ID(), Apps: topics})
	}
	parts.Wait()
	a.left()
	a.finishWork(stopWork)
	return errors.Join(failures...)
}

// startWork starts who works on notifications.
func (a *agent) startWork(working context.Context) error {
	if a.cfg.Command != "" {
		a.command = newCommand(a.cfg)
		a.mu.Lock()
		a.working = func(topic apns.Topic, b *box) {
			a.workers.Go(func() {
				a.runCommands(working, topic, b)
				a.mu.Lock()
				defer a.mu.Unlock()
				delete(a.worked, b)
			})
		}
		a.mu.Unlock()
		for _, r := range a.device.Registrations() {
			if err := a.openBox(r.Topic); err != nil {
				return err
			}
		}
	}
	if a.cfg.Desktop != nil {
		a.desktop = newQueue(working, &a.workers, func(ctx context.Context, e Event) {
			if err := a.cfg.Desktop(ctx, e); err != nil {
				a.failed(e.Topic, fmt.Errorf("notification %s on the desktop: %w", e.ID, err))
			}
		}, func(e Event) { a.failed(e.Topic, fmt.Errorf("notification %s was not shown on the desktop", e.ID)) })
	}
	return nil
}

// openBox opens the box of an app, with commands if there are any.
func (a *agent) openBox(topic apns.Topic) error {
	b, err := a.inbox.open(topic)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.working != nil && !a.worked[b] {
		a.worked[b] = true
		a.working(topic, b)
	}
	return nil
}

// finishWork waits for who works on notifications, but not for ever. The
// device has ended.
func (a *agent) finishWork(stop context.CancelFunc) {
	a.mu.Lock()
	a.working = nil // whoever registers now comes too late
	a.mu.Unlock()
	close(a.ending)
	if a.desktop != nil {
		a.desktop.close()
	}
	enough := time.AfterFunc(a.finishWithin, stop)
	defer enough.Stop()
	a.workers.Wait()
}

// register registers an app, whose delegate is the agent.
func (a *agent) register(app App) error {
	err := a.device.RegisterForRemoteNotifications(app.Topic, app.Types, device.Delegate{
		DidRegister:       func(t apns.DeviceToken) { a.registered(app.Topic, t) },
		DidFailToRegister: func(err error) { a.refused(app.Topic, err) },
		DidReceive:        func(n device.Notification) { a.current = n },
	})
	if err != nil {
		return err
	}
	return a.openBox(app.Topic)
}

// uninstall takes an app off the device, with what is kept for it.
func (a *agent) uninstall(topic apns.Topic) error {
	a.device.Uninstall(topic)
	a.settle(topic, errNoApp)
	return a.inbox.remove(topic)
}

// registration returns an app that is registered.
func (a *agent) registration(topic apns.Topic) (device.Registration, bool) {
	all := a.device.Registrations()
	i := slices.IndexFunc(all, func(r device.Registration) bool { return r.Topic == topic })
	if i < 0 {
		return device.Registration{}, false
	}
	return all[i], true
}

// await returns a channel that gets what becomes of the registration of an app,
// and what to call when nobody waits any more.
func (a *agent) await(topic apns.Topic) (outcome <-chan error, leave func()) {
	c := make(chan error, 1)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.waiting[topic] = append(a.waiting[topic], c)
	return c, func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		left := slices.DeleteFunc(a.waiting[topic], func(other chan error) bool { return other == c })
		if a.waiting[topic] = left; len(left) == 0 {
			delete(a.waiting, topic)
		}
	}
}

// settle tells those who wait what became of the registration of an app.
func (a *agent) settle(topic apns.Topic, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, c := range a.waiting[topic] {
		select {
		case c <- err:
		default: // it was told already
		}
	}
}

func (a *agent) registered(topic apns.Topic, t apns.DeviceToken) {
	a.report(Event{Kind: Registered, Topic: topic, DeviceToken: t.Hex(), Environment: a.cfg.Settings.Environment.String()})
	a.settle(topic, nil)
}

func (a *agent) refused(topic apns.Topic, err error) {
	a.failed(topic, err)
	a.settle(topic, err)
}

// show is called by the device after DidReceive, with what is shown of the
// same notification. What it keeps is kept before the device notes that the app
// has it.
func (a *agent) show(p device.Presentation) {
	n := a.current
	a.current = device.Notification{}
	if n.Topic != p.Topic || n.ID != p.ID {
		if !p.Silent { // else it is for no app: the user denied it
			a.failed(p.Topic, errors.New("a notification was shown that no app got"))
		}
		return
	}
	e := received(n, p)
	if !n.Again || !a.inbox.has(e.Topic, e.ID) {
		doc, err := e.JSON()
		if err == nil {
			err = a.inbox.add(e.Topic, e.ID, doc)
		}
		if err != nil {
			a.failed(e.Topic, fmt.Errorf("keeping notification %s: %w", e.ID, err))
		}
	}
	a.report(e)
	if a.desktop != nil && e.Shown != nil {
		a.desktop.put(e)
	}
}

func (a *agent) connected(courier string) {
	a.mu.Lock()
	a.reach = reach{connected: true, since: time.Now(), courier: courier}
	a.mu.Unlock()
	a.report(Event{Kind: Connected, Courier: courier, Device: a.device.ID()})
}

func (a *agent) disconnected(reason error) {
	a.mu.Lock()
	if a.reach.connected || a.reach.since.IsZero() {
		a.reach.since = time.Now()
	}
	a.reach.connected, a.reach.reason = false, reason.Error()
	a.mu.Unlock()
	a.report(Event{Kind: Disconnected, Reason: reason.Error()})
}

// left says that the agent ends, unless it was not connected anyway.
func (a *agent) left() {
	a.mu.Lock()
	connected := a.reach.connected
	a.mu.Unlock()
	if connected {
		a.disconnected(errors.New(Ended))
	}
}

// failed reports what did not work, and logs it.
func (a *agent) failed(topic apns.Topic, err error) {
	a.cfg.Logger.Warn("something failed", "topic", topic, "error", err)
	a.report(Event{Kind: Failed, Topic: topic, Reason: err.Error()})
}

// report passes on an event.
func (a *agent) report(e Event) {
	if e.Time.IsZero() {
		e.Time = time.Now().UTC()
	}
	if a.cfg.Report == nil {
		return
	}
	a.reporting.Lock()
	defer a.reporting.Unlock()
	a.cfg.Report(e)
}
