package apnsclient_test

import (
	"context"
	"errors"
	"iter"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnsclient"
	"github.com/heraldpush/herald/apnstest/scripted"
)

// repeated yields n pushes of a notification.
func repeated(n int, what *apns.Notification) iter.Seq[apnsclient.Push] {
	return func(yield func(apnsclient.Push) bool) {
		for i := range n {
			if !yield(apnsclient.Push{To: phone, Notification: what, Owner: i}) {
				return
			}
		}
	}
}

func TestPushAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 5000
		g := scripted.New(t)
		g.Reply(scripted.Accept().Delay(20 * time.Millisecond))
		s := newSender(t, config(t, g))
		seen := make(map[apns.NotificationID]bool)
		owners := make([]bool, n)
		for r := range s.PushAll(t.Context(), repeated(n, &hello)) {
			i, ok := r.Owner.(int)
			if r.Err != nil || !ok || owners[i] || seen[r.Receipt.ID] || r.Receipt.ID != r.ID || !r.ID.Valid() || r.To != phone {
				t.Fatalf("got %+v", r)
			}
			owners[i], seen[r.Receipt.ID] = true, true
		}
		if len(seen) != n {
			t.Errorf("got %d results, want %d", len(seen), n)
		}
		if c := g.Counts(); c.Processed != n || c.Doubled != 0 || c.MostStreams != 1000 {
			t.Errorf("got %+v", c)
		}
	})
}

// Each push of a bulk is its own: one that is wrong does not stop the others.
func TestPushAllMixed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := scripted.New(t)
		gone := apns.DeviceToken("\x01\x02")
		g.ReplyTo(gone, scripted.Refuse(apns.Unregistered).Since(time.UnixMilli(1508249865488)))
		s := newSender(t, config(t, g))
		const id apns.NotificationID = "eabeae54-14a8-11e5-b60b-1697f925ec7b"
		withID, empty := hello, hello
		withID.ID, empty.Payload = id, nil
		pushes := []apnsclient.Push{
			{To: phone, Notification: &hello},
			{To: gone, Notification: &hello},
			{To: "", Notification: &hello},
			{To: phone, Notification: &empty},
			{To: phone},
			{To: phone, Notification: &hello, ID: "no UUID"},
			{To: phone, Notification: &withID},
			{To: gone, Notification: &withID, ID: "00000000-14a8-11e5-b60b-1697f925ec7b"},
		}
		want := []apnsclient.Outcome{
			apnsclient.Accepted, apnsclient.TokenGone, apnsclient.Invalid, apnsclient.Invalid, apnsclient.Invalid, apnsclient.Invalid,
			apnsclient.Accepted, apnsclient.TokenGone,
		}
		got := make([]apnsclient.Outcome, len(pushes))
		for r := range s.PushAll(t.Context(), func(yield func(apnsclient.Push) bool) {
			for i, p := range pushes {
				p.Owner = i
				if !yield(p) {
					return
				}
			}
		}) {
			if i, ok := r.Owner.(int); ok {
				got[i] = apnsclient.OutcomeOf(r.Err)
				if wantID := pushes[i].ID; wantID != "" && r.Receipt.ID != wantID {
					t.Errorf("push %d: got the ID %s, want %s", i, r.Receipt.ID, wantID)
				}
			}
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("push %d: got %v, want %v", i, got[i], want[i])
			}
		}
	})
}

func TestPushAllIsGivenUp(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  func(cancel context.CancelFunc) (leave bool)
	}{
		{"the loop is left", func(context.CancelFunc) bool { return true }},
		{"the context ends", func(cancel context.CancelFunc) bool {
			cancel()
			return false
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := scripted.New(t)
				g.Script(scripted.Script{Streams: 10})
				g.Reply(scripted.Accept(), scripted.Silence())
				s := newSender(t, config(t, g))
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				began := time.Now()
				var asked atomic.Int64
				got := make(map[apnsclient.Outcome]int)
				for r := range s.PushAll(ctx, func(yield func(apnsclient.Push) bool) {
					for yield(apnsclient.Push{To: phone, Notification: &hello}) {
						asked.Add(1)
					}
				}) {
					got[apnsclient.OutcomeOf(r.Err)]++
					if r.Err != nil && !errors.Is(r.Err, context.Canceled) {
						t.Errorf("got %v, want the end of the context", r.Err)
					}
					if r.Err == nil && tt.end(cancel) {
						break
					}
				}
				if took := time.Since(began); took > 0 {
					t.Errorf("took %v, want that it ends at once", took)
				}
				if n := asked.Load(); n > 4001 {
					t.Errorf("%d pushes were asked for, more than may be under way", n)
				}
				if got := s.Stats(); got.InFlight != 0 || got.Pending != 0 {
					t.Errorf("got %+v", got)
				}
			})
		})
	}
}

func TestPushAllPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := scripted.New(t)
		s := newSender(t, config(t, g))
		defer func() {
			if got := recover(); got != "no more" {
				t.Errorf("got %v, want the panic of the iterator", got)
			}
		}()
		n := 0
		for r := range s.PushAll(t.Context(), func(yield func(apnsclient.Push) bool) {
			yield(apnsclient.Push{To: phone, Notification: &hello})
			panic("no more")
		}) {
			if n++; r.Err != nil || n > 1 {
				t.Errorf("got %v", r.Err)
			}
		}
		t.Error("no panic")
	})
}

// What is pushed alone does not wait behind a bulk.
func TestPushPassesABulk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := scripted.New(t)
		g.Script(scripted.Script{Streams: 10})
		g.Reply(scripted.Accept().Delay(100 * time.Millisecond))
		cfg := config(t, g)
		cfg.Connections, cfg.MaxConcurrentStreams, cfg.Timeout = 1, 1000, time.Hour
		s := newSender(t, cfg)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range s.PushAll(ctx, repeated(1000, &hello)) {
				continue
			}
		}()
		time.Sleep(time.Second)
		began := time.Now()
		if _, err := s.Push(t.Context(), phone, hello); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > 200*time.Millisecond {
			t.Errorf("took %v, want one turn and its own", took)
		}
		cancel()
		<-done
	})
}
