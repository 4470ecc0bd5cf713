// Package demo runs the five steps of push for real, in one process over
// loopback TLS, and tells each as it happens. It keeps nothing: all state is
// in memory, and when Run returns nothing is left behind.
package demo

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnsclient"
	"github.com/heraldpush/herald/courier"
	"github.com/heraldpush/herald/credential"
	"github.com/heraldpush/herald/device"
	"github.com/heraldpush/herald/platform"
	"github.com/heraldpush/herald/provider"
	"github.com/heraldpush/herald/provider/account"
	"github.com/heraldpush/herald/provider/audience"
	"github.com/heraldpush/herald/provider/outbox"
	"github.com/heraldpush/herald/store/memory"
	"github.com/heraldpush/herald/store/pebble"
)

// topic is the app's bundle ID.
const topic apns.Topic = "com.example.demo"

// How the provider names the app, and the app its installation.
const (
	appID        account.AppID           = "demo"
	installation audience.InstallationID = "demo-phone"
)

// Limits in time. The demo takes well under a second where a machine is not
// busy.
const (
	stepTimeout  = 20 * time.Second
	drainTimeout = 500 * time.Millisecond
)

// bannerWidth is the width of a notification in the terminal, in columns.
const bannerWidth = 60

// repeatKeys bounds the notifications that the spool recognises as repeats.
const repeatKeys = 100

// Run runs the demo and tells it to out. It returns nil only if every step was
// seen to have happened.
func Run(ctx context.Context, out io.Writer, log *slog.Logger) (err error) {
	d := &demo{tale: tale{out: out, began: time.Now()}}
	d.say("Herald: the five steps of push, run for real on this machine.\n")
	defer func() {
		if d.platform != nil {
			err = errors.Join(err, d.platform.Close())
		}
	}()
	return platform.RunParts(ctx, func(ctx context.Context, serve func(...platform.Part)) error { return d.run(ctx, log, serve) })
}

// run takes the five steps.
func (d *demo) run(ctx context.Context, log *slog.Logger, serve func(...platform.Part)) error {
	if err := d.openService(ctx, log, serve); err != nil {
		return fmt.Errorf("opening the push service: %w", err)
	}
	for i, step := range []func() error{
		func() error { return d.register(ctx, log) },
		func() error { return d.obtainToken(ctx, serve) },
		func() error { return d.tellProvider(ctx, log, serve) },
		func() error { return d.send(ctx) },
		func() error { return d.receive(ctx) },
	} {
		if err := step(); err != nil {
			return fmt.Errorf("step %d: %w", i+1, err)
		}
	}
	d.say("\nEvery step was verified, in %v. Nothing is left behind.\n", time.Since(d.began).Round(time.Millisecond))
	return nil
}

// demo is one run: the parts, and what they have of each other so far.
type demo struct {
	tale

	platform  *platform.Platform
	listeners platform.Listeners
	developer platform.Developer
	roots     *x509.CertPool

	phone       *device.Device
	deviceToken apns.DeviceToken
	app         app
	screen      chan device.Presentation

	book     *account.Book
	provider *provider.PushServer
	sent     []apns.Notification
}

// app is the app on the device: what it is told.
type app struct {
	tokens   chan apns.DeviceToken
	failures chan error
	received chan device.Notification
}

// openService starts the push service: portal, gateway and courier.
func (d *demo) openService(ctx context.Context, log *slog.Logger, serve func(...platform.Part)) (err error) {
	d.platform, err = platform.Open(ctx, platform.Config{
		PortalStore: memory.NewPortal(), RegistryStore: memory.NewRegistry(), SpoolStore: memory.NewSpool(repeatKeys),
		DrainTimeout: drainTimeout, Logger: log,
	})
	if err != nil {
		return err
	}
	d.roots = x509.NewCertPool()
	d.roots.AddCert(d.platform.Portal.Root())
	d.listeners.Gateway = make(map[apns.Environment]net.Listener)
	if d.listeners.Gateway[apns.Sandbox], err = listen(ctx); err != nil {
		return err
	}
	if d.listeners.Courier, err = listen(ctx); err != nil {
		return errors.Join(err, d.listeners.Close())
	}
	serve(func(ctx context.Context) error { return d.platform.Serve(ctx, d.listeners) })
	d.step("The push service starts")
	d.fact("gateway", "%v, for providers", d.gateway())
	d.fact("courier", "%v, for devices", d.listeners.Courier.Addr())
	return nil
}

