package bench

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
	"github.com/heraldpush/herald/gateway"
	"github.com/heraldpush/herald/internal/load"
	"github.com/heraldpush/herald/platform"
	"github.com/heraldpush/herald/spool"
	"github.com/heraldpush/herald/store/memory"
)

// topic is the App ID that pushes go to.
const topic apns.Topic = "com.example.bench"

// environment is the one that is measured.
const environment = apns.Production

// drainTimeout is how long connections may take to end with the bench.
const drainTimeout = 500 * time.Millisecond

// gatewaySetup says what the gateway has.
type gatewaySetup struct {
	Tokens, Attached int
}

// limits are those of production, each at work, but none that the load would
// reach: it floods a few devices, and is refused as often as it was told to be.
func limits() gateway.Limits {
	l := gateway.ProductionLimits()
	l.DeviceBurst, l.DeviceInterval = 1_000_000, time.Microsecond
	l.SlowShare = 1
	l.MaxRefusals, l.MaxBadDeviceTokens = load.MaxPushes, load.MaxPushes
	return l
}

// serveGateway is the gateway under test.
func (p *part) serveGateway(ctx context.Context, setup gatewaySetup) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	world, err := platform.Open(ctx, platform.Config{
		PortalStore: memory.NewPortal(), RegistryStore: memory.NewRegistry(), SpoolStore: memory.NewSpool(0), DrainTimeout: drainTimeout,
		GatewayLimits: new(limits()), TraceOff: true,
		Logger: warnings(),
	})
	if err != nil {
		return err
	}
	var running sync.WaitGroup
	defer func() {
		cancel()
		running.Wait()
		err = errors.Join(err, world.Close())
	}()
	t, sinks, err := enter(ctx, world, setup)
	if err != nil {
		return err
	}
	l, err := listen(ctx)
	if err != nil {
		return err
	}
	for _, sink := range sinks {
		running.Go(func() { sink.drain(ctx) })
	}
	var serving error
	running.Go(func() {
		serving = world.Serve(ctx, platform.Listeners{Gateway: map[apns.Environment]net.Listener{environment: l}})
	})
	t.Address, t.ServerName, t.Roots = l.Addr().String(), world.ServerName(), world.Portal.RootPEM()
	if err := p.answer(reply{Target: &t}, nil); err != nil {
		return err
	}
	err = p.obey(nil)
	cancel()
	running.Wait()
	return errors.Join(err, serving)
}

func listen(ctx context.Context) (net.Listener, error) {
	return (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
}

// enter gives a platform a team with an App ID, a certificate and a key, and
// devices, and returns what a sender has of it; and the inboxes of the devices
// that are connected.
func enter(ctx context.Context, world *platform.Platform, setup gatewaySetup) (t target, sinks []sink, err error) {
	if err := t.develop(ctx, world); err != nil {
		return t, nil, err
	}
	for i := range setup.Tokens {
		d, err := world.Registry.EnterDevice(ctx, apns.DeviceID(fmt.Sprintf("bench-%d", i)))
		if err != nil {
			return t, nil, err
		}
		deviceToken, err := world.Registry.DeviceToken(ctx, apns.Address{Device: d, Environment: environment, Topic: topic.Hash()})
		if err != nil {
			return t, nil, err
		}
		t.Tokens = append(t.Tokens, deviceToken.Hex())
		if i >= setup.Attached {
			continue
		}
		bell := spool.NewBell()
		in, err := world.Spool.Attach(ctx, d, environment, bell)
		if err != nil {
			return t, nil, err
		}
		if _, err := in.SetFilter(ctx, spool.Filter{Enabled: []apns.TopicHash{topic.Hash()}}); err != nil {
			return t, nil, err
		}
		sinks = append(sinks, sink{in, bell})
	}
	return t, sinks, nil
}

// develop gives a platform a team with an App ID, a certificate and a key, which
// the target takes.
func (t *target) develop(ctx context.Context, world *platform.Platform) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	developer, err := world.Develop(ctx, "Bench", topic, key)
	if err != nil {
		return err
	}
	if t.Certificate, err = developer.Identity.MarshalPEM(); err != nil {
		return err
	}
	signer, err := credential.ParseP8(developer.P8)
	if err != nil {
		return err
	}
	token, err := credential.MintProviderToken(signer, developer.KeyID, developer.Team.ID, time.Now())
	if err != nil {
		return err
	}
	t.Authorization, t.Topic = "bearer "+token, string(topic)
	return nil
}

// sink is a device that acknowledges all it gets.
type sink struct {
	in   *spool.Inbox
	bell spool.Bell
}

// drain takes what comes until ctx or the inbox ends.
func (s sink) drain(ctx context.Context) {
	defer s.in.Detach()
	for !s.in.Detached() {
		for d, ok := s.in.Next(); ok; d, ok = s.in.Next() {
			// It fails only if the notification has expired or the spool has
			// ended, and there is nobody to tell.
			_, _ = s.in.Ack(ctx, d.MessageID, spool.Delivered)
		}
		select {
		case <-s.bell:
		case <-ctx.Done():
			return
		}
	}
}
