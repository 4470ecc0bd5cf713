package event_test

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heraldpush/herald/internal/memnet"
	"github.com/heraldpush/herald/provider/account"
	"github.com/heraldpush/herald/provider/event"
)

// receiver is where events are posted, and answers as it is told.
type receiver struct {
	mu     sync.Mutex
	answer func(call int, w http.ResponseWriter, r *http.Request) // nil: 204; guarded by mu
	calls  []call                                                 // guarded by mu
}

// call is a delivery that came.
type call struct {
	at     time.Time
	header http.Header
	body   []byte
	event.Delivery
}

// ServeHTTP implements http.Handler.
func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	c := call{at: time.Now(), header: req.Header, body: body}
	if err = errors.Join(err, json.Unmarshal(body, &c.Delivery)); err != nil {
		http.Error(w, err.Error(), http.StatusTeapot)
		return
	}
	r.mu.Lock()
	r.calls = append(r.calls, c)
	n, answer := len(r.calls), r.answer
	r.mu.Unlock()
	if answer == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	answer(n, w, req)
}

func (r *receiver) set(answer func(call int, w http.ResponseWriter, r *http.Request)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = answer
}

// always answers a status to all.
func always(status int) func(int, http.ResponseWriter, *http.Request) {
	return func(_ int, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
}

// all returns what came so far.
func (r *receiver) all() []call {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.calls)
}

// got lists the numbers of the events of each delivery.
func (r *receiver) got() string {
	var all []string
	for _, c := range r.all() {
		all = append(all, sequences(c.Events))
	}
	return strings.Join(all, " ")
}

// yard is a station whose webhooks are called in a network in memory. It is to be used
// in a bubble.
type yard struct {
	*station
	network memnet.Network
	stop    func() // ends the Caller
	caller  *event.Caller
}

func newYard(t *testing.T) *yard {
	t.Helper()
	y := &yard{station: newStation(t)}
	y.open(t)
	y.run(t)
	t.Cleanup(func() { y.stop() })
	return y
}

func (y *yard) open(t *testing.T) {
	t.Helper()
	y.station.open(t)
	var err error
	if y.roll, err = event.OpenRoll(t.Context(), event.RollConfig{Book: y.book, Log: y.log, Plain: true}); err != nil {
		t.Fatal(err)
	}
}

// run calls the webhooks until stop.
func (y *yard) run(t *testing.T) {
	t.Helper()
	var err error
	y.caller, err = event.NewCaller(event.CallerConfig{
		Roll: y.roll, Log: y.log, Dial: y.network.DialContext, Logger: slog.New(slog.NewTextHandler(y.station, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		y.caller.Run(ctx)
	}()
	y.stop = func() { cancel(); <-done }
}

// restart ends the Caller and begins again with what is stored.
func (y *yard) restart(t *testing.T) {
	t.Helper()
	y.stop()
	y.open(t)
	y.run(t)
}

// receive serves a receiver at a host.
func (y *yard) receive(t *testing.T, host string) *receiver {
	t.Helper()
	l, err := y.network.Listen(host + ":80")
	if err != nil {
		t.Fatal(err)
	}
	r := new(receiver)
	srv := &http.Server{Handler: r, ReadHeaderTimeout: time.Minute}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("serving: %v", err)
		}
	}()
	t.Cleanup(func() { srv.Close(); <-done })
	return r
}

// events adds n events of an app.
func (y *yard) events(t *testing.T, app account.AppID, n int) {
	t.Helper()
	var all []event.Event
	for i := range n {
		all = append(all, restored(t, app, i))
	}
	add(t, y.log, all...)
}

func TestDelivery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t)
		r := y.receive(t, "hooks.example.com")
		y.events(t, "shop", 2) // before there is a webhook
		w, secret := y.create(t, event.WebhookSpec{URL: "http://hooks.example.com/herald?secret-path"})
		synctest.Wait()
		if got := r.got(); got != "" {
			t.Errorf("got %s, want nothing that was before", got)
		}
		y.events(t, "shop", 1)
		synctest.Wait()
		y.events(t, "shop", 250)
		synctest.Wait()
		calls := r.all()
		var sizes, numbers []int
		for _, c := range calls {
			sizes = append(sizes, len(c.Events))
			for _, e := range c.Events {
				numbers = append(numbers, int(e.Sequence))
			}
			id, stamp := c.header.Get("webhook-id"), c.header.Get("webhook-timestamp")
			seconds, _ := strconv.ParseInt(stamp, 10, 64)
			if got, want := c.header.Get("webhook-signature"), secret.Sign(id, time.Unix(seconds, 0), c.body); got != want || seconds != time.Now().Unix() {
				t.Errorf("at %s: got signature %s, want %s", stamp, got, want)
			}
			if c.header.Get("Content-Type") != "application/json" || c.Webhook != w.ID || !strings.HasPrefix(id, "whd_") {
				t.Errorf("got %v for %s", c.header, c.Webhook)
			}
		}
		if want := []int{1, 100, 100, 50}; !slices.Equal(sizes, want) {
			t.Errorf("got deliveries of %v events, want %v", sizes, want)
		}
		for n, number := range numbers {
			if number != n+3 {
				t.Fatalf("got %v, want all in their order", numbers)
			}
		}
		p := y.webhook(t, w.ID).Progress
		if p.Cursor != 253 || p.Delivered != 251 || !p.DeliveredAt.Equal(time.Now()) {
			t.Errorf("got %+v, want all delivered", p)
		}
		y.wantNowhere(t, secret.Reveal()[6:])
	})
}

