package apnsclient_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnsclient"
	"github.com/heraldpush/herald/apnstest/scripted"
)

func TestRetries(t *testing.T) {
	busy := scripted.Refuse(apns.TooManyRequests)
	lost := scripted.Accept().Broken(http2.ErrCodeInternal)
	for _, tt := range []struct {
		name       string
		retry      apnsclient.Retry
		collapseID apns.CollapseID
		replies    []scripted.Reply
		want       apnsclient.Outcome
		requests   int
		least      time.Duration // that it takes
	}{
		{"too many, then room", apnsclient.Retry{}, "", []scripted.Reply{busy.RetryAfter(2 * time.Second), scripted.Accept()}, apnsclient.Accepted, 2, 2 * time.Second},
		{"a fault, then none", apnsclient.Retry{}, "", []scripted.Reply{scripted.Refuse(apns.InternalServerError), scripted.Accept()}, apnsclient.Accepted, 2, 0},
		{"overloaded for ever", apnsclient.Retry{}, "", []scripted.Reply{scripted.Refuse(apns.ServiceUnavailable)}, apnsclient.RetryLater, 4, 0},
		{"one attempt", apnsclient.Retry{Attempts: 1}, "", []scripted.Reply{busy, scripted.Accept()}, apnsclient.RetryLater, 1, 0},
		{"longer than there is time", apnsclient.Retry{}, "", []scripted.Reply{busy.RetryAfter(time.Minute), scripted.Accept()}, apnsclient.RetryLater, 1, 0},
		{"not worth another try", apnsclient.Retry{}, "", []scripted.Reply{scripted.Refuse(apns.BadDeviceToken), scripted.Accept()}, apnsclient.Rejected, 1, 0},
		{"too large", apnsclient.Retry{}, "", []scripted.Reply{scripted.Refuse(apns.PayloadTooLarge), scripted.Accept()}, apnsclient.Rejected, 1, 0},
		{"the stream refused", apnsclient.Retry{Attempts: 1}, "", []scripted.Reply{scripted.RefuseStream(), scripted.RefuseStream(), scripted.Accept()}, apnsclient.Accepted, 3, 0},
		{"shutting down", apnsclient.Retry{}, "", []scripted.Reply{scripted.Refuse(apns.Shutdown), scripted.Accept()}, apnsclient.Accepted, 2, 0},
		{"not answered", apnsclient.Retry{}, "", []scripted.Reply{lost, scripted.Accept()}, apnsclient.Unknown, 1, 0},
		{"not answered, not collapsible", apnsclient.Retry{Unanswered: apnsclient.AgainIfCollapsible}, "", []scripted.Reply{lost, scripted.Accept()}, apnsclient.Unknown, 1, 0},
		{"not answered, collapsible", apnsclient.Retry{Unanswered: apnsclient.AgainIfCollapsible}, "score", []scripted.Reply{lost, scripted.Accept()}, apnsclient.Accepted, 2, 0},
		{"not answered, again", apnsclient.Retry{Unanswered: apnsclient.Again}, "", []scripted.Reply{lost, scripted.Accept()}, apnsclient.Accepted, 2, 0},
		{"not answered, then overloaded", apnsclient.Retry{Unanswered: apnsclient.Again}, "", []scripted.Reply{lost, scripted.Refuse(apns.ServiceUnavailable)}, apnsclient.Unknown, 4, 0},
		{"cut short", apnsclient.Retry{Attempts: 1}, "", []scripted.Reply{scripted.Refuse(apns.BadDeviceToken).Half().Then(scripted.Close)}, apnsclient.Rejected, 1, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := scripted.New(t)
				g.Reply(tt.replies...)
				cfg := config(t, g)
				cfg.Retry = tt.retry
				n := hello
				n.CollapseID = tt.collapseID
				began := time.Now()
				r, err := newSender(t, cfg).Push(t.Context(), phone, n)
				if got := apnsclient.OutcomeOf(err); got != tt.want {
					t.Errorf("got %v, %v, want %v", got, err, tt.want)
				}
				pushes := g.Pushes()
				if len(pushes) != tt.requests {
					t.Errorf("got %d requests, want %d", len(pushes), tt.requests)
				}
				for _, p := range pushes {
					if p.ID != r.ID {
						t.Errorf("got the ID %s, want %s each time", p.ID, r.ID)
					}
				}
				if took := time.Since(began); took < tt.least || took > 10*time.Second {
					t.Errorf("took %v, want %v at least and not over the time of a push", took, tt.least)
				}
			})
		})
	}
}

// A service in trouble is not sent everything several times.
func TestRetryBudgetIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := scripted.New(t)
		g.Reply(scripted.Refuse(apns.ServiceUnavailable))
		s := newSender(t, config(t, g))
		const n = 2000
		for r := range s.PushAll(t.Context(), repeated(n, &hello)) {
			if apnsclient.OutcomeOf(r.Err) != apnsclient.RetryLater {
				t.Fatal(r.Err)
			}
		}
		if got := g.Counts().Pushes - n; got < 100 || got > 100+n/10 {
			t.Errorf("got %d retries for %d pushes, want one in ten, and a hundred to begin with", got, n)
		}
	})
}

