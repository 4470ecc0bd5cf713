package pain

import (
	"testing"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnstest/scripted"
	"github.com/heraldpush/herald/provider/outbox"
)

// A sender that waits for each answer before it sends the next is slower the further
// away the service is. With answers that take 100 ms, all that a connection takes
// are under way at once.
func TestPain07PushesOverlap(t *testing.T) {
	play(t, func(s *scene) {
		const n = 8000
		s.register(shop, 0, n)
		s.production.Reply(scripted.Accept().Delay(100 * time.Millisecond))
		s.running(func() {
			began := time.Now()
			s.accepted(s.ended(shop, s.send(shop, toSome(n))), n)
			took := time.Since(began)
			// One after the other it would be 800 s.
			if got := s.production.Counts().MostStreams; got != 1000 || took > 3*time.Second {
				s.Errorf("got %d at once on a connection and %v, want 1000 and at most 3 s", got, took)
			}
		})
	})
}

// A connection that nobody used for hours is often gone without a word: the first
// push after the pause goes through all the same, and nothing waits until somebody
// starts the server again.
func TestPain03Idle(t *testing.T) {
	idle(t, 10*time.Hour, func(g *scripted.Gateway) { g.Do(scripted.Vanish) })
}

// As TestPain03Idle, with all that may have happened to the connection.
func TestPain15Idle(t *testing.T) {
	for name, happens := range map[string]func(g *scripted.Gateway){
		"nothing":         func(*scripted.Gateway) {},
		"it vanished":     func(g *scripted.Gateway) { g.Do(scripted.Vanish) },
		"it was reset":    func(g *scripted.Gateway) { g.Do(scripted.Reset) },
		"it was closed":   func(g *scripted.Gateway) { g.Do(scripted.GoAway{Reason: apns.IdleTimeout, Close: true}) },
		"no PONG is sent": func(g *scripted.Gateway) { g.Do(scripted.StopPongs) },
	} {
		for _, pause := range []time.Duration{20 * time.Minute, 2 * time.Hour} {
			t.Run(name+" in "+pause.String(), func(t *testing.T) { idle(t, pause, happens) })
		}
	}
}

// idle has nothing sent for a while, in the midst of which something happens.
func idle(t *testing.T, pause time.Duration, happens func(*scripted.Gateway)) {
	t.Helper()
	play(t, func(s *scene) {
		s.register(shop, 0, 1)
		s.running(func() {
			s.accepted(s.ended(shop, s.send(shop, toSome(1))), 1)
			time.Sleep(pause / 2)
			happens(s.production)
			time.Sleep(pause / 2)
			began := time.Now()
			s.accepted(s.ended(shop, s.send(shop, toSome(1))), 1)
			if took := time.Since(began); took > 15*time.Second {
				s.Errorf("the first push after %v took %v", pause, took)
			}
		})
		if got := s.production.Counts(); got.Processed != 2 || got.Doubled != 0 {
			s.Errorf("got %d processed, %d of them twice; want 2, once each", got.Processed, got.Doubled)
		}
	})
}

// A gateway ends connections whenever it likes, and names the last push that it has
// begun with: those above go another way, and no other goes again.
func TestPain20GoAway(t *testing.T) {
	play(t, func(s *scene) {
		const n = 4000
		s.register(shop, 0, n)
		s.production.Reply(scripted.Accept().Delay(20 * time.Millisecond))
		s.production.OnConnect(func(int) scripted.Script {
			return scripted.Script{Steps: []scripted.Step{{Pushes: 350, Do: scripted.GoAway{LeaveOut: 50}}}}
		})
		all := make(map[scripted.Key]bool)
		s.running(func() {
			id := s.send(shop, toSome(n))
			s.accepted(s.ended(shop, id), n)
			s.meant(all, id, n)
		})
		got := s.production.Counts()
		if again := s.sentOnce(s.production, all); again > 0 || got.Opened < 10 || got.Fates[scripted.LeftOut] == 0 {
			s.Errorf("got %d sent again, %d connections, %d left out", again, got.Opened, got.Fates[scripted.LeftOut])
		}
	})
}