func TestDeliveryOfWhatIsWanted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t)
		if _, err := y.book.CreateApp(t.Context(), account.AppSpec{ID: "other", BundleID: "com.example.other"}); err != nil {
			t.Fatal(err)
		}
		r := y.receive(t, "hooks.example.com")
		w, _ := y.create(t, event.WebhookSpec{URL: "http://hooks.example.com", Apps: []account.AppID{"shop"}})
		y.create(t, event.WebhookSpec{URL: "http://hooks.example.com", Kinds: []event.Kind{event.MessageDone}})
		y.events(t, "other", 1500)
		y.events(t, "shop", 1)
		y.events(t, "other", 1)
		synctest.Wait()
		if got := r.got(); got != "[1501]" {
			t.Errorf("got %s, want [1501]", got)
		}
		if got := y.webhook(t, w.ID).Progress.Cursor; got != 1502 {
			t.Errorf("got as far as %d, want 1502", got)
		}
		y.restart(t)
		y.events(t, "shop", 1)
		synctest.Wait()
		if got := r.got(); got != "[1501] [1503]" {
			t.Errorf("after a restart: got %s, want [1501] [1503]", got)
		}
	})
}

// TestFailureForDays is the story of a receiver that never answers well: the waits
// grow to an hour, and after three days the webhook is paused, of which there is an
// event.
func TestFailureForDays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t)
		r := y.receive(t, "hooks.example.com")
		r.set(always(http.StatusInternalServerError))
		w, secret := y.create(t, event.WebhookSpec{URL: "http://hooks.example.com/?secret-path"})
		began := time.Now()
		y.events(t, "shop", 2)
		synctest.Wait()
		y.events(t, "shop", 1) // does not change what is tried again
		time.Sleep(80 * time.Hour)
		calls := r.all()
		want := 5 * time.Second
		for n, c := range calls {
			if got := sequences(c.Events); got != "[1 2]" || c.header.Get("webhook-id") != calls[0].header.Get("webhook-id") {
				t.Errorf("call %d: got %s as %s, want the same again", n+1, got, c.header.Get("webhook-id"))
			}
			if n == 0 {
				continue
			}
			if got := c.at.Sub(calls[n-1].at); got < want*8/10 || got > want*12/10 {
				t.Errorf("call %d: after %v, want about %v", n+1, got, want)
			}
			want = min(2*want, time.Hour)
		}
		if last := calls[len(calls)-1].at.Sub(began); last < 72*time.Hour || last > 74*time.Hour {
			t.Errorf("the last of %d calls was after %v, want about 72 h", len(calls), last)
		}
		p := y.webhook(t, w.ID).Progress
		if p.State != event.Paused || p.Why != event.WhyFailing || p.LastStatus != 500 || p.Cursor != 0 || p.Failures != len(calls) {
			t.Errorf("got %+v, want it paused", p)
		}
		page, err := y.log.Read(t.Context(), 3, event.Filter{}, 10)
		if err != nil || len(page.Events) != 1 {
			t.Fatalf("got %v, %v, want one event more", page, err)
		}
		e := page.Events[0]
		body := read[event.WebhookPause](t, e)
		if e.Kind != event.WebhookPaused || e.Subject != string(w.ID) || body.Why != event.WhyFailing || body.Host != "hooks.example.com" ||
			!body.FailingSince.Equal(began) || body.LastStatus != 500 {
			t.Errorf("got %s %s %+v", e.Kind, e.Subject, body)
		}
		if audit := y.audit(t); audit[len(audit)-1] != "webhook.paused" {
			t.Errorf("got %v, want webhook.paused in the end", audit)
		}
		// It stays so, until somebody resumes it: then it gets all that it missed.
		y.restart(t)
		y.events(t, "shop", 1)
		time.Sleep(100 * time.Hour)
		if got := len(r.all()); got != len(calls) {
			t.Errorf("got %d calls, want the %d of before", got, len(calls))
		}
		r.set(nil)
		if _, err := y.roll.Resume(t.Context(), w.ID); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := sequences(r.all()[len(calls)].Events); got != "[1 2 3 4 5]" {
			t.Errorf("got %s, want [1 2 3 4 5]", got)
		}
		if p := y.webhook(t, w.ID).Progress; p.State != event.Active || p.Failures != 0 || p.Cursor != 5 {
			t.Errorf("got %+v, want it well", p)
		}
		y.wantNowhere(t, secret.Reveal()[6:])
	})
}

