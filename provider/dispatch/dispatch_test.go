package dispatch_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnsclient"
	"github.com/heraldpush/herald/provider/audience"
	"github.com/heraldpush/herald/provider/dispatch"
	"github.com/heraldpush/herald/provider/outbox"
	"github.com/heraldpush/herald/store/memory"
	"github.com/heraldpush/herald/store/pebble"
)

// gateway is a Pusher that answers as it is told, some time later.
type gateway struct {
	// answer returns the answer to a push, the nth to its device token.
	answer func(to apns.DeviceToken, n int) error
	delay  time.Duration

	mu     sync.Mutex
	pushed map[apns.DeviceToken][]apns.NotificationID // guarded by mu
	total  int                                        // guarded by mu
	// last is when the last push to a device token began, guarded by mu.
	last map[apns.DeviceToken]time.Time
}

func newGateway(answer func(apns.DeviceToken, int) error) *gateway {
	return &gateway{answer: answer, delay: 10 * time.Millisecond, pushed: make(map[apns.DeviceToken][]apns.NotificationID), last: make(map[apns.DeviceToken]time.Time)}
}

func accept(apns.DeviceToken, int) error { return nil }

// Push implements dispatch.Pusher.
func (g *gateway) Push(_ context.Context, to apns.DeviceToken, n apns.Notification) (apnsclient.Receipt, error) {
	g.mu.Lock()
	g.pushed[to] = append(g.pushed[to], n.ID)
	g.total++
	g.last[to] = time.Now()
	count := len(g.pushed[to])
	g.mu.Unlock()
	time.Sleep(g.delay)
	return apnsclient.Receipt{ID: n.ID}, g.answer(to, count)
}

// PushAll implements dispatch.Pusher, with 100 pushes under way.
func (g *gateway) PushAll(ctx context.Context, pushes iter.Seq[apnsclient.Push]) iter.Seq[apnsclient.Result] {
	return func(yield func(apnsclient.Result) bool) {
		results := make(chan apnsclient.Result)
		go func() {
			defer close(results)
			var under sync.WaitGroup
			room := make(chan struct{}, 100)
			for p := range pushes {
				room <- struct{}{}
				under.Go(func() {
					n := *p.Notification
					n.ID = p.ID
					receipt, err := g.Push(ctx, p.To, n)
					results <- apnsclient.Result{Push: p, Receipt: receipt, Err: err}
					<-room
				})
			}
			under.Wait()
		}()
		for r := range results {
			yield(r)
		}
	}
}

func (g *gateway) count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.total
}

const app audience.AppNumber = 1

// world is a dispatcher with what is around it.
type world struct {
	t        *testing.T
	outbox   outbox.Store
	audience *memory.Audience
	cfg      dispatch.Config
	wake     func()   // of the dispatcher that runs
	faults   []string // guarded by mu
	mu       sync.Mutex
}

// play calls f with a world, in a bubble.
func play(t *testing.T, f func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		o, err := pebble.OpenOutboxInMemory()
		if err != nil {
			t.Fatal(err)
		}
		w := &world{t: t, outbox: o, audience: memory.NewAudience()}
		w.cfg = dispatch.Config{
			Outbox: o, Audience: w.audience, Logger: slog.New(slog.DiscardHandler),
			Fault: func(app audience.AppNumber, e apns.Environment, t apns.Topic, err error) {
				w.mu.Lock()
				defer w.mu.Unlock()
				w.faults = append(w.faults, fmt.Sprint(app, " ", e, " ", t, ": ", err))
			},
		}
		f(w)
		if err := o.Close(); err != nil {
			t.Error(err)
		}
	})
}

// road has all pushes go to a gateway.
func (w *world) road(g dispatch.Pusher) {
	w.cfg.Road = func(audience.AppNumber, apns.Environment, apns.Topic) (dispatch.Pusher, error) { return g, nil }
}

// deviceToken returns that of an installation.
func deviceToken(n int) apns.DeviceToken {
	return apns.DeviceToken([]byte{byte(n >> 16), byte(n >> 8), byte(n), 1})
}

