package gateway_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
	"github.com/heraldpush/herald/gateway"
	"github.com/heraldpush/herald/internal/memnet"
	"github.com/heraldpush/herald/portal"
	"github.com/heraldpush/herald/registry"
	"github.com/heraldpush/herald/spool"
	"github.com/heraldpush/herald/store/memory"
	"github.com/heraldpush/herald/trace"
)

// The apps of a world: two of its team, a pass of it, and one of the other team.
const (
	demo     apns.Topic = "com.example.demo"
	second   apns.Topic = "com.example.second"
	pass     apns.Topic = "pass.com.example.demo"
	stranger apns.Topic = "com.stranger.app"
)

// Names and addresses of the gateways.
const (
	sandboxName    = "sandbox.example.com"
	productionName = "production.example.com"
	drainTimeout   = 4 * time.Second
	patience       = time.Minute // in virtual time it costs nothing
)

// removed is when the app of a device token that is gone was removed.
var removed = time.UnixMilli(1508249865488)

// world is a gateway with the rooms behind it, in memory. The device's side is
// the spool itself.
type world struct {
	portal     *portal.Portal
	registry   *registry.Registry
	spool      *spool.Spool
	store      *faultySpool
	exceptions *faultyRegistry
	gateway    *gateway.Gateway
	network    memnet.Network
	roots      *x509.CertPool
	logs       *logs

	team, otherTeam signer
	device          apns.DeviceOrdinal
	universal       *tls.Certificate // of the demo app, for dialOld; made when needed
	stop            func()           // ends Serve and waits for it; more than once does nothing
}

// signer is a team with its key.
type signer struct {
	team    apns.TeamID
	key     apns.KeyID
	private *ecdsa.PrivateKey
}

// token returns a provider token made at a time.
func (s signer) token(tb testing.TB, at time.Time) string {
	tb.Helper()
	token, err := credential.MintProviderToken(s.private, s.key, s.team, at)
	if err != nil {
		tb.Fatal(err)
	}
	return token
}

// newWorld starts a gateway on a listener for each environment. It is stopped
// at the end of the test, which fails if anything was logged as an error that
// the test did not look at.
func newWorld(tb testing.TB) *world {
	tb.Helper()
	return newWorldWith(tb, options{})
}

// options are what a world has that others have not.
type options struct {
	// notifications is how many the spool may store; zero means its default.
	notifications int64
	// channels is how many an app may have; zero means the registry's default.
	channels int
	// exceptional has the registry ask its store about the first device, at which
	// nothing is wrong all the same.
	exceptional bool
	// immediate is for a spool in memory that need not be waited for, instead of
	// one that may be made to fail.
	immediate bool
	// limits are the gateway's; zero means none.
	limits gateway.Limits
	// debug has everything logged, not just what goes wrong.
	debug bool
	// faults are the gateway's; nil for none.
	faults gateway.Faults
	// trace is the gateway's; nil for none.
	trace *trace.Recorder
	// early is called when there is no more than the portal with its teams:
	// long times are best let pass then, as a spool does something each minute.
	early func(w *world)
}