// A restart does not lose the place, nor the wait.
func TestRestartWhileItFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t)
		r := y.receive(t, "hooks.example.com")
		r.set(always(http.StatusBadGateway))
		w, _ := y.create(t, event.WebhookSpec{URL: "http://hooks.example.com"})
		y.events(t, "shop", 2)
		time.Sleep(10 * time.Minute)
		before, next := r.all(), y.webhook(t, w.ID).Progress.Next
		y.events(t, "shop", 2)
		y.restart(t)
		synctest.Wait()
		if got := len(r.all()); got != len(before) {
			t.Errorf("got %d calls at once, want none before %v", got-len(before), next)
		}
		r.set(nil)
		time.Sleep(time.Until(next) + time.Second)
		calls := r.all()[len(before):]
		if len(calls) != 2 || sequences(calls[0].Events) != "[1 2]" || sequences(calls[1].Events) != "[3 4]" || !calls[0].at.Equal(next) ||
			calls[0].header.Get("webhook-id") != before[0].header.Get("webhook-id") {
			t.Errorf("got %s, the last at %v, want [1 2] [3 4] at %v", r.got(), calls[0].at, next)
		}
	})
}

// What was answered and not noted, as the process ended, comes once more, and nothing
// else does.
func TestCrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t)
		r := y.receive(t, "hooks.example.com")
		y.create(t, event.WebhookSpec{URL: "http://hooks.example.com"})
		y.events(t, "shop", 1)
		synctest.Wait()
		stored := y.accounts
		y.accounts = &frozen{stored}
		y.restart(t) // from now on nothing is stored
		y.events(t, "shop", 1)
		synctest.Wait()
		y.stop()
		y.accounts = stored
		y.open(t)
		y.events(t, "shop", 1)
		y.run(t)
		synctest.Wait()
		calls := r.all()
		if got := r.got(); got != "[1] [2] [2 3]" {
			t.Errorf("got %s, want [1] [2] [2 3]", got)
		}
		if a, b := calls[1].Events[0], calls[2].Events[0]; a.ID != b.ID {
			t.Errorf("got %s and %s, want the same event", a.ID, b.ID)
		}
		if !strings.Contains(y.text(), "could not go on with a webhook") {
			t.Errorf("got the log %s, want it to say that nothing was stored", y.text())
		}
	})
}

// frozen is a store that stores nothing.
type frozen struct{ account.Store }

