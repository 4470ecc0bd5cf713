package apnsclient_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnsclient"
	"github.com/heraldpush/herald/apnstest/scripted"
)

// The place of a push that paused, and was given up, goes to one that waits for it.
func TestPlaceOfAPauseIsGivenOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := scripted.New(t)
		other := apns.DeviceToken("\x01\x02")
		g.ReplyTo(phone, scripted.Refuse(apns.ServiceUnavailable).RetryAfter(8*time.Second))
		cfg := config(t, g)
		cfg.MaxPending = 1
		s := newSender(t, cfg)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		go func() {
			_, err := s.Push(ctx, phone, hello)
			if got := apnsclient.OutcomeOf(err); got != apnsclient.RetryLater {
				t.Errorf("got %v, %v", got, err)
			}
		}()
		synctest.Wait()
		began := time.Now()
		if _, err := s.Push(t.Context(), other, hello); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took != time.Second {
			t.Errorf("took %v, want that it takes the place when it is free, after 1s", took)
		}
	})
}

// A panic of the loop over the results leaves nothing behind.
func TestPushAllLoopPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := scripted.New(t)
		g.Reply(scripted.Accept(), scripted.Silence())
		s := newSender(t, config(t, g))
		defer func() {
			if got := recover(); got != "no more" {
				t.Errorf("got %v, want the panic of the loop", got)
			}
			synctest.Wait()
			if got := s.Stats(); got.InFlight != 0 || got.Pending != 0 {
				t.Errorf("got %+v", got)
			}
		}()
		for range s.PushAll(t.Context(), repeated(10, &hello)) {
			panic("no more")
		}
	})
}

// No push takes longer than its time, also where others keep taking the places that it
// waits for.
func TestQueueKeepsDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := scripted.New(t)
		g.Script(scripted.Script{Streams: 1})
		g.Reply(scripted.Accept().Delay(37 * time.Millisecond))
		cfg := config(t, g)
		cfg.Connections, cfg.MaxPending = 1, 3
		s := newSender(t, cfg)
		for i := range 400 {
			time.Sleep(time.Duration(i%7) * time.Millisecond)
			go func() {
				for range 8 {
					began := time.Now()
					_, err := s.Push(t.Context(), phone, hello)
					if took := time.Since(began); took > 10*time.Second {
						t.Errorf("took %v: %v", took, err)
					}
				}
			}()
		}
		time.Sleep(2 * time.Minute)
		if n := g.Counts().Opened; n != 1 {
			t.Errorf("got %d connections, want the one that answers throughout", n)
		}
	})
}

// A connection that takes nothing, and so never shows what it can do, does not stand
// in the way of another one.
func TestConnectionWithoutStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := scripted.New(t)
		g.OnConnect(func(n int) scripted.Script {
			if n == 1 {
				return scripted.Script{Streams: scripted.NoStreams}
			}
			return scripted.Script{}
		})
		if _, err := newSender(t, config(t, g)).Push(t.Context(), phone, hello); err != nil {
			t.Error(err)
		}
	})
}

// A further connection that cannot be had is not tried over and over, though the
// one that is there goes on to answer.
func TestFurtherConnectionIsTriedWithPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := scripted.New(t)
		g.OnConnect(func(n int) scripted.Script { return scripted.Script{Streams: 1, Refuse: n > 1} })
		g.Reply(scripted.Accept().Delay(10 * time.Millisecond))
		s := newSender(t, config(t, g))
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		for range s.PushAll(ctx, repeated(100_000, &hello)) {
			continue
		}
		if n := g.Counts().Opened; n > 40 {
			t.Errorf("%d connections were tried in 20s", n)
		}
	})
}

// An answer after which a connection is given up does not have one connection
// made for each push.
func TestConnectionsAreNotWornOut(t *testing.T) {
	for _, reason := range []apns.Reason{apns.ExpiredProviderToken, apns.TooManyProviderTokenUpdates, apns.Shutdown} {
		t.Run(string(reason), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := scripted.New(t)
				g.Reply(scripted.Refuse(reason).Delay(10 * time.Millisecond))
				cfg := config(t, g)
				cfg.Retry.Attempts = 1
				s := newSender(t, cfg)
				for range 100 {
					if _, err := s.Push(t.Context(), phone, hello); err == nil {
						t.Error("accepted")
					}
				}
				if n := g.Counts().Opened; n > 10 {
					t.Errorf("got %d connections for 100 pushes", n)
				}
			})
		})
	}
}

// A GOAWAY whose reason says nothing about the credential loses nothing.
func TestGoAwayForSomeReason(t *testing.T) {
	for _, reason := range []apns.Reason{"Maintenance", apns.TooManyRequests, apns.IdleTimeout, apns.Shutdown} {
		t.Run(string(reason), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := scripted.New(t)
				g.OnConnect(func(n int) scripted.Script {
					if n > 1 {
						return scripted.Script{}
					}
					return scripted.Script{Streams: 4, Steps: []scripted.Step{{Pushes: 4, Do: scripted.GoAway{Reason: reason, LeaveOut: -1}}}}
				})
				g.Reply(scripted.Accept().Delay(10 * time.Millisecond))
				if got := all(t, newSender(t, config(t, g)), 10); got[apnsclient.Accepted] != 10 {
					t.Errorf("got %v, want all accepted", got)
				}
			})
		})
	}
}

// The pause before a further connection is over when there is no other any more.
func TestFurtherConnectionTakesOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := scripted.New(t)
		began := time.Now()
		g.OnConnect(func(n int) scripted.Script {
			if n == 1 {
				return scripted.Script{Streams: 1, Steps: []scripted.Step{{After: time.Minute, Do: scripted.GoAway{}}}}
			}
			return scripted.Script{Streams: 1, Refuse: time.Since(began) < time.Minute}
		})
		g.Reply(scripted.Accept().Delay(10 * time.Millisecond))
		s := newSender(t, config(t, g))
		ctx, cancel := context.WithTimeout(t.Context(), 62*time.Second)
		defer cancel()
		late := 0
		for r := range s.PushAll(ctx, repeated(100_000, &hello)) {
			if r.Err == nil && time.Since(began) > time.Minute+time.Second {
				late++
			}
		}
		if late == 0 {
			t.Error("nothing was accepted after the first connection went away")
		}
	})
}
