package crash

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnsclient"
	"github.com/heraldpush/herald/courier"
	"github.com/heraldpush/herald/credential"
	"github.com/heraldpush/herald/device"
)

// world is a service, a provider, and devices.
type world struct {
	service *service
	ledger  *ledger
	first   ready
	courier dialer
	serving func() bool
	// arrived is what an app does with a notification.
	arrived func(mailbox, device.Notification)
	roots   *x509.CertPool
	phones  []*phone
	running sync.WaitGroup // of the phones
	dir     string

	sending apnsclient.Config
	mu      sync.Mutex
	senders []*apnsclient.Sender // the last one is in use; guarded by mu
}

// dialer is device.Config.Dial, and apnsclient.Config.Dial.
type dialer = func(ctx context.Context, network, address string) (net.Conn, error)

// habit is how a device spends its time.
type habit int

// The habits.
const (
	stays habit = iota // is connected as long as it can be
	flaps              // comes and goes, each time as a process of its own would
	dies               // is in a process that is killed
	away               // comes at the end
)

// phone is a device with all the apps.
type phone struct {
	world  *world
	number int
	habit  habit
	tokens map[apns.Topic]apns.DeviceToken
	nudges atomic.Int64 // how often its network came back before it tried again
}

// newWorld starts a service in a new folder, and has so many devices of each of
// the habits activate and register.
func newWorld(t *testing.T, each int, habits ...habit) *world {
	t.Helper()
	return newWorldIn(t, t.TempDir(), each, habits...)
}

// newWorldIn is newWorld in a folder that there is.
func newWorldIn(t *testing.T, dir string, each int, habits ...habit) *world {
	t.Helper()
	w := &world{service: newService(t, dir), ledger: newLedger(), roots: x509.NewCertPool(), dir: t.TempDir()}
	w.courier, w.serving = w.service.dial(func(r ready) string { return r.Courier }), w.service.isServing
	w.arrived = func(box mailbox, n device.Notification) { w.ledger.arrive(box, n.ID, how(n)) }
	w.first = w.service.run(t)
	if !w.roots.AppendCertsFromPEM(w.first.Roots) {
		t.Fatal("no authority to trust")
	}
	key, err := credential.ParseP8(w.first.P8)
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := apnsclient.NewProviderTokens(w.first.Team, w.first.KeyID, key)
	if err != nil {
		t.Fatal(err)
	}
	w.sending = apnsclient.Config{
		Environment: environment, Host: w.first.ServerName, Roots: w.roots, ProviderTokens: tokens, Timeout: 5 * time.Second,
		Dial: w.service.dial(func(r ready) string { return r.Gateway }),
	}
	if err := w.renew(nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, s := range w.senders {
			_ = s.Close() // its connection is gone
		}
	})
	for i := range len(habits) * each {
		w.phones = append(w.phones, &phone{world: w, number: i, habit: habits[i%len(habits)], tokens: make(map[apns.Topic]apns.DeviceToken)})
	}
	var registering sync.WaitGroup
	for _, p := range w.phones {
		registering.Go(func() {
			if err := p.register(t.Context()); err != nil {
				t.Errorf("device %d: %v", p.number, err)
			}
		})
	}
	registering.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return w
}

// how says what is special about a notification: the time of the push service, by
// which deliveries of the same one are known.
func how(n device.Notification) string {
	return fmt.Sprintf("sent=%d,stored=%v,again=%v", n.SentAt.UnixNano(), n.Stored, n.Again)
}

// device returns the device in its folder, with its apps. told gets their device
// tokens.
func (p *phone) device(told func(apns.Topic, apns.DeviceToken)) (*device.Device, error) {
	w := p.world
	d, err := device.New(device.Config{
		Courier: "courier.push.apple.com:5223", Environment: environment, Roots: w.roots,
		Activation: "https://courier.push.apple.com" + courier.ActivationPath, EnrolmentCode: w.first.Enrolment,
		Dial: w.courier,
		Dir:  filepath.Join(w.dir, fmt.Sprint(p.number)), Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, err
	}
	for _, topic := range topics {
		err := d.RegisterForRemoteNotifications(topic, device.Alert, device.Delegate{
			DidRegister: func(t apns.DeviceToken) { told(topic, t) },
			DidReceive:  func(n device.Notification) { w.arrived(mailbox{p.number, topic}, n) },
		})
		if err != nil {
			return nil, err
		}
	}
	return d, nil
}

// register activates the device and gets a device token for each of its apps.
func (p *phone) register(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	all := make(chan struct{})
	d, err := p.device(func(topic apns.Topic, token apns.DeviceToken) { // one at a time
		if p.tokens[topic] = token; len(p.tokens) == len(topics) {
			close(all)
		}
	})
	if err != nil {
		return err
	}
	run, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- d.Run(run) }()
	select {
	case <-all:
		stop()
		return <-ended
	case err := <-ended:
		stop()
		return err
	case <-ctx.Done():
		stop()
		return errors.Join(ctx.Err(), <-ended)
	}
}