// Update implements account.Store.
func (f *frozen) Update(context.Context, func(account.Tx) error) error {
	return errors.New("the disk is full")
}

// A receiver that never answers is in nobody's way, and is given up in time.
func TestSlowReceiver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t)
		slow, quick := y.receive(t, "slow.example.com"), y.receive(t, "quick.example.com")
		slow.set(func(_ int, _ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		w, _ := y.create(t, event.WebhookSpec{URL: "http://slow.example.com"})
		y.create(t, event.WebhookSpec{URL: "http://quick.example.com"})
		for n := range 3 {
			y.events(t, "shop", 1)
			synctest.Wait()
			if got := len(quick.all()); got != n+1 {
				t.Errorf("got %d deliveries, want %d at once", got, n+1)
			}
		}
		time.Sleep(15*time.Second + time.Millisecond)
		if p := y.webhook(t, w.ID).Progress; p.Failures != 1 || p.LastError != "no answer in time" || p.LastStatus != 0 {
			t.Errorf("got %+v, want one failure", p)
		}
		// When all is to end, who is waited for has three seconds.
		time.Sleep(6 * time.Second)
		began := time.Now()
		y.stop()
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("it took %v to end, want at most 3 s", took)
		}
		if p := y.webhook(t, w.ID).Progress; p.Failures != 1 {
			t.Errorf("got %d failures, want the end not to be one", p.Failures)
		}
	})
}

func TestAnswers(t *testing.T) {
	for name, tt := range map[string]struct {
		answer func(int, http.ResponseWriter, *http.Request)
		want   string // state, failures, last error
		wait   time.Duration
	}{
		"accepted": {always(http.StatusAccepted), `active 0 ""`, 0},
		"a long answer": {func(_ int, w http.ResponseWriter, _ *http.Request) {
			for range 1 << 10 { // more than a connection holds
				if _, err := w.Write(make([]byte, 1<<10)); err != nil {
					return
				}
			}
		}, `active 0 ""`, 0},
		"an answer without end": {func(_ int, w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusOK)
			http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}, `active 0 ""`, 15 * time.Second},
		"redirected": {func(_ int, w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://hooks.example.com/other", http.StatusTemporaryRedirect)
		}, `active 1 "it redirects, which is not followed: give the webhook the other URL"`, 0},
		"gone":      {always(http.StatusGone), `paused 1 "answered 410 Gone"`, 0},
		"not there": {always(http.StatusNotFound), `active 1 "answered 404 Not Found"`, 0},
		"busy": {func(_ int, w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "600")
			w.WriteHeader(http.StatusServiceUnavailable)
		}, `active 1 "answered 503 Service Unavailable"`, 0},
		"cut off": {func(int, http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, `active 1 "EOF"`, 0},
		"many headers": {func(_ int, w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Long", strings.Repeat("x", 1<<20))
		}, `active 1 "net/http: HTTP/1.x transport connection broken: net/http: server response headers exceeded 16384 bytes; aborted"`, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				y := newYard(t)
				r := y.receive(t, "hooks.example.com")
				r.set(tt.answer)
				w, _ := y.create(t, event.WebhookSpec{URL: "http://hooks.example.com"})
				y.events(t, "shop", 1)
				time.Sleep(tt.wait + time.Second)
				p := y.webhook(t, w.ID).Progress
				if got := fmt.Sprintf("%s %d %q", p.State, p.Failures, p.LastError); got != tt.want {
					t.Errorf("got %s, want %s", got, tt.want)
				}
				if got := len(r.all()); got != 1 {
					t.Errorf("got %d calls, want 1", got)
				}
				if wait := p.Next.Sub(r.all()[0].at); name == "busy" && (wait < 8*time.Minute || wait > 12*time.Minute) {
					t.Errorf("tried again after %v, want about 10 minutes, as asked", wait)
				}
			})
		})
	}
}

