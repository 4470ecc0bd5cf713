// Package apnstest is Apple's push service, whole, in the memory of a test:
// gateway, courier, portal, a team with its credentials, and as many devices as
// wanted. There is no port, no file and no process.
//
//	p := apnstest.New(t)
//	phone := p.NewPhone(t)
//	sender := p.NewSender(t) // or your own, on p.Dial, p.Roots and p.Developer
//	sender.Push(ctx, phone.DeviceToken, notification)
//	got := phone.Receive(t)
//
// Inside a testing/synctest bubble all of it runs in virtual time, so a test
// can let a notification expire without waiting.
package apnstest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnsclient"
	"github.com/heraldpush/herald/courier"
	"github.com/heraldpush/herald/device"
	"github.com/heraldpush/herald/faults"
	"github.com/heraldpush/herald/gateway"
	"github.com/heraldpush/herald/internal/memnet"
	"github.com/heraldpush/herald/platform"
	"github.com/heraldpush/herald/store/memory"
)

// Topic is the App ID that the team of every platform has.
const Topic apns.Topic = "com.example.demo"

// timeout bounds what a test waits for. In a bubble it costs nothing.
const timeout = 30 * time.Second

// repeatKeys bounds the notifications that the spool recognises as repeats.
const repeatKeys = 10_000

// Platform is a push service in memory.
type Platform struct {
	*platform.Platform
	// Developer has the team's push certificate and key.
	Developer platform.Developer
	// Roots is what a client must trust.
	Roots *x509.CertPool

	network   memnet.Network
	listeners platform.Listeners
}

// Config is what a test may want otherwise. The zero value is what New has.
type Config struct {
	// Limits bound what the gateway puts up with from a provider. Nil means
	// gateway.DevelopmentLimits(), which has no throttles.
	Limits *gateway.Limits
	// Faults are the gateway's faults on demand: give it a plan at any time.
	// Nil means none.
	Faults *faults.Simulator
}

// New starts a platform that is stopped at the end of the test.
func New(t testing.TB) *Platform {
	t.Helper()
	return Config{}.New(t)
}

// New starts a platform as c says, that is stopped at the end of the test.
func (c Config) New(t testing.TB) *Platform {
	t.Helper()
	if c.Limits == nil {
		c.Limits = new(gateway.DevelopmentLimits())
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("apnstest: %v", err)
		}
	}
	p := &Platform{Roots: x509.NewCertPool()}
	var err error
	p.Platform, err = platform.Open(t.Context(), platform.Config{
		PortalStore: memory.NewPortal(), RegistryStore: memory.NewRegistry(), SpoolStore: memory.NewSpool(repeatKeys),
		GatewayLimits: c.Limits, Faults: c.Faults, DrainTimeout: time.Second, Logger: slog.New(slog.DiscardHandler),
	})
	must(err)
	p.Roots.AddCert(p.Portal.Root())
	listen := func(addr func(apns.Environment) string) map[apns.Environment]net.Listener {
		of := make(map[apns.Environment]net.Listener)
		for _, env := range apns.Environments {
			of[env], err = p.network.Listen(addr(env))
			must(err)
		}
		return of
	}
	p.listeners = platform.Listeners{
		Gateway: listen(p.GatewayAddr), Channels: listen(p.ChannelsAddr), Legacy: listen(p.LegacyAddr), Feedback: listen(p.FeedbackAddr),
	}
	p.listeners.Courier, err = p.network.Listen(p.CourierAddr())
	must(err)

	// The test's context ends before its cleanups, this one after its users.
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := p.Serve(ctx, p.listeners); err != nil {
			t.Errorf("apnstest: %v", err)
		}
	})
	t.Cleanup(func() {
		cancel()
		serving.Wait()
		if err := p.Close(); err != nil {
			t.Errorf("apnstest: %v", err)
		}
	})

	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	p.Developer, err = p.Develop(t.Context(), "Example Team", Topic, key)
	must(err)
	return p
}

// Dial connects to an address of the platform; it has the form of
// net.Dialer.DialContext.
func (p *Platform) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	return p.network.DialContext(ctx, network, address)
}

// GatewayAddr returns the address of an environment's gateway. The name in it
// is one of the server certificate's, as it is in all addresses of a platform.
func (p *Platform) GatewayAddr(env apns.Environment) string {
	return addr(env, "api.push.apple.com:443", "api.sandbox.push.apple.com:443")
}

// ChannelsAddr returns the address of an environment's channel management.
func (p *Platform) ChannelsAddr(env apns.Environment) string {
	return addr(env, "api-manage-broadcast.push.apple.com:2196", "api-manage-broadcast.sandbox.push.apple.com:2195")
}

// LegacyAddr returns the address of an environment's legacy interface.
func (p *Platform) LegacyAddr(env apns.Environment) string {
	return addr(env, "gateway.push.apple.com:2195", "gateway.sandbox.push.apple.com:2195")
}

// FeedbackAddr returns the address of an environment's feedback service.
func (p *Platform) FeedbackAddr(env apns.Environment) string {
	return addr(env, "feedback.push.apple.com:2196", "feedback.sandbox.push.apple.com:2196")
}

func addr(env apns.Environment, production, sandbox string) string {
	if env == apns.Production {
		return production
	}
	return sandbox
}

// SenderConfig returns what a sender with the developer's certificate needs to
// reach the sandbox gateway, to be changed as a test likes.
func (p *Platform) SenderConfig() apnsclient.Config {
	pair := p.Developer.Identity.TLS()
	return apnsclient.Config{
		Environment: apns.Sandbox, Host: p.GatewayAddr(apns.Sandbox), Roots: p.Roots, Dial: p.Dial, Certificate: &pair,
	}
}