// live has the device live by its habit until ctx ends; together with that, the
// others know that it stays from now on when settled closes.
func (p *phone) live(ctx context.Context, settled <-chan struct{}) error {
	for ctx.Err() == nil {
		if p.habit == away {
			select {
			case <-settled:
			case <-ctx.Done():
				return nil
			}
		}
		d, err := p.device(func(apns.Topic, apns.DeviceToken) {})
		if err != nil {
			return err
		}
		if err := p.liveAs(ctx, d, settled); err != nil {
			return err
		}
	}
	return nil
}

// liveAs is one life of the device, until ctx ends or, if it flaps, for a while.
func (p *phone) liveAs(ctx context.Context, d *device.Device, settled <-chan struct{}) error {
	life := ctx
	if p.habit == flaps {
		select {
		case <-settled:
		default:
			short, cancel := context.WithTimeout(ctx, 200*time.Millisecond+rand.N(3*time.Second))
			defer cancel()
			life = short
		}
	}
	for pause := longPause; life.Err() == nil; pause = min(2*pause, longestPause) {
		run, cancel := context.WithCancel(life)
		p.world.running.Go(func() { p.nudge(run, d, pause, cancel) })
		err := d.Run(run)
		cancel()
		if err != nil {
			return fmt.Errorf("device %d: %w", p.number, err)
		}
	}
	return nil
}

// longPause is how long a device may wait between two attempts before its network
// comes back, which has it try at once. Devices wait longer each time, and minutes
// in the end, which is right for them and too long for a test. The test waits longer
// each time, too, up to longestPause: a busy machine takes its time to connect them all.
const (
	longPause    = time.Second
	longestPause = 8 * time.Second
)

// nudge ends a run that is not connected for a pause, so that a new one begins.
func (p *phone) nudge(run context.Context, d *device.Device, pause time.Duration, end context.CancelFunc) {
	for run.Err() == nil {
		wait, cancel := context.WithTimeout(run, pause)
		err := d.Connected(wait)
		cancel()
		if err != nil {
			if run.Err() == nil && p.world.serving() {
				p.nudges.Add(1)
				end()
			}
			continue
		}
		select {
		case <-time.After(longPause / 4):
		case <-run.Done():
		}
	}
}

// isServing reports whether the service serves.
func (s *service) isServing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.serving:
		return true
	default:
		return false
	}
}

// pushers is how many pushes are under way at once, and pushPause how long
// each of them waits for the next one, at most.
const (
	pushers   = 64
	pushPause = 20 * time.Millisecond
)

// push sends notifications until stop closes, each until it is accepted.
// Pusher i has every pushers-th mailbox.
func (w *world) push(ctx context.Context, i int, stop <-chan struct{}) error {
	var own []mailbox
	for n := i; n < len(w.phones)*len(topics); n += pushers {
		own = append(own, mailbox{n / len(topics), topics[n%len(topics)]})
	}
	for n := 0; ; n++ {
		select {
		case <-stop:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(rand.N(pushPause)):
		}
		box := own[rand.IntN(len(own))]
		m := apns.Notification{
			ID: apns.NotificationID(apns.NewUUID()), Topic: box.topic, PushType: apns.PushTypeAlert,
			Priority: apns.PriorityImmediate, Expiration: apns.ExpiresAt(time.Now().Add(time.Hour)),
			Payload: apns.Payload(fmt.Sprintf(`{"aps":{"alert":"%d of %d"}}`, n, i)),
		}
		if n%3 == 0 {
			m.Priority = apns.PriorityConserve
		}
		if !isStored(box.topic) {
			m.Expiration = apns.ExpiresAt(time.Unix(0, 0))
		}
		w.ledger.send(box, m.ID, isStored(box.topic))
		if err := w.pushOne(ctx, box, m); err != nil {
			return err
		}
		w.ledger.accept(box)
	}
}

// sender returns the sender that is in use.
func (w *world) sender() *apnsclient.Sender {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.senders[len(w.senders)-1]
}

// renew takes another sender into use in place of one that has lost its
// connection: it would wait before it connects again, longer each time.
func (w *world) renew(lost *apnsclient.Sender) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.senders) > 0 && w.senders[len(w.senders)-1] != lost {
		return nil
	}
	s, err := apnsclient.New(w.sending)
	if err == nil {
		w.senders = append(w.senders, s)
	}
	return err
}

// pushOne sends a notification, again and again under its ID until it is accepted.
func (w *world) pushOne(ctx context.Context, box mailbox, m apns.Notification) error {
	for {
		sender := w.sender()
		_, err := sender.Push(ctx, w.phones[box.device].tokens[box.topic], m)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		rejection, rejected := errors.AsType[*apns.Rejection](err)
		_, unanswered := errors.AsType[*apnsclient.UnansweredError](err)
		_, unsent := errors.AsType[*apnsclient.UnsentError](err)
		switch {
		case rejected && rejection.Status >= 500:
			w.ledger.count(&w.ledger.refused)
		case unanswered:
			w.ledger.count(&w.ledger.repeats)
		case unsent:
			w.ledger.count(&w.ledger.unsent)
		default:
			return fmt.Errorf("%v: %w", box, err)
		}
		if !rejected {
			if err := w.renew(sender); err != nil {
				return err
			}
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
