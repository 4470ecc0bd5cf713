package crash

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/gateway"
	"github.com/heraldpush/herald/platform"
	"github.com/heraldpush/herald/provider/account"
	"github.com/heraldpush/herald/provider/audience"
	"github.com/heraldpush/herald/provider/outbox"
	"github.com/heraldpush/herald/spool"
	"github.com/heraldpush/herald/store/memory"
)

// counts is a spool.Store that counts what it takes as new, and what it knows again.
type counts struct {
	spool.Store
	mu      sync.Mutex
	news    map[pushed]int // guarded by mu
	repeats int            // guarded by mu
}

// pushed tells one notification to one device token from all others.
type pushed struct {
	token apns.DeviceToken
	id    apns.NotificationID
}

// Put implements spool.Store.
func (c *counts) Put(ctx context.Context, writes []spool.Write) error {
	if err := c.Store.Put(ctx, writes); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range writes {
		if writes[i].Repeat {
			c.repeats++
			continue
		}
		e := writes[i].Own() // what it is made of is used again
		c.news[pushed{e.DeviceToken, e.Notification.ID}]++
	}
	return nil
}

// newCount returns how many pushes were taken as new.
func (c *counts) newCount() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.news)
}

// broadcasts is a push service in this process and a push server in another, which
// is killed.
type broadcasts struct {
	dir      string
	counts   *counts
	tokens   []apns.DeviceToken // by the number of the installation
	pushing  *pushServer
	mu       sync.Mutex
	accepted map[outbox.MessageID][]int // answered with 202: for which installations, nil for all; guarded by mu
	asked    int                        // POSTs of messages; guarded by mu
}

// bundle is the app of the push server, and appPath where it is in the API.
const (
	bundle  apns.Topic = "com.example.shop"
	appPath string     = "/v1/apps/shop"
)

// newBroadcasts starts a push service with so many devices, and a push server that
// knows them.
func newBroadcasts(t *testing.T, n int) *broadcasts {
	t.Helper()
	b := &broadcasts{
		dir: t.TempDir(), counts: &counts{Store: memory.NewSpool(4 << 20), news: make(map[pushed]int)}, accepted: make(map[outbox.MessageID][]int),
	}
	log := slog.New(slog.DiscardHandler)
	service, err := platform.Open(t.Context(), platform.Config{
		PortalStore: memory.NewPortal(), RegistryStore: memory.NewRegistry(), SpoolStore: b.counts,
		GatewayLimits: new(gateway.DevelopmentLimits()), TraceOff: true, DrainTimeout: 100 * time.Millisecond, Logger: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	developer, err := service.Develop(t.Context(), "Crash", bundle, key)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		// A device token says itself which device it is of; that one never connects.
		device := apns.DeviceOrdinal(i + 1) //nolint:gosec // positive
		token, err := service.Registry.DeviceToken(t.Context(), apns.Address{Device: device, Environment: environment, Topic: bundle.Hash()})
		if err != nil {
			t.Fatal(err)
		}
		b.tokens = append(b.tokens, token)
	}
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := service.Serve(ctx, platform.Listeners{Gateway: map[apns.Environment]net.Listener{environment: l}}); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		cancel()
		serving.Wait()
		if err := service.Close(); err != nil {
			t.Error(err)
		}
	})
	b.pushing = newPushServer(t, b.dir, gatewayAt{Address: l.Addr().String(), ServerName: service.ServerName(), Roots: service.Portal.RootPEM()})
	b.pushing.run(t)
	b.enter(t, developer)
	return b
}

// enter tells the push server the app, its credential and the installations.
func (b *broadcasts) enter(t *testing.T, developer platform.Developer) {
	t.Helper()
	ask := func(method, path string, body any) error {
		_, err := b.pushing.ask(t.Context(), method, path, "", body, nil)
		return err
	}
	if err := ask(http.MethodPost, "/v1/apps", account.AppSpec{ID: "shop", BundleID: bundle}); err != nil {
		t.Fatal(err)
	}
	upload := account.Upload{File: developer.P8, TeamID: developer.Team.ID, KeyID: developer.KeyID, Environments: []string{environment.String()}}
	if err := ask(http.MethodPost, appPath+"/credentials", upload); err != nil {
		t.Fatal(err)
	}
	var registering sync.WaitGroup
	const at = 64 // at once
	for first := range at {
		registering.Go(func() {
			for i := first; i < len(b.tokens) && !t.Failed(); {
				r := audience.Registration{DeviceTokens: []audience.RegisteredToken{{Environment: environment.String(), Value: b.tokens[i].Hex()}}}
				status, err := b.pushing.ask(t.Context(), http.MethodPut, fmt.Sprintf("%s/installations/i%d", appPath, i), "", r, nil)
				if err != nil {
					t.Errorf("installation %d: %v", i, err)
				}
				if status != 0 {
					i += at
				}
			}
		})
	}
	registering.Wait()
	if t.Failed() {
		t.FailNow()
	}
}

// message is what the API says of one.
type message struct {
	ID     outbox.MessageID `json:"id"`
	State  string           `json:"state"`
	Counts struct {
		Targeted, Accepted, Rejected, Pending int
	} `json:"counts"`
}