func listen(ctx context.Context) (net.Listener, error) {
	return (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
}

func (d *demo) gateway() string { return d.listeners.Gateway[apns.Sandbox].Addr().String() }

// register is step 1: the app asks its device for remote notifications.
func (d *demo) register(ctx context.Context, log *slog.Logger) error {
	_, code, err := d.platform.Portal.CreateEnrolmentCode(ctx, 1, time.Hour)
	if err != nil {
		return err
	}
	d.screen = make(chan device.Presentation, 2)
	d.app = app{
		tokens:   make(chan apns.DeviceToken, 1),
		failures: make(chan error, 1),
		received: make(chan device.Notification, 2),
	}
	d.phone, err = device.New(device.Config{
		Courier:       d.listeners.Courier.Addr().String(),
		Environment:   apns.Sandbox,
		Activation:    "https://" + d.listeners.Courier.Addr().String() + courier.ActivationPath,
		EnrolmentCode: code,
		Roots:         d.roots,
		Screen:        func(p device.Presentation) { d.screen <- p },
		Logger:        log.With(slog.String("part", "device")),
	})
	if err != nil {
		return err
	}
	types := device.Alert | device.Sound | device.Badge
	err = d.phone.RegisterForRemoteNotifications(topic, types, device.Delegate{
		DidRegister: func(t apns.DeviceToken) {
			select {
			case d.app.tokens <- t:
			default: // it asked again after a reconnection
			}
		},
		DidFailToRegister: func(err error) {
			select {
			case d.app.failures <- err:
			default:
			}
		},
		DidReceive: func(n device.Notification) { d.app.received <- n },
	})
	if err != nil {
		return err
	}
	d.step("1  The app registers for remote notifications with its device")
	d.fact("app", "%s", topic)
	d.fact("types", "%v", types)
	return nil
}

// obtainToken is step 2: the device connects to the courier with the
// certificate of its activation, obtains a device token and gives it to the
// app.
func (d *demo) obtainToken(ctx context.Context, serve func(...platform.Part)) error {
	serve(d.phone.Run)
	waiting, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	if err := d.phone.Connected(waiting); err != nil {
		return err
	}
	select {
	case d.deviceToken = <-d.app.tokens:
	case err := <-d.app.failures:
		return err
	case <-waiting.Done():
		return fmt.Errorf("waiting for a device token: %w", context.Cause(waiting))
	}
	d.step("2  The device obtains a device token from the push service, for the app")
	cert := d.phone.Certificate()
	d.fact("device certificate", "%s", cert.Subject.CommonName)
	d.fact("", "issued by %s", cert.Issuer.CommonName)
	d.fact("", "expires %s", cert.NotAfter.Format(time.DateOnly))
	d.fact("device token", "%s", d.deviceToken.Hex())
	return nil
}

// tellProvider is step 3: the app hands its device token to its provider.
func (d *demo) tellProvider(ctx context.Context, log *slog.Logger, serve func(...platform.Part)) error {
	if err := d.openProvider(ctx, log, serve); err != nil {
		return err
	}
	_, _, err := d.provider.Register(ctx, appID, installation, audience.Registration{
		DeviceTokens: []audience.RegisteredToken{{Environment: apns.Sandbox.String(), Value: d.deviceToken.Hex()}},
	})
	if err != nil {
		return err
	}
	d.step("3  The app hands the device token to its provider")
	d.fact("installation", "%s", installation)
	return nil
}

// openProvider starts the push server of the app's team.
func (d *demo) openProvider(ctx context.Context, log *slog.Logger, serve func(...platform.Part)) error {
	gateway := func(apns.Environment) apnsclient.Config {
		return apnsclient.Config{Host: d.gateway(), ServerName: d.platform.ServerName(), Roots: d.roots}
	}
	var err error
	d.book, err = account.Open(ctx, account.Config{Store: memory.NewAccount(), Checker: provider.NewChecker(gateway), Logger: log})
	if err != nil {
		return err
	}
	if _, err := d.book.CreateApp(ctx, account.AppSpec{ID: appID, BundleID: topic}); err != nil {
		return err
	}
	messages, err := pebble.OpenOutboxInMemory() //nolint:contextcheck // Close ends it
	if err != nil {
		return err
	}
	d.provider, err = provider.New(provider.Config{
		Book: d.book, Audience: memory.NewAudience(), Outbox: messages, Archive: memory.NewArchive(), Gateway: gateway, Logger: log,
	})
	if err != nil {
		return errors.Join(err, messages.Close())
	}
	serve(func(ctx context.Context) error { return errors.Join(d.provider.Run(ctx), messages.Close()) })
	return nil
}

// send is step 4: the provider sends, once with the push certificate that the
// portal issued for its request, once with the key that then takes its place.
func (d *demo) send(ctx context.Context) error {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	if d.developer, err = d.platform.Develop(ctx, "Example Team", topic, key); err != nil {
		return err
	}
	d.step("4  The provider sends, over HTTP/2 to the gateway")
	cert := d.developer.Identity.Certificate
	d.fact("push certificate", "%s", cert.Subject.CommonName)
	d.fact("", "team %s, expires %s", d.developer.Team.ID, cert.NotAfter.Format(time.DateOnly))
	file, err := d.developer.Identity.MarshalPEM()
	if err != nil {
		return err
	}
	certificate, err := d.upload(ctx, account.Upload{File: file})
	if err != nil {
		return fmt.Errorf("certificate: %w", err)
	}
	err = d.sendOne(ctx, "certificate", `{"aps":{"alert":{"title":"Hello","body":"Sent with a push certificate."},"sound":"default","badge":1}}`)
	if err != nil {
		return fmt.Errorf("with the certificate: %w", err)
	}
	d.fact("provider key", "%s", credential.P8FileName(d.developer.KeyID))
	_, err = d.upload(ctx, account.Upload{
		File: d.developer.P8, TeamID: d.developer.Team.ID, KeyID: d.developer.KeyID, Replaces: certificate.ID,
	})
	if err != nil {
		return fmt.Errorf("provider key: %w", err)
	}
	err = d.sendOne(ctx, "provider token", `{"aps":{"alert":{"title":"Hello again","body":"Sent with a provider token."},"sound":"chime.caf","badge":2}}`)
	if err != nil {
		return fmt.Errorf("with the provider token: %w", err)
	}
	return nil
}

// upload gives the provider a credential, which the gateway is asked about.
func (d *demo) upload(ctx context.Context, u account.Upload) (account.Credential, error) {
	u.Environments = []string{apns.Sandbox.String()}
	c, err := d.book.Upload(ctx, appID, u)
	if err != nil {
		return c, err
	}
	found, err := d.book.Check(ctx, appID, c.ID)
	if err != nil {
		return c, err
	}
	if len(found) != 1 || found[0].Verdict != account.Taken {
		return c, fmt.Errorf("the gateway did not take it: %+v", found)
	}
	return c, nil
}

// sendOne sends one notification to the installation.
func (d *demo) sendOne(ctx context.Context, with, payload string) error {
	sent, err := d.provider.Send(ctx, appID, provider.Order{
		To:           provider.Recipients{Installations: []audience.InstallationID{installation}},
		Notification: apns.Notification{Priority: apns.PriorityImmediate, Payload: apns.Payload(payload)},
	})
	if err != nil {
		return err
	}
	n := sent.Message.Notification
	n.ID = outbox.NotificationID(sent.Message.ID, apns.Sandbox, d.deviceToken)
	d.sent = append(d.sent, n)
	// The spool keeps one notification of an app for a device: the next one
	// would take the place of this one, were it still waiting.
	if err := d.await(ctx, n); err != nil {
		return err
	}
	if err := d.accepted(ctx, sent.Message.ID); err != nil {
		return err
	}
	d.fact(with, "status 200, apns-id %s", n.ID)
	return nil
}

// accepted waits until the receipt of the installation is there, and says what is
// wrong if it is not that the gateway has accepted the message.
func (d *demo) accepted(ctx context.Context, id outbox.MessageID) error {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for {
		o, err := d.provider.Outcome(ctx, appID, id, installation)
		switch {
		case err != nil:
			return err
		case o.Receipt == outbox.Accepted:
			return nil
		case o.Receipt != outbox.Pending:
			return fmt.Errorf("the receipt says %v: %+v", o.Receipt, o.Failure)
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return fmt.Errorf("waiting for the receipt: %w", context.Cause(ctx))
		}
	}
}

// await waits until the app has received n and the device has shown it.
func (d *demo) await(ctx context.Context, n apns.Notification) error {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	select {
	case got := <-d.app.received:
		if got.ID != n.ID || got.Topic != n.Topic || !bytes.Equal(got.Payload, n.Payload) {
			return fmt.Errorf("the app received %s %s, not what was sent", got.ID, got.Payload)
		}
	case <-ctx.Done():
		return fmt.Errorf("waiting for the app to receive it: %w", context.Cause(ctx))
	}
	return nil
}

// receive is step 5: the device shows both as the app registered for.
func (d *demo) receive(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	d.step("5  The courier delivered both; the device hands them to the app and shows them")
	for _, n := range d.sent {
		want, err := apns.ParseAlert(n.Payload)
		if err != nil {
			return err
		}
		select {
		case p := <-d.screen:
			shown := p.ID == n.ID && p.Banner && p.Title == want.Title && p.Body == want.Body &&
				p.Sound == want.Sound && p.Badge != nil && *p.Badge == *want.Badge
			if !shown {
				return fmt.Errorf("the device showed %q, %q, not what was sent", p.Title, p.Body)
			}
			d.say("\n%s", p.Draw(bannerWidth))
		case <-ctx.Done():
			return fmt.Errorf("waiting for the device to show it: %w", context.Cause(ctx))
		}
	}
	return nil
}