func newWorldWith(tb testing.TB, opt options) *world {
	tb.Helper()
	must := func(err error) {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
	}
	w := &world{roots: x509.NewCertPool(), logs: new(logs)}
	var err error
	w.portal, err = portal.Open(tb.Context(), portal.Config{Store: memory.NewPortal(), ServerNames: []string{"example.com"}})
	must(err)
	w.roots.AddCert(w.portal.Root())
	w.team = w.newTeam(tb, "Example", demo, second, pass)
	w.otherTeam = w.newTeam(tb, "Stranger", stranger)
	if opt.early != nil {
		opt.early(w)
	}
	w.exceptions = &faultyRegistry{Store: memory.NewRegistry()}
	if opt.exceptional {
		for _, topic := range []apns.Topic{demo, second, stranger} {
			for _, env := range apns.Environments {
				a := apns.Address{Device: 1, Environment: env, Topic: topic.Hash()}
				must(w.exceptions.PutException(tb.Context(), a, registry.Exception{Former: removed}))
			}
		}
	}
	w.registry, err = registry.Open(tb.Context(), registry.Config{Store: w.exceptions, MaxChannels: opt.channels})
	must(err)
	level := slog.LevelWarn
	if opt.debug {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewTextHandler(w.logs, &slog.HandlerOptions{Level: level}))
	w.store = &faultySpool{Store: memory.NewSpool(0)}
	var store spool.Store = w.store
	if opt.immediate || strings.HasPrefix(tb.Name(), "TestImmediate/") {
		store = memory.NewSpool(0)
	}
	w.spool, err = spool.New(spool.Config{Store: store, MaxNotifications: opt.notifications, Logger: log})
	must(err)

	w.device = w.newDevice(tb, "A")

	w.gateway, err = gateway.New(gateway.Config{
		Portal: w.portal, Registry: w.registry, Spool: w.spool, ServerCertificate: w.serverCertificate(),
		DrainTimeout: drainTimeout, Limits: opt.limits, Faults: opt.faults, Trace: opt.trace, Logger: log,
	})
	must(err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(tb.Context()))
	var serving sync.WaitGroup
	for name, env := range map[string]apns.Environment{sandboxName: apns.Sandbox, productionName: apns.Production} {
		l, err := w.network.Listen(name + ":443")
		must(err)
		serving.Go(func() {
			if err := w.gateway.Serve(ctx, l, env); err != nil {
				tb.Errorf("Serve: got %v, want nil", err)
			}
		})
	}
	w.stop = func() {
		cancel()
		serving.Wait()
	}
	tb.Cleanup(func() {
		w.stop()
		if err := w.spool.Close(); err != nil {
			tb.Errorf("closing the spool: %v", err)
		}
		if left := w.logs.take(); len(left) > 0 {
			tb.Errorf("logged: %q", left)
		}
	})
	return w
}

// serverCertificate returns what gives out certificates that are valid now.
func (w *world) serverCertificate() func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	var mu sync.Mutex
	var cert *tls.Certificate
	return func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		mu.Lock()
		defer mu.Unlock()
		if cert == nil || time.Now().After(cert.Leaf.NotAfter) {
			c, err := w.portal.ServerCertificate([]string{sandboxName, productionName, "*.push.apple.com", "*.sandbox.push.apple.com", "api.development.push.apple.com"}, nil)
			if err != nil {
				return nil, err
			}
			cert = &c
		}
		return cert, nil
	}
}

// newTeam enters a team with apps and a key.
func (w *world) newTeam(tb testing.TB, name string, apps ...apns.Topic) signer {
	tb.Helper()
	team, err := w.portal.CreateTeam(tb.Context(), name)
	if err != nil {
		tb.Fatal(err)
	}
	for _, app := range apps {
		if _, err := w.portal.RegisterApp(tb.Context(), team.ID, app, name); err != nil {
			tb.Fatal(err)
		}
	}
	key, p8, err := w.portal.CreateKey(tb.Context(), portal.KeySpec{Team: team.ID, Name: name})
	if err != nil {
		tb.Fatal(err)
	}
	private, err := credential.ParseP8(p8)
	if err != nil {
		tb.Fatal(err)
	}
	return signer{team: team.ID, key: key.ID, private: private}
}