// A gateway that takes no stream in is not asked without a pause.
func TestRefusedForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := scripted.New(t)
		g.Reply(scripted.RefuseStream())
		_, err := newSender(t, config(t, g)).Push(t.Context(), phone, hello)
		if got := apnsclient.OutcomeOf(err); got != apnsclient.ConnectionFault {
			t.Errorf("got %v, %v", got, err)
		}
		if n := g.Counts().Pushes; n < 5 || n > 50 {
			t.Errorf("got %d attempts in ten seconds", n)
		}
	})
}

// all pushes n times at once, and returns how that ended.
func all(t *testing.T, s *apnsclient.Sender, n int) map[apnsclient.Outcome]int {
	t.Helper()
	var mu sync.Mutex
	got := make(map[apnsclient.Outcome]int)
	var pushes sync.WaitGroup
	for range n {
		pushes.Go(func() {
			_, err := s.Push(t.Context(), phone, hello)
			mu.Lock()
			defer mu.Unlock()
			got[apnsclient.OutcomeOf(err)]++
		})
	}
	pushes.Wait()
	return got
}

func TestConnectionsGrow(t *testing.T) {
	for most, want := range []int{0: 4, 1: 1, 3: 3} {
		if want == 0 {
			continue
		}
		t.Run(fmt.Sprint(most), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := scripted.New(t)
				g.Script(scripted.Script{Streams: 10})
				g.Reply(scripted.Accept().Delay(500 * time.Millisecond))
				cfg := config(t, g)
				cfg.Connections = most
				s := newSender(t, cfg)
				if got := all(t, s, 10); got[apnsclient.Accepted] != 10 {
					t.Errorf("got %v", got)
				}
				if n := g.Counts().Opened; n != 1 {
					t.Errorf("for as many pushes as one takes: got %d connections, want 1", n)
				}
				if got := all(t, s, 150); got[apnsclient.Accepted] != 150 {
					t.Errorf("got %v", got)
				}
				if n := g.Counts().Opened; n != want {
					t.Errorf("got %d connections, want %d", n, want)
				}
				if got := s.Stats(); got.Connections != want || got.Streams != 10*want {
					t.Errorf("got %+v", got)
				}
			})
		})
	}
}

// One stream until the first push was accepted: the burst waits for that, and not
// with further connections.
func TestRamp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := scripted.New(t)
		g.Script(scripted.Script{Streams: 1, Steps: []scripted.Step{{Accepted: 1, Do: scripted.Streams(1000)}}})
		g.Reply(scripted.Accept().Delay(50 * time.Millisecond))
		s := newSender(t, config(t, g))
		began := time.Now()
		if got := all(t, s, 500); got[apnsclient.Accepted] != 500 {
			t.Errorf("got %v", got)
		}
		if c := g.Counts(); c.Opened != 1 || c.MostStreams != 499 {
			t.Errorf("got %d connections and %d pushes at a time, want 1 and 499", c.Opened, c.MostStreams)
		}
		if took := time.Since(began); took > 200*time.Millisecond {
			t.Errorf("took %v, want two answers' time", took)
		}
	})
}

// After refusals the service may take one push at a time on a connection. Others
// then carry what it does not.
func TestLimitFalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := scripted.New(t)
		g.OnConnect(func(n int) scripted.Script {
			if n == 1 {
				return scripted.Script{Streams: 100, Steps: []scripted.Step{{Pushes: 50, Do: scripted.Streams(1)}}}
			}
			return scripted.Script{}
		})
		g.Reply(scripted.Accept().Delay(100 * time.Millisecond))
		s := newSender(t, config(t, g))
		began := time.Now()
		for range 4 {
			if got := all(t, s, 100); got[apnsclient.Accepted] != 100 {
				t.Errorf("got %v", got)
			}
		}
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("took %v for 400 pushes", took)
		}
		if n := g.Counts().Opened; n != 2 {
			t.Errorf("got %d connections, want 2", n)
		}
	})
}

func TestQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := scripted.New(t)
		g.Script(scripted.Script{Streams: 1, SettingsDelay: time.Second})
		g.Reply(scripted.Accept().Delay(time.Second))
		cfg := config(t, g)
		cfg.Connections, cfg.MaxPending, cfg.FailFast = 1, 3, true
		s := newSender(t, cfg)
		if got := all(t, s, 10); got[apnsclient.Accepted] != 3 || got[apnsclient.ConnectionFault] != 7 {
			t.Errorf("before there is a connection: got %v, want 3 that wait and 7 that do not", got)
		}
		go all(t, s, 4)
		synctest.Wait()
		if got := s.Stats(); got.InFlight != 1 || got.Pending != 3 {
			t.Errorf("got %+v, want 1 in flight, 3 pending", got)
		}
		_, err := s.Push(t.Context(), phone, hello)
		if !errors.Is(err, apnsclient.ErrBusy) {
			t.Errorf("got %v, want ErrBusy", err)
		}
		time.Sleep(1500 * time.Millisecond)
		if got := s.Stats(); got.OldestPending != 1500*time.Millisecond {
			t.Errorf("got %+v, want one that has waited for 1.5s", got)
		}
	})
}

func TestPlaceInTheQueueIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := scripted.New(t)
		g.Script(scripted.Script{Streams: 1})
		g.Reply(scripted.Accept().Delay(100 * time.Millisecond))
		cfg := config(t, g)
		cfg.Connections, cfg.MaxPending = 1, 2
		s := newSender(t, cfg)
		began := time.Now()
		if got := all(t, s, 20); got[apnsclient.Accepted] != 20 {
			t.Errorf("got %v, want all accepted", got)
		}
		if took := time.Since(began); took != 2*time.Second {
			t.Errorf("took %v, want 2s: one after the other", took)
		}
		if got := all(t, s, 200); got[apnsclient.Accepted] < 97 || got[apnsclient.ConnectionFault] < 90 {
			t.Errorf("got %v, want 100 accepted in the ten seconds of a push, but for those under way at their end", got)
		}
		for range 4 {
			go all(t, s, 1)
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		_, err := s.Push(ctx, phone, hello)
		if !errors.Is(err, apnsclient.ErrBusy) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want ErrBusy and the end of the context", err)
		}
	})
}

// A connection is replaced at its age, while pushes go on.
func TestOldConnectionIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := scripted.New(t)
		g.Reply(scripted.Accept().Delay(time.Second))
		cfg := config(t, g)
		cfg.MaxAge = time.Hour
		s := newSender(t, cfg)
		for range 4 * 60 {
			if got := all(t, s, 3); got[apnsclient.Accepted] != 3 {
				t.Fatalf("got %v", got)
			}
			time.Sleep(time.Minute)
		}
		if c := g.Counts(); c.Opened < 4 || c.Opened > 6 || c.Opened-c.Closed != 1 {
			t.Errorf("got %d connections in four hours, %d of them closed", c.Opened, c.Closed)
		}
	})
}

// What a firewall has forgotten about is found out by a PING, and not by a push
// of which then nobody knows what became of it.
func TestDeadIdleConnectionLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := scripted.New(t)
		s := newSender(t, config(t, g))
		if _, err := s.Push(t.Context(), phone, hello); err != nil {
			t.Fatal(err)
		}
		time.Sleep(30 * time.Minute)
		g.Do(scripted.Vanish)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := s.Push(ctx, phone, hello)
		if got := apnsclient.OutcomeOf(err); got == apnsclient.Unknown {
			t.Errorf("got %v, %v, want to know", got, err)
		}
	})
}

func TestHooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := scripted.New(t)
		g.Script(scripted.Script{Streams: 1, Steps: []scripted.Step{
			{Accepted: 1, Do: scripted.Streams(100)},
			{Pushes: 3, Do: scripted.GoAway{Reason: apns.Shutdown, AtOnce: true}},
		}})
		g.Reply(scripted.Accept(), scripted.Refuse(apns.InternalServerError), scripted.Accept())
		var mu sync.Mutex
		var got []string
		note := func(format string, args ...any) {
			mu.Lock()
			defer mu.Unlock()
			got = append(got, fmt.Sprintf(format, args...))
		}
		cfg := config(t, g)
		cfg.Hooks = apnsclient.Hooks{
			Attempt: func(a apnsclient.Attempt) {
				note("%s %s %d on %d: %d %s %v again=%t", a.Topic, a.PushType, a.Number, a.Connection, a.Status, a.Reason, a.Outcome, a.Retried)
			},
			Connection: func(e apnsclient.ConnectionEvent) {
				note("%d %v limit=%d %s", e.Connection, e.Kind, e.Limit, e.Reason)
			},
		}
		s := newSender(t, cfg)
		for range 2 {
			if _, err := s.Push(t.Context(), phone, hello); err != nil {
				t.Error(err)
			}
			synctest.Wait()
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		want := []string{
			"1 opened limit=1 ",
			"com.example.demo alert 1 on 1: 200  accepted again=false",
			"1 limit changed limit=100 ",
			"com.example.demo alert 1 on 1: 500 InternalServerError retry later again=true",
			"com.example.demo alert 2 on 1: 200  accepted again=false",
			"1 going away limit=100 Shutdown",
			"1 closed limit=0 ",
		}
		if !slices.Equal(got, want) {
			t.Errorf("got %q\nwant %q", got, want)
		}
	})
}

// A gateway that takes smaller headers than a push has costs the push, and no
// connection.
func TestHeaderTooLarge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := scripted.New(t)
		g.Script(scripted.Script{Settings: []http2.Setting{{ID: http2.SettingMaxHeaderListSize, Val: 200}}})
		s := newSender(t, config(t, g))
		for range 3 {
			_, err := s.Push(t.Context(), phone, hello)
			if got := apnsclient.OutcomeOf(err); got != apnsclient.ConnectionFault {
				t.Errorf("got %v, %v", got, err)
			}
		}
		if c := g.Counts(); c.Opened != 1 || c.Pushes != 0 {
			t.Errorf("got %d connections and %d pushes, want 1 and 0", c.Opened, c.Pushes)
		}
	})
}