// register registers n installations.
func (w *world) register(app audience.AppNumber, n int) {
	w.t.Helper()
	for i := range n {
		r := audience.Registration{DeviceTokens: []audience.RegisteredToken{{Environment: "production", Value: deviceToken(i).Hex()}}}
		_, err := w.audience.Change(w.t.Context(), app, audience.InstallationID(fmt.Sprint("i", i)), func(i audience.Installation) (audience.Installation, bool, error) {
			return i.Register(r, time.Now())
		})
		if err != nil {
			w.t.Fatal(err)
		}
	}
}

// submit submits a message for all installations of an app.
func (w *world) submit(app audience.AppNumber, lane outbox.Lane) outbox.MessageID {
	w.t.Helper()
	return w.submitTopic(app, lane, "com.example.demo")
}

// submitTopic submits one for a topic.
func (w *world) submitTopic(app audience.AppNumber, lane outbox.Lane, topic apns.Topic) outbox.MessageID {
	w.t.Helper()
	now := time.Now()
	use := audience.Use{Kind: audience.KindAlert}
	var shards []outbox.Shard
	err := w.audience.Select(w.t.Context(), app, audience.Selection{Use: use, Below: 1 << 31}, func(c audience.Chunk, m *audience.Members) error {
		shards = append(shards, outbox.NewShard(c, m))
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	id := outbox.NewMessageID(now)
	_, _, err = w.outbox.Submit(w.t.Context(), outbox.Submission{Shards: shards, Intent: outbox.Intent{
		ID: id, App: app, Lane: lane, Use: use, Deadline: now.Add(time.Hour),
		Notification: apns.Notification{Topic: topic, PushType: apns.PushTypeAlert, Payload: apns.Payload(`{"aps":{"alert":"Hi"}}`)},
	}}, now)
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

// run runs a dispatcher until stop is called, which returns its error.
func (w *world) run() (stop func() error) {
	w.t.Helper()
	d, err := dispatch.New(w.cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	w.wake = d.Wake
	return func() error {
		cancel()
		return <-ended
	}
}

func (w *world) message(id outbox.MessageID) outbox.Message {
	w.t.Helper()
	m, err := w.outbox.Message(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	return m
}

// standing returns what has become of the device token of an installation.
func (w *world) standing(n int) audience.Standing {
	w.t.Helper()
	i, err := w.audience.Installation(w.t.Context(), app, audience.InstallationID(fmt.Sprint("i", n)))
	if err != nil {
		w.t.Fatal(err)
	}
	return i.Destinations[0].Standing
}

// TestSend sends to more installations than a chunk has.
func TestSend(t *testing.T) {
	play(t, func(w *world) {
		t := w.t
		const n = audience.ChunkWidth + 100
		g := newGateway(accept)
		w.road(g)
		w.register(app, n)
		id := w.submit(app, outbox.Campaign)
		stop := w.run()
		time.Sleep(10 * time.Second)
		if err := stop(); err != nil {
			t.Error(err)
		}
		if m := w.message(id); m.State != outbox.StateDone || m.Counts.Receipts != (outbox.Tally{outbox.Accepted: n}) {
			t.Errorf("got %+v", m.Status)
		}
		for i := range n {
			to := deviceToken(i)
			if got := g.pushed[to]; len(got) != 1 || got[0] != outbox.NotificationID(id, apns.Production, to) {
				t.Fatalf("installation %d: got %v, want one push with the derived id", i, got)
			}
		}
		if s := w.standing(7); s.AcceptedAt.IsZero() {
			t.Error("that a push was accepted is not noted")
		}
	})
}

// TestAnswers has each installation answered otherwise.
func TestAnswers(t *testing.T) {
	rejection := func(r apns.Reason) *apns.Rejection { return apns.Reject(r, "") }
	play(t, func(w *world) {
		t := w.t
		g := newGateway(func(to apns.DeviceToken, n int) error {
			switch i := to[2]; {
			case i == 0:
				return rejection(apns.Unregistered)
			case i == 1:
				return rejection(apns.BadDeviceToken)
			case i == 2:
				return rejection(apns.PayloadTooLarge)
			case i == 3 && n < 3:
				return rejection(apns.ServiceUnavailable)
			case i == 4 && n == 1:
				return &apnsclient.UnansweredError{Err: context.DeadlineExceeded}
			case i == 5 && n == 1:
				return &apns.Rejection{Status: 429, Reason: apns.TooManyRequests, RetryAfter: 2 * time.Minute}
			case i == 6:
				return &apnsclient.UnsentError{Err: errors.New("no route")}
			}
			return nil
		})
		w.road(g)
		w.register(app, 8)
		id := w.submit(app, outbox.Ordinary)
		stop := w.run()
		time.Sleep(time.Minute)
		m := w.message(id)
		if want := (outbox.Tally{2, 3, 3, 0}); m.Counts.Receipts != want {
			t.Errorf("after a minute: got %v, want %v", m.Counts.Receipts, want)
		}
		time.Sleep(2 * time.Hour)
		if err := stop(); err != nil {
			t.Error(err)
		}
		if m = w.message(id); m.State != outbox.StateDone || m.Counts.Receipts != (outbox.Tally{0, 4, 3, 1}) {
			t.Errorf("in the end: got %+v", m.Status)
		}
		for i, want := range []audience.State{audience.Gone, audience.Gone, audience.Active, audience.Active, audience.Active, audience.Active, audience.Active, audience.Active} {
			if got := w.standing(i); got.State != want {
				t.Errorf("installation %d: got %v, want %v", i, got.State, want)
			}
		}
		for to, ids := range g.pushed {
			for _, got := range ids {
				if want := outbox.NotificationID(id, apns.Production, to); got != want {
					t.Errorf("%x: got id %v, want %v each time", to, got, want)
				}
			}
		}
		failures, err := w.outbox.Failures(t.Context(), id, outbox.FailureAt{}, 9)
		if err != nil || len(failures) != 3 || failures[0].Reason != apns.Unregistered || failures[0].Status != 410 || failures[0].ID == "" {
			t.Errorf("got failures %+v, %v", failures, err)
		}
	})
}

// TestCrash has the outbox fail again and again while a message is sent: in the
// end each installation has one receipt, and whatever was pushed twice had the same
// apns-id.
func TestCrash(t *testing.T) {
	play(t, func(w *world) {
		t := w.t
		const n = 3000
		g := newGateway(accept)
		w.road(g)
		w.register(app, n)
		id := w.submit(app, outbox.Campaign)
		crashes := 0
		for w.message(id).State != outbox.StateDone {
			failing := &failingOutbox{Store: w.outbox, after: rand.IntN(4)}
			w.cfg.Outbox, w.cfg.CheckpointEvery = failing, 50*time.Millisecond
			stop := w.run()
			time.Sleep(2 * time.Minute) // until others may claim what was held
			if err := stop(); errors.Is(err, errCrash) {
				crashes++
			} else if err != nil {
				t.Fatal(err)
			}
		}
		if m := w.message(id); m.Counts.Receipts != (outbox.Tally{outbox.Accepted: n}) || crashes == 0 {
			t.Errorf("after %d crashes: got %+v", crashes, m.Status)
		}
		for i := range n {
			to := deviceToken(i)
			if len(g.pushed[to]) == 0 {
				t.Fatalf("installation %d was pushed nothing", i)
			}
			for _, got := range g.pushed[to] {
				if want := outbox.NotificationID(id, apns.Production, to); got != want {
					t.Fatalf("installation %d: got id %v, want %v each time", i, got, want)
				}
			}
		}
		// What is repeated is what was in flight or not yet stored, not the message.
		if most := n + (crashes+1)*1200; g.count() > most {
			t.Errorf("got %d pushes after %d crashes, want at most %d", g.count(), crashes, most)
		}
	})
}

var errCrash = errors.New("crash")

// failingOutbox fails at a checkpoint, which is not stored.
type failingOutbox struct {
	outbox.Store
	after int // so many
}

// Checkpoint implements outbox.Store.
func (f *failingOutbox) Checkpoint(ctx context.Context, all []outbox.Progress, now time.Time) ([]outbox.Checked, error) {
	if f.after--; f.after < 0 {
		return nil, errCrash
	}
	return f.Store.Checkpoint(ctx, all, now)
}

// TestFuse has a wave of bad device tokens: the message is paused, and no device
// token is given up for it.
func TestFuse(t *testing.T) {
	play(t, func(w *world) {
		t := w.t
		const n = 4000
		g := newGateway(func(apns.DeviceToken, int) error { return apns.Reject(apns.BadDeviceToken, "") })
		w.road(g)
		w.register(app, n)
		id := w.submit(app, outbox.Campaign)
		stop := w.run()
		time.Sleep(time.Minute)
		if m := w.message(id); m.State != outbox.StatePaused || m.Why != outbox.WhyFuse || g.count() == n {
			t.Errorf("after %d pushes: got %+v, want it paused", g.count(), m.Status)
		}
		for i := range n {
			if s := w.standing(i); s.State != audience.Active {
				t.Fatalf("installation %d: got %+v", i, s)
			}
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// TestUrgent sends an urgent message while a campaign waits for its gateway.
func TestUrgent(t *testing.T) {
	play(t, func(w *world) {
		t := w.t
		g := newGateway(accept)
		g.delay = time.Second
		w.road(g)
		w.register(app, 5000)
		campaign := w.submit(app, outbox.Campaign)
		w.register(2, 1)
		stop := w.run()
		time.Sleep(5 * time.Second)
		urgent := w.submit(2, outbox.Urgent)
		w.wake()
		time.Sleep(1500 * time.Millisecond) // of which the gateway takes a second
		if m := w.message(urgent); m.State != outbox.StateDone {
			t.Errorf("the urgent message: got %+v, want it done", m.Status)
		}
		if m := w.message(campaign); m.State != outbox.StateSending {
			t.Errorf("the campaign: got %v, want it still being sent", m.State)
		}
		// A drain waits for what is under way alone.
		if err := stop(); err != nil {
			t.Error(err)
		}
		m := w.message(campaign)
		if got := m.Counts.Receipts[outbox.Accepted]; got == 0 || got+1 != g.count() {
			t.Errorf("got %d receipts for %d pushes of the campaign", got, g.count()-1)
		}
	})
}

// TestUrgentBesideAll sends urgent messages of an app that has a campaign under way,
// while the answer to an urgent one before them does not come.
func TestUrgentBesideAll(t *testing.T) {
	play(t, func(w *world) {
		t := w.t
		silent := deviceToken(1 << 20)
		g := newGateway(accept)
		g.delay = 50 * time.Millisecond
		w.road(&slowFor{gateway: g, to: silent, delay: 10 * time.Second})
		w.register(app, 3*audience.ChunkWidth)
		campaign := w.submit(app, outbox.Campaign)
		stop := w.run()
		time.Sleep(3 * time.Second)
		w.submitTo(silent)
		for n := range 20 {
			time.Sleep(100 * time.Millisecond)
			to := deviceToken(1<<20 + 1 + n)
			began := time.Now()
			id := w.submitTo(to)
			time.Sleep(100 * time.Millisecond)
			g.mu.Lock()
			at, pushed := g.last[to]
			g.mu.Unlock()
			if !pushed {
				t.Fatalf("urgent message %d was not pushed after 100 ms", n)
			}
			if got := at.Sub(began); got > 10*time.Millisecond {
				t.Errorf("urgent message %d was pushed after %v", n, got)
			}
			if m := w.message(id); m.State != outbox.StateDone {
				t.Errorf("urgent message %d: got %v", n, m.State)
			}
		}
		if m := w.message(campaign); m.State != outbox.StateSending {
			t.Errorf("the campaign: got %v, want it still being sent", m.State)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// submitTo submits an urgent message to a device token.
func (w *world) submitTo(to apns.DeviceToken) outbox.MessageID {
	w.t.Helper()
	now := time.Now()
	id := outbox.NewMessageID(now)
	_, _, err := w.outbox.Submit(w.t.Context(), outbox.Submission{
		Intent: outbox.Intent{ID: id, App: app, Lane: outbox.Urgent, Notification: apns.Notification{Topic: "com.example.demo"}, Deadline: now.Add(time.Hour)},
		Shards: []outbox.Shard{{Listed: []outbox.Addressee{{Environment: apns.Production, DeviceToken: to}}, Receipts: outbox.NewReceipts(1)}},
	}, now)
	if err != nil {
		w.t.Fatal(err)
	}
	w.wake()
	return id
}

// slowFor is a gateway that takes longer for one device token.
type slowFor struct {
	*gateway
	to    apns.DeviceToken
	delay time.Duration
}

// Push implements dispatch.Pusher.
func (s *slowFor) Push(ctx context.Context, to apns.DeviceToken, n apns.Notification) (apnsclient.Receipt, error) {
	if to == s.to {
		time.Sleep(s.delay)
	}
	return s.gateway.Push(ctx, to, n)
}

// TestRetryAfter has device tokens that are to be left alone for different times, and
// others that may be tried at once.
func TestRetryAfter(t *testing.T) {
	play(t, func(w *world) {
		t := w.t
		began := time.Now()
		asked := func(to apns.DeviceToken) time.Duration { return time.Duration(to[2]) * 2 * time.Minute }
		var (
			mu    sync.Mutex
			early []string // guarded by mu
		)
		g := newGateway(func(to apns.DeviceToken, n int) error {
			switch {
			case n == 1 && asked(to) > 0:
				return &apns.Rejection{Status: 429, Reason: apns.TooManyRequests, RetryAfter: asked(to)}
			case n < 4 && asked(to) == 0:
				return apns.Reject(apns.ServiceUnavailable, "")
			}
			if after := time.Since(began); asked(to) > 0 && after < asked(to) {
				mu.Lock()
				defer mu.Unlock()
				early = append(early, fmt.Sprintf("%v instead of %v", after, asked(to)))
			}
			return nil
		})
		w.road(g)
		w.register(app, 6)
		id := w.submit(app, outbox.Ordinary)
		stop := w.run()
		time.Sleep(time.Minute)
		if m := w.message(id); m.Counts.Receipts != (outbox.Tally{5, 1, 0, 0}) {
			t.Errorf("after a minute: got %v", m.Counts.Receipts)
		}
		time.Sleep(14 * time.Minute) // 10, and what the wait may be longer
		if err := stop(); err != nil {
			t.Error(err)
		}
		if m := w.message(id); m.State != outbox.StateDone || m.Counts.Receipts != (outbox.Tally{0, 6, 0, 0}) {
			t.Errorf("got %+v", m.Status)
		}
		if len(early) > 0 || g.count() != 5*2+4 {
			t.Errorf("pushed to %d times, too early: %q", g.count(), early)
		}
	})
}

// TestProviderFault has the credential of one app refused: that is told, few
// pushes are spent on it, and another app does not wait.
func TestProviderFault(t *testing.T) {
	play(t, func(w *world) {
		t := w.t
		refused := newGateway(func(apns.DeviceToken, int) error { return apns.Reject(apns.ExpiredProviderToken, "") })
		good := newGateway(accept)
		w.cfg.Road = func(a audience.AppNumber, _ apns.Environment, _ apns.Topic) (dispatch.Pusher, error) {
			switch a {
			case 1:
				return refused, nil
			case 2:
				return good, nil
			}
			return nil, errors.New("no credential")
		}
		var ids []outbox.MessageID
		for a := range audience.AppNumber(3) {
			w.register(a+1, 2000)
			ids = append(ids, w.submit(a+1, outbox.Campaign))
		}
		stop := w.run()
		time.Sleep(700 * time.Millisecond) // before the second pass
		if m := w.message(ids[1]); m.State != outbox.StateDone {
			t.Errorf("the app with a good credential: got %+v", m.Status)
		}
		for _, n := range []int{0, 2} {
			if m := w.message(ids[n]); m.State != outbox.StateSending || m.Counts.Receipts[outbox.Pending] != 2000 {
				t.Errorf("app %d: got %+v, want all pending", n+1, m.Status)
			}
		}
		if n := refused.count(); n == 0 || n > 300 {
			t.Errorf("got %d pushes with the refused credential", n)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if len(w.faults) < 2 {
			t.Errorf("got faults %q, want those of both apps", w.faults)
		}
		if s := w.standing(0); s.State != audience.Active {
			t.Errorf("got %+v of a device token, for a fault of the credential", s)
		}
	})
}

// TestPause pauses a message that is being sent, and resumes it.
func TestPause(t *testing.T) {
	play(t, func(w *world) {
		t := w.t
		const n = 5000
		g := newGateway(accept)
		g.delay = 100 * time.Millisecond
		w.road(g)
		w.register(app, n)
		id := w.submit(app, outbox.Campaign)
		stop := w.run()
		time.Sleep(time.Second)
		if _, err := w.outbox.Step(t.Context(), id, outbox.Pause{Why: outbox.WhyAsked}, nil, time.Now()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		paused := g.count()
		time.Sleep(time.Hour / 2)
		if got := g.count(); got != paused || got == n {
			t.Errorf("got %d pushes, %d of them a second after the pause", got, paused)
		}
		if _, err := w.outbox.Step(t.Context(), id, outbox.Resume{}, nil, time.Now()); err != nil {
			t.Fatal(err)
		}
		w.wake()
		time.Sleep(time.Minute)
		if m := w.message(id); m.State != outbox.StateDone || g.count() != n {
			t.Errorf("got %v after %d pushes, want it done after %d", m.State, g.count(), n)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// TestNobody sends to installations that have nothing to be sent to any more.
func TestNobody(t *testing.T) {
	play(t, func(w *world) {
		t := w.t
		g := newGateway(accept)
		w.road(g)
		w.register(app, 3)
		id := w.submit(app, outbox.Ordinary)
		for n, state := range []audience.State{audience.Gone, audience.Quarantined} {
			i, err := w.audience.Installation(t.Context(), app, audience.InstallationID(fmt.Sprint("i", n)))
			if err != nil {
				t.Fatal(err)
			}
			after := i.Destinations[0].Standing
			after.State, after.ReasonAt, after.Reason = state, time.Now(), apns.BadDeviceToken
			ruling := audience.Ruling{Target: audience.Target{Ordinal: i.Ordinal, Destination: i.Destinations[0]}, After: after}
			if err := w.audience.Rule(t.Context(), app, []audience.Ruling{ruling}); err != nil {
				t.Fatal(err)
			}
		}
		stop := w.run()
		time.Sleep(time.Minute)
		if err := stop(); err != nil {
			t.Error(err)
		}
		m := w.message(id)
		if m.State != outbox.StateDone || m.Counts.Reasons[outbox.NoDeviceToken] != 1 || m.Counts.Reasons[outbox.InQuarantine] != 1 || g.count() != 1 {
			t.Errorf("got %+v after %d pushes", m.Status, g.count())
		}
	})
}

// TestListed sends to device tokens that came with the message, one of them with
// the sender's own apns-id.
func TestListed(t *testing.T) {
	play(t, func(w *world) {
		t := w.t
		g := newGateway(func(to apns.DeviceToken, _ int) error {
			if to == deviceToken(1) {
				return apns.Reject(apns.Unregistered, "")
			}
			return nil
		})
		w.road(g)
		now := time.Now()
		own := apns.NotificationID("eabeae54-14a8-11e5-b60b-1697f925ec7b")
		submit := func(n apns.Notification, to ...apns.DeviceToken) outbox.MessageID {
			t.Helper()
			s := outbox.Shard{Receipts: outbox.NewReceipts(len(to))}
			for _, d := range to {
				s.Listed = append(s.Listed, outbox.Addressee{Environment: apns.Sandbox, DeviceToken: d})
			}
			id := outbox.NewMessageID(now)
			_, _, err := w.outbox.Submit(t.Context(), outbox.Submission{
				Intent: outbox.Intent{ID: id, App: app, Lane: outbox.Urgent, Notification: n, Deadline: now.Add(time.Hour)}, Shards: []outbox.Shard{s},
			}, now)
			if err != nil {
				t.Fatal(err)
			}
			return id
		}
		two := submit(apns.Notification{}, deviceToken(1), deviceToken(2))
		one := submit(apns.Notification{ID: own}, deviceToken(3))
		stop := w.run()
		time.Sleep(time.Minute)
		if err := stop(); err != nil {
			t.Error(err)
		}
		if m := w.message(two); m.State != outbox.StateDone || m.Counts.Receipts != (outbox.Tally{0, 1, 1, 0}) {
			t.Errorf("two: got %+v", m.Status)
		}
		if m := w.message(one); m.State != outbox.StateDone || g.pushed[deviceToken(3)][0] != own {
			t.Errorf("one: got %+v with %v", m.Status, g.pushed[deviceToken(3)])
		}
	})
}

// TestSeveral has installations with a device token of each environment.
func TestSeveral(t *testing.T) {
	play(t, func(w *world) {
		t := w.t
		rejected := apns.Reject(apns.Unregistered, "")
		sandbox := newGateway(func(to apns.DeviceToken, _ int) error {
			if to[2] > 0 {
				return rejected
			}
			return nil
		})
		production := newGateway(func(to apns.DeviceToken, n int) error {
			switch {
			case to[2] == 2:
				return rejected
			case to[2] == 3 && n == 1:
				return apns.Reject(apns.ServiceUnavailable, "")
			}
			return nil
		})
		w.cfg.Road = func(_ audience.AppNumber, e apns.Environment, _ apns.Topic) (dispatch.Pusher, error) {
			if e == apns.Sandbox {
				return sandbox, nil
			}
			return production, nil
		}
		for n := range 4 {
			r := audience.Registration{DeviceTokens: []audience.RegisteredToken{
				{Environment: "sandbox", Value: deviceToken(n).Hex()}, {Environment: "production", Value: deviceToken(n).Hex()},
			}}
			_, err := w.audience.Change(t.Context(), app, audience.InstallationID(fmt.Sprint("i", n)), func(i audience.Installation) (audience.Installation, bool, error) {
				return i.Register(r, time.Now())
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		id := w.submit(app, outbox.Ordinary)
		stop := w.run()
		time.Sleep(time.Minute)
		if err := stop(); err != nil {
			t.Error(err)
		}
		// Both, one, none; and one at the second try.
		if m := w.message(id); m.State != outbox.StateDone || m.Counts.Receipts != (outbox.Tally{0, 3, 1, 0}) {
			t.Errorf("got %+v", m.Status)
		}
		if n := len(sandbox.pushed[deviceToken(0)]); n != 1 {
			t.Errorf("got %d pushes to one that was accepted", n)
		}
	})
}

// TestTopics sends messages of two topics at once, one of which has a credential
// that is refused.
func TestTopics(t *testing.T) {
	play(t, func(w *world) {
		t := w.t
		refused := newGateway(func(apns.DeviceToken, int) error { return apns.Reject(apns.TopicDisallowed, "") })
		good := newGateway(accept)
		w.cfg.Road = func(_ audience.AppNumber, _ apns.Environment, topic apns.Topic) (dispatch.Pusher, error) {
			if topic == "com.example.demo.voip" {
				return refused, nil
			}
			return good, nil
		}
		w.register(app, 100)
		ids := []outbox.MessageID{w.submitTopic(app, outbox.Ordinary, "com.example.demo"), w.submitTopic(app, outbox.Ordinary, "com.example.demo.voip")}
		stop := w.run()
		time.Sleep(700 * time.Millisecond) // before the second pass
		if err := stop(); err != nil {
			t.Error(err)
		}
		if m := w.message(ids[0]); m.State != outbox.StateDone {
			t.Errorf("the topic with a good credential: got %+v", m.Status)
		}
		if m := w.message(ids[1]); m.State != outbox.StateSending || m.Counts.Receipts[outbox.Pending] != 100 {
			t.Errorf("the other topic: got %+v, want all pending", m.Status)
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if len(w.faults) != 1 || !strings.Contains(w.faults[0], "com.example.demo.voip: ") {
			t.Errorf("got faults %q, want that of the topic", w.faults)
		}
	})
}

func TestNewRefuses(t *testing.T) {
	if _, err := dispatch.New(dispatch.Config{}); err == nil {
		t.Error("got no error for a dispatcher without rooms")
	}
}

// noRoom is an audience.Store that cannot note what becomes of device tokens.
type noRoom struct{ audience.Store }

// Rule implements audience.Store.
func (noRoom) Rule(context.Context, audience.AppNumber, []audience.Ruling) error {
	return errors.New("no space left on device")
}

// TestNoRoomForRulings has a message sent whatever becomes of the notes on its device
// tokens.
func TestNoRoomForRulings(t *testing.T) {
	play(t, func(w *world) {
		t := w.t
		w.road(newGateway(accept))
		w.register(app, 3)
		w.cfg.Audience = noRoom{w.audience}
		id := w.submit(app, outbox.Ordinary)
		stop := w.run()
		time.Sleep(time.Minute)
		if m := w.message(id); m.State != outbox.StateDone || m.Counts.Receipts[outbox.Accepted] != 3 {
			t.Errorf("got %+v", m.Status)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}