// send sends a message to everybody, or to the installation of a number, again and
// again until it is answered with 202; and then once more, which changes nothing.
func (b *broadcasts) send(ctx context.Context, key string, to []int) (outbox.MessageID, error) {
	whom := map[string]any{"everybody": true}
	if to != nil {
		whom = map[string]any{"installations": []string{fmt.Sprint("i", to[0])}}
	}
	request := map[string]any{"to": whom, "content": map[string]any{"body": "Hello " + key}}
	var first message
	for n := 0; ; sleep(ctx, 5*time.Millisecond) {
		if ctx.Err() != nil {
			return first.ID, ctx.Err()
		}
		var m message
		status, err := b.pushing.ask(ctx, http.MethodPost, appPath+"/messages", key, request, &m)
		b.mu.Lock()
		b.asked++
		b.mu.Unlock()
		if status == 0 {
			continue // it was killed, or has no time
		}
		if err != nil || status != http.StatusAccepted {
			return m.ID, fmt.Errorf("message %s: status %d: %w", key, status, err)
		}
		if n++; n == 1 {
			first = m
			b.mu.Lock()
			b.accepted[m.ID] = to
			b.mu.Unlock()
			continue
		}
		if m.ID != first.ID {
			return m.ID, fmt.Errorf("message %s is %v, and was %v", key, m.ID, first.ID)
		}
		return m.ID, nil
	}
}

// done reports whether a message is done and accepted for all.
func (b *broadcasts) done(ctx context.Context, id outbox.MessageID) (bool, error) {
	var m message
	status, err := b.pushing.ask(ctx, http.MethodGet, appPath+"/messages/"+id.String(), "", nil, &m)
	if status == 0 {
		return false, nil // it was killed, or has no time
	}
	if err == nil && m.State == "done" && (m.Counts.Accepted != m.Counts.Targeted || m.Counts.Targeted == 0) {
		err = fmt.Errorf("message %v: got %+v, want it accepted for all", id, m.Counts)
	}
	return m.State == "done", err
}

// TestBroadcastKilled kills the push server at any moment while it freezes, sends and
// accounts for messages to everybody, and takes single ones beside. In the end each
// message that was answered with 202 was taken by the push service for each
// installation exactly once: repeats of a device token and apns-id, which it knows
// again, are not taken (docs/protocol/provider.md#storage).
func TestBroadcastKilled(t *testing.T) {
	t.Parallel()
	n := 5_000
	if os.Getenv("HERALD_LONG") != "" {
		n = 100_000
	}
	b := newBroadcasts(t, n)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	defer cancel()
	var senders sync.WaitGroup
	stop := make(chan struct{})
	repeat := func(name string, pause time.Duration, to func() []int, then func(outbox.MessageID) error) {
		senders.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				case <-time.After(rand.N(pause)):
				}
				id, err := b.send(ctx, fmt.Sprint(name, "-", i), to())
				if err == nil && then != nil {
					err = then(id)
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	repeat("broadcast", 50*time.Millisecond, func() []int { return nil }, func(id outbox.MessageID) error { return b.await(ctx, id) })
	const singles = 8
	for i := range singles {
		repeat(fmt.Sprint("single", i), 20*time.Millisecond, func() []int { return []int{rand.IntN(n)} }, nil)
	}
	times := kills()
	for i := range times {
		before := b.counts.newCount()
		for deadline := time.Now().Add(startTimeout); b.counts.newCount() == before && !t.Failed(); sleep(ctx, time.Millisecond) {
			if time.Now().After(deadline) {
				t.Errorf("nothing is sent for %v", startTimeout)
			}
		}
		if t.Failed() {
			break
		}
		sleep(ctx, rand.N(500*time.Millisecond))
		b.pushing.kill()
		if i%4 == 3 { // before it serves
			launched := b.pushing.start(t)
			select {
			case <-time.After(rand.N(80 * time.Millisecond)):
			case err := <-launched:
				if err != nil {
					t.Error(err)
				}
			}
			b.pushing.kill()
		}
		b.pushing.run(t)
	}
	close(stop)
	senders.Wait()
	b.settle(ctx, t)
	t.Logf("%d kills while it served, %d while it started", times, times/4)
}

// await waits until a message is done.
func (b *broadcasts) await(ctx context.Context, id outbox.MessageID) error {
	for deadline := time.Now().Add(10 * time.Minute); ; sleep(ctx, 20*time.Millisecond) {
		if ok, err := b.done(ctx, id); ok || err != nil {
			return err
		}
		if ctx.Err() != nil || time.Now().After(deadline) {
			return fmt.Errorf("message %v is not done", id)
		}
	}
}

// settle waits until all messages are done, and compares what was promised with what
// the push service has taken.
func (b *broadcasts) settle(ctx context.Context, t *testing.T) {
	t.Helper()
	meant := make(map[pushed]bool)
	everybody := 0
	for id, to := range b.accepted {
		if err := b.await(ctx, id); err != nil {
			t.Error(err)
		}
		some := b.tokens
		if to != nil {
			some = []apns.DeviceToken{b.tokens[to[0]]}
		} else {
			everybody++
		}
		for _, token := range some {
			meant[pushed{token, outbox.NotificationID(id, environment, token)}] = true
		}
	}
	b.counts.mu.Lock()
	defer b.counts.mu.Unlock()
	lost, twice, strange := 0, 0, 0
	for p := range meant {
		if b.counts.news[p] == 0 {
			lost++
		}
	}
	for p, n := range b.counts.news {
		if n > 1 {
			twice++
		}
		if !meant[p] {
			strange++
		}
	}
	if lost > 0 || twice > 0 || strange > 0 {
		t.Errorf("%d were lost, %d were taken twice, %d were never asked for", lost, twice, strange)
	}
	t.Logf("%d messages to %d installations each and %d to one, in %d requests: %d notifications, %d taken as new, "+
		"%d known again; %d lost, %d twice, %d strange", everybody, len(b.tokens), len(b.accepted)-everybody, b.asked,
		len(meant), len(b.counts.news), b.counts.repeats, lost, twice, strange)
}