// CourierAddr returns the address of the courier and the activation door.
func (p *Platform) CourierAddr() string { return "courier.push.apple.com:5223" }

// NewSender returns a sender to the sandbox with the team's push certificate,
// closed at the end of the test.
func (p *Platform) NewSender(t testing.TB) *apnsclient.Sender {
	t.Helper()
	return NewSender(t, p.SenderConfig())
}

// NewSender returns the sender of a configuration. It is closed at the end of the
// test.
func NewSender(t testing.TB, cfg apnsclient.Config) *apnsclient.Sender {
	t.Helper()
	s, err := apnsclient.New(cfg)
	if err != nil {
		t.Fatalf("apnstest: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("apnstest: closing the sender: %v", err)
		}
	})
	return s
}

// NewChannels returns the channels of the sandbox for the team's push
// certificate, closed at the end of the test.
func (p *Platform) NewChannels(t testing.TB) *apnsclient.Channels {
	t.Helper()
	pair := p.Developer.Identity.TLS()
	c, err := apnsclient.NewChannels(apnsclient.Config{
		Environment: apns.Sandbox, Host: p.ChannelsAddr(apns.Sandbox), Roots: p.Roots, Dial: p.Dial, Certificate: &pair,
	})
	if err != nil {
		t.Fatalf("apnstest: %v", err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("apnstest: closing the channels: %v", err)
		}
	})
	return c
}

// Phone is a virtual device in the sandbox, with the team's app on it.
type Phone struct {
	*device.Device
	// DeviceToken is the app's.
	DeviceToken apns.DeviceToken

	received chan device.Notification
	failed   chan *device.ChannelError
	tokens   chan apns.DeviceToken
	leave    context.CancelFunc // nil while it is away
	running  sync.WaitGroup
}

// receiveBuffer is how many notifications a phone keeps for Receive.
const receiveBuffer = 1024

// NewPhone activates a device, connects it, and has the app register for
// alert, sound and badge. It disconnects at the end of the test.
func (p *Platform) NewPhone(t testing.TB) *Phone {
	t.Helper()
	_, code, err := p.Portal.CreateEnrolmentCode(t.Context(), 1, 0)
	if err != nil {
		t.Fatalf("apnstest: %v", err)
	}
	ph := &Phone{
		received: make(chan device.Notification, receiveBuffer), tokens: make(chan apns.DeviceToken, 1),
		failed: make(chan *device.ChannelError, receiveBuffer),
	}
	ph.Device, err = device.New(device.Config{
		Courier: p.CourierAddr(), Environment: apns.Sandbox, Roots: p.Roots, Dial: p.Dial,
		Activation: "https://" + p.CourierAddr() + courier.ActivationPath, EnrolmentCode: code,
	})
	if err != nil {
		t.Fatalf("apnstest: %v", err)
	}
	err = ph.RegisterForRemoteNotifications(Topic, device.Alert|device.Sound|device.Badge, device.Delegate{
		DidRegister: func(token apns.DeviceToken) {
			select {
			case ph.tokens <- token:
			default: // nobody waits for it a second time
			}
		},
		DidFailToRegister: func(err error) { t.Errorf("apnstest: %v", err) },
		DidReceive:        func(n device.Notification) { ph.received <- n },
		ChannelSubscriptionFailed: func(err error) {
			if lost := new(device.ChannelError); errors.As(err, &lost) {
				ph.failed <- lost
			}
		},
	})
	if err != nil {
		t.Fatalf("apnstest: %v", err)
	}
	ph.Connect(t)
	t.Cleanup(ph.Disconnect)
	select {
	case ph.DeviceToken = <-ph.tokens:
	case <-time.After(timeout):
		t.Fatalf("apnstest: no device token after %v", timeout)
	}
	return ph
}

// Connect brings the phone back after Disconnect, and waits until the courier
// has accepted it.
func (ph *Phone) Connect(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ph.leave = cancel
	ph.running.Go(func() {
		if err := ph.Run(ctx); err != nil {
			t.Errorf("apnstest: phone: %v", err)
		}
	})
	waiting, stop := context.WithTimeout(ctx, timeout)
	defer stop()
	if err := ph.Connected(waiting); err != nil {
		t.Fatalf("apnstest: %v", err)
	}
}

// Disconnect takes the phone off the network; what is sent to it waits.
func (ph *Phone) Disconnect() {
	if ph.leave != nil {
		ph.leave()
		ph.running.Wait()
		ph.leave = nil
	}
}

// Receive returns the next notification that the app received.
func (ph *Phone) Receive(t testing.TB) device.Notification {
	t.Helper()
	select {
	case n := <-ph.received:
		return n
	case <-time.After(timeout):
		t.Fatalf("apnstest: no notification after %v", timeout)
		return device.Notification{}
	}
}

// ChannelFailure returns the next channel of which the app learned that it does not
// exist.
func (ph *Phone) ChannelFailure(t testing.TB) *device.ChannelError {
	t.Helper()
	select {
	case err := <-ph.failed:
		return err
	case <-time.After(timeout):
		t.Fatalf("apnstest: no channel failed in %v", timeout)
		return nil
	}
}

// Received returns the next notification if there is one already. In a bubble,
// call synctest.Wait before it.
func (ph *Phone) Received() (device.Notification, bool) {
	select {
	case n := <-ph.received:
		return n, true
	default:
		return device.Notification{}, false
	}
}