// A receiver that is not there is a failure as any other.
func TestNobodyThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t)
		w, _ := y.create(t, event.WebhookSpec{URL: "http://hooks.example.com/?secret-path"})
		y.events(t, "shop", 1)
		time.Sleep(time.Second)
		p := y.webhook(t, w.ID).Progress
		if p.Failures != 1 || !strings.Contains(p.LastError, "connection refused") || strings.Contains(p.LastError, "secret-path") {
			t.Errorf("got %+v, want one failure that does not show the URL", p)
		}
		y.receive(t, "hooks.example.com")
		time.Sleep(time.Minute)
		if p := y.webhook(t, w.ID).Progress; p.Cursor != 1 {
			t.Errorf("got %+v, want all delivered", p)
		}
	})
}

func TestPauseAndReplay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t)
		r := y.receive(t, "hooks.example.com")
		w, _ := y.create(t, event.WebhookSpec{URL: "http://hooks.example.com"})
		y.events(t, "shop", 3)
		synctest.Wait()
		if p, err := y.roll.Pause(t.Context(), w.ID); err != nil || p.Progress.State != event.Paused || p.Progress.Why != event.WhyAsked {
			t.Errorf("got %+v, %v, want it paused", p, err)
		}
		y.events(t, "shop", 1)
		synctest.Wait()
		if _, err := y.roll.Replay(t.Context(), w.ID, 1); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if _, err := y.roll.Replay(t.Context(), w.ID, 1); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := r.got(); got != "[1 2 3] [2 3 4] [2 3 4]" {
			t.Errorf("got %s, want [1 2 3] [2 3 4] [2 3 4]", got)
		}
		calls := r.all()
		if a, b := calls[1].header.Get("webhook-id"), calls[2].header.Get("webhook-id"); a == b {
			t.Errorf("replayed twice as %s: receivers who tell deliveries by that would not take it", a)
		}
		if err := y.roll.Delete(t.Context(), w.ID); err != nil {
			t.Error(err)
		}
		y.events(t, "shop", 1)
		synctest.Wait()
		if got := len(r.all()); got != 3 {
			t.Errorf("got %d calls, want none to one that is deleted", got-3)
		}
	})
}

// A replay while a delivery is under way is not undone by what comes of that.
func TestReplayWhileItIsCalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t)
		r := y.receive(t, "hooks.example.com")
		w, _ := y.create(t, event.WebhookSpec{URL: "http://hooks.example.com"})
		y.events(t, "shop", 2)
		synctest.Wait()
		r.set(func(_ int, w http.ResponseWriter, _ *http.Request) {
			time.Sleep(5 * time.Second)
			w.WriteHeader(http.StatusOK)
		})
		y.events(t, "shop", 1)
		time.Sleep(time.Second)
		if _, err := y.roll.Replay(t.Context(), w.ID, 0); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if got := r.got(); got != "[1 2] [3] [1 2 3]" {
			t.Errorf("got %s, want [1 2] [3] [1 2 3]", got)
		}
	})
}

// For a day, deliveries are signed with the former secret as well.
func TestRotate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t)
		r := y.receive(t, "hooks.example.com")
		w, former := y.create(t, event.WebhookSpec{URL: "http://hooks.example.com"})
		_, secret, err := y.roll.Rotate(t.Context(), w.ID)
		if err != nil {
			t.Fatal(err)
		}
		y.events(t, "shop", 1)
		time.Sleep(25 * time.Hour)
		y.events(t, "shop", 1)
		synctest.Wait()
		for n, secrets := range [][]event.Secret{{secret, former}, {secret}} {
			c := r.all()[n]
			var want []string
			for _, s := range secrets {
				want = append(want, s.Sign(c.header.Get("webhook-id"), c.at, c.body))
			}
			if got := c.header.Get("webhook-signature"); got != strings.Join(want, " ") {
				t.Errorf("delivery %d: got %s, want %s", n, got, want)
			}
		}
		y.wantNowhere(t, secret.Reveal()[6:], former.Reveal()[6:])
	})
}

