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
	})
}