func (w *world) newDevice(tb testing.TB, id apns.DeviceID) apns.DeviceOrdinal {
	tb.Helper()
	d, err := w.registry.EnterDevice(tb.Context(), id)
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

// deviceToken returns the device token of a topic on the world's device.
func (w *world) deviceToken(tb testing.TB, topic apns.Topic, env apns.Environment) apns.DeviceToken {
	tb.Helper()
	token, err := w.registry.DeviceToken(tb.Context(), apns.Address{Device: w.device, Environment: env, Topic: topic.Hash()})
	if err != nil {
		tb.Fatal(err)
	}
	return token
}

// goneToken returns a device token of a device from which the app was removed.
func (w *world) goneToken(tb testing.TB, topic apns.Topic, env apns.Environment) apns.DeviceToken {
	tb.Helper()
	a := apns.Address{Device: w.newDevice(tb, "gone"), Environment: env, Topic: topic.Hash()}
	token, err := w.registry.DeviceToken(tb.Context(), a)
	if err != nil {
		tb.Fatal(err)
	}
	if err := w.registry.Remove(tb.Context(), a, removed); err != nil {
		tb.Fatal(err)
	}
	return token
}

// attach connects a device to the sandbox and has it want the topics.
func (w *world) attach(tb testing.TB, d apns.DeviceOrdinal, topics ...apns.Topic) *spool.Inbox {
	tb.Helper()
	return w.attachWaking(tb, spool.NewBell(), d, topics...)
}

// attachWaking is attach with a waker.
func (w *world) attachWaking(tb testing.TB, by spool.Waker, d apns.DeviceOrdinal, topics ...apns.Topic) *spool.Inbox {
	tb.Helper()
	in, err := w.spool.Attach(tb.Context(), d, apns.Sandbox, by)
	if err != nil {
		tb.Fatal(err)
	}
	var f spool.Filter
	for _, topic := range topics {
		f.Enabled = append(f.Enabled, topic.Hash())
	}
	if _, err := in.SetFilter(tb.Context(), f); err != nil {
		tb.Fatal(err)
	}
	return in
}

// receive takes all that may be delivered now, and acknowledges it.
func receive(tb testing.TB, in *spool.Inbox) (payloads []string) {
	tb.Helper()
	for {
		d, ok := in.Next()
		if !ok {
			return payloads
		}
		payloads = append(payloads, string(d.Notification.Payload))
		if _, err := in.Ack(tb.Context(), d.MessageID, spool.Delivered); err != nil {
			tb.Fatal(err)
		}
	}
}

func newKey(tb testing.TB) *ecdsa.PrivateKey {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

func newRequest(tb testing.TB, key *ecdsa.PrivateKey) []byte {
	tb.Helper()
	csr, err := credential.NewRequest(key, credential.RequestSubject{CommonName: "Push", Country: "US"})
	if err != nil {
		tb.Fatal(err)
	}
	return csr
}

// pushCertificate has the portal issue a push certificate.
func (w *world) pushCertificate(tb testing.TB, app apns.Topic, kind credential.PushKind) *tls.Certificate {
	tb.Helper()
	key := newKey(tb)
	issued, err := w.portal.IssueCertificate(tb.Context(), app, kind, newRequest(tb, key))
	if err != nil {
		tb.Fatal(err)
	}
	return withKey(tb, key, issued.DER, w.portal.ProviderIssuer().Raw)
}

func withKey(tb testing.TB, key *ecdsa.PrivateKey, chain ...[]byte) *tls.Certificate {
	tb.Helper()
	leaf, err := x509.ParseCertificate(chain[0])
	if err != nil {
		tb.Fatal(err)
	}
	return &tls.Certificate{Certificate: chain, PrivateKey: key, Leaf: leaf}
}

// logs holds what was logged.
type logs struct {
	mu  sync.Mutex
	buf bytes.Buffer // guarded by mu
}

func (l *logs) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

// take returns the lines since the last call.
func (l *logs) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := strings.TrimSpace(l.buf.String())
	l.buf.Reset()
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

// until returns what has a store wait for its outcome, but no longer than it is
// asked to.
func until(outcome <-chan error) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		select {
		case err := <-outcome:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// faultySpool is a store that fails, or waits, as told.
type faultySpool struct {
	spool.Store

	mu   sync.Mutex
	put  func(ctx context.Context) error // before each Put; guarded by mu
	puts int                             // guarded by mu
}

// before has f called before each Put; nil for nothing.
func (s *faultySpool) before(f func(ctx context.Context) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put = f
}

// Put implements spool.Store.
func (s *faultySpool) Put(ctx context.Context, writes []spool.Write) error {
	s.mu.Lock()
	f := s.put
	s.puts++
	s.mu.Unlock()
	if f != nil {
		if err := f(ctx); err != nil {
			return err
		}
	}
	return s.Store.Put(ctx, writes)
}

// faultyRegistry is a store that fails, or waits, as told.
type faultyRegistry struct {
	registry.Store

	mu  sync.Mutex
	get func(ctx context.Context) error // before each Exception; guarded by mu

	channel func(ctx context.Context) error // before each call about channels; guarded by mu
}

// before has f called before each Exception; nil for nothing.
func (s *faultyRegistry) before(f func(ctx context.Context) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.get = f
}

// Exception implements registry.Store.
func (s *faultyRegistry) Exception(ctx context.Context, a apns.Address) (registry.Exception, error) {
	s.mu.Lock()
	f := s.get
	s.mu.Unlock()
	if f != nil {
		if err := f(ctx); err != nil {
			return registry.Exception{}, err
		}
	}
	return s.Store.Exception(ctx, a)
}