// What is removed from the log before a webhook had it is counted.
func TestMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t)
		r := y.receive(t, "hooks.example.com")
		w, _ := y.create(t, event.WebhookSpec{URL: "http://hooks.example.com"})
		if _, err := y.roll.Pause(t.Context(), w.ID); err != nil {
			t.Fatal(err)
		}
		y.events(t, "shop", 10)
		if _, err := y.log.Trim(t.Context(), event.Retention{Age: 100 * 365 * 24 * time.Hour, Events: 3}, time.Now()); err != nil {
			t.Fatal(err)
		}
		if _, err := y.roll.Resume(t.Context(), w.ID); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if p := y.webhook(t, w.ID).Progress; r.got() != "[8 9 10]" || p.Missed != 7 || p.Delivered != 3 {
			t.Errorf("got %s and %+v, want [8 9 10], and 7 missed", r.got(), p)
		}
		if w, err := y.roll.Replay(t.Context(), w.ID, 2); err != nil || w.Progress.Cursor != 7 {
			t.Errorf("replayed: got %+v, %v, want to go on with the first there is", w.Progress, err)
		}
		synctest.Wait()
		if p := y.webhook(t, w.ID).Progress; p.Missed != 7 {
			t.Errorf("got %d missed, want 7 still", p.Missed)
		}
	})
}

func TestTry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t)
		r := y.receive(t, "hooks.example.com")
		w, secret := y.create(t, event.WebhookSpec{URL: "http://hooks.example.com", Kinds: []event.Kind{event.MessageDone}})
		if _, err := y.roll.Pause(t.Context(), w.ID); err != nil {
			t.Fatal(err)
		}
		before := y.webhook(t, w.ID)
		got, err := y.caller.Try(t.Context(), w.ID)
		if err != nil || got != (event.Trial{Taken: true, Status: 204}) {
			t.Errorf("got %+v, %v, want it taken", got, err)
		}
		c := r.all()[0]
		if len(c.Events) != 1 || c.Events[0].Kind != event.WebhookTest || c.Events[0].Sequence != 0 ||
			c.header.Get("webhook-signature") != secret.Sign(c.header.Get("webhook-id"), c.at, c.body) {
			t.Errorf("got %s %v, want a signed event of a test", c.body, c.header)
		}
		r.set(func(_ int, w http.ResponseWriter, _ *http.Request) {
			time.Sleep(time.Second)
			w.WriteHeader(http.StatusForbidden)
		})
		if got, err = y.caller.Try(t.Context(), w.ID); err != nil || got != (event.Trial{Status: 403, Error: "answered 403 Forbidden", Milliseconds: 1000}) {
			t.Errorf("got %+v, %v, want it refused", got, err)
		}
		if after := y.webhook(t, w.ID); after.Progress != before.Progress {
			t.Errorf("got %+v, want %+v as before", after.Progress, before.Progress)
		}
		if _, last, err := y.log.Bounds(t.Context()); err != nil || last != 0 {
			t.Errorf("got %d events in the log, %v, want none", last, err)
		}
	})
}

// Deliveries go over TLS to whom the roots vouch for, and to nobody else.
func TestTLS(t *testing.T) {
	var network memnet.Network
	l, err := network.Listen("example.com:443")
	if err != nil {
		t.Fatal(err)
	}
	r := new(receiver)
	srv := httptest.NewUnstartedServer(r)
	srv.Listener.Close()
	srv.Listener, srv.Config.ErrorLog = net.Listener(l), slog.NewLogLogger(slog.DiscardHandler, 0)
	srv.StartTLS()
	defer srv.Close()
	s := newStation(t)
	w, _ := s.create(t, event.WebhookSpec{URL: "https://example.com/herald"})
	roots := x509.NewCertPool()
	for _, want := range []bool{false, true} {
		c, err := event.NewCaller(event.CallerConfig{Roll: s.roll, Log: s.log, Dial: network.DialContext, Roots: roots})
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.Try(t.Context(), w.ID)
		if err != nil || got.Taken != want || !want && !strings.Contains(got.Error, "certificate") {
			t.Errorf("got %+v, %v, want taken %v", got, err, want)
		}
		roots.AddCert(srv.Certificate())
	}
}

func TestNewCaller(t *testing.T) {
	if _, err := event.NewCaller(event.CallerConfig{}); err == nil {
		t.Error("a caller of nothing: got no error")
	}
	if _, err := event.OpenRoll(t.Context(), event.RollConfig{}); err == nil {
		t.Error("a roll without a book: got no error")
	}
}