// Some pushes are never answered. Each has a deadline, takes no place from others
// until then, and is sent again under its apns-id, by which the service knows it.
func TestPain21Silence(t *testing.T) {
	play(t, func(s *scene) {
		const n = 3000
		s.register(shop, 0, n)
		s.production.OnPush(func(p scripted.Push) scripted.Reply {
			switch {
			case p.Attempt > 1 || p.Number%30 > 1:
				return scripted.Accept().Delay(50 * time.Millisecond)
			case p.Number%30 == 0:
				return scripted.Silence()
			}
			return scripted.Accept().Unanswered()
		})
		all := make(map[scripted.Key]bool)
		s.running(func() {
			began := time.Now()
			id := s.send(shop, toSome(n))
			s.accepted(s.ended(shop, id), n)
			s.meant(all, id, n)
			if took := time.Since(began); took > 30*time.Second {
				s.Errorf("took %v", took)
			}
		})
		// Half of those that were not answered had been processed.
		if again := s.sentOnce(s.production, all); again != n/30 {
			s.Errorf("%d were processed again under the same apns-id, want %d", again, n/30)
		}
	})
}

// What the gateway has no time for is tried again, not sooner than it asked for, and
// as often as it takes.
func TestPainRetryAfter(t *testing.T) {
	for _, reason := range []apns.Reason{apns.TooManyRequests, apns.ServiceUnavailable} {
		t.Run(string(reason), func(t *testing.T) {
			play(t, func(s *scene) {
				const n, refusals, asked = 20, 6, 40 * time.Second
				s.register(shop, 0, n)
				s.production.OnPush(func(p scripted.Push) scripted.Reply {
					if p.Attempt <= refusals {
						return scripted.Refuse(reason).RetryAfter(asked)
					}
					return scripted.Accept()
				})
				s.running(func() { s.accepted(s.ended(shop, s.send(shop, toSome(n))), n) })
				last := make(map[apns.DeviceToken]time.Time)
				for _, p := range s.production.Pushes() {
					if before, ok := last[p.DeviceToken]; ok && p.Arrived.Sub(before) < asked {
						s.Errorf("push %d came %v after it was refused, want %v at least", p.Number, p.Arrived.Sub(before), asked)
					}
					last[p.DeviceToken] = p.Arrived
				}
				if got := s.production.Counts().Pushes; got != n*(refusals+1) {
					s.Errorf("got %d pushes, want %d", got, n*(refusals+1))
				}
			})
		})
	}
}

// Pushes that ask not to be stored must ask for it: without a word of the sender,
// the service keeps a notification for a phone that is off.
func TestPainStoredByDefault(t *testing.T) {
	play(t, func(s *scene) {
		s.register(shop, 0, 1)
		s.running(func() {
			s.accepted(s.ended(shop, s.send(shop, toSome(1))), 1)
			once := toSome(1)
			once.Notification.Expiration = apns.DoNotStore
			s.accepted(s.ended(shop, s.send(shop, once)), 1)
		})
		for i, want := range []string{"", "0"} {
			if got := s.production.Pushes()[i].Value("apns-expiration"); got != want {
				s.Errorf("push %d: got apns-expiration %q, want %q", i, got, want)
			}
		}
	})
}

// Among thousands of answers of all kinds none is missing from the report, and each
// is that of its own device token.
func TestPainEveryAnswerReported(t *testing.T) {
	play(t, func(s *scene) {
		const n = 4000
		s.register(shop, 0, n)
		reasons := []apns.Reason{"", apns.Unregistered, apns.BadExpirationDate, apns.BadCollapseID}
		number := make(map[apns.DeviceToken]int)
		for i := range n {
			number[deviceToken(shop, i)] = i
		}
		s.production.OnPush(func(p scripted.Push) scripted.Reply {
			reply := scripted.Accept()
			if r := reasons[number[p.DeviceToken]%len(reasons)]; r != "" {
				reply = scripted.Refuse(r)
			}
			return reply.Delay(time.Duration(number[p.DeviceToken]%7) * time.Millisecond)
		})
		s.running(func() {
			id := s.send(shop, toSome(n))
			m := s.ended(shop, id)
			if m.Counts.Receipts[outbox.Accepted] != n/4 || m.Counts.Receipts[outbox.Rejected] != 3*n/4 {
				s.Errorf("got %+v", m.Counts)
			}
			seen := 0
			var at outbox.FailureAt
			for {
				some, err := s.server.Failures(s.Context(), shop, id, at, 500)
				if err != nil {
					s.Fatal(err)
				}
				if len(some) == 0 {
					break
				}
				for _, f := range some {
					want := reasons[number[s.tokens[shop][f.Installation]]%len(reasons)]
					if f.Reason != want || f.Status == 0 || f.ID == "" {
						s.Fatalf("%s: got %+v, want the reason %q", f.Installation, f.Failure, want)
					}
					at = f.At()
					seen++
				}
			}
			if seen != 3*n/4 {
				s.Errorf("got %d failures, want %d", seen, 3*n/4)
			}
		})
	})
}
