package api

import (
	"context"
	"encoding/json"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnsclient"
	"github.com/heraldpush/herald/apnstest/scripted"
	"github.com/heraldpush/herald/provider"
	"github.com/heraldpush/herald/provider/event"
	"github.com/heraldpush/herald/provider/outbox"
)

// fullOutbox has no room for new messages while it is full.
type fullOutbox struct {
	outbox.Store
	full atomic.Bool
}

// Submit implements outbox.Store.
func (f *fullOutbox) Submit(ctx context.Context, s outbox.Submission, now time.Time) (outbox.Message, bool, error) {
	if f.full.Load() {
		return outbox.Message{}, false, outbox.ErrFull
	}
	return f.Store.Submit(ctx, s, now)
}

// playTold is playSending with a push server whose configuration is changed, and that
// tells what happens.
func playTold(t *testing.T, change func(*provider.Config), f func(w *sending)) {
	t.Helper()
	playSending(t, func(w *sending) {
		cfg := w.config(func(apns.Environment) apnsclient.Config {
			return apnsclient.Config{Host: scripted.Name, Roots: w.gateway.Roots(), Dial: w.gateway.Dial}
		})
		cfg.Events = w.events
		change(&cfg)
		w.serve(cfg)
		f(w)
	})
}

// A full outbox is said so, with when to come again, and keeps nothing of the request;
// the same request is taken when there is room.
func TestPain02FullAnswered(t *testing.T) {
	var full fullOutbox
	playTold(t, func(cfg *provider.Config) {
		full.Store, cfg.Outbox = cfg.Outbox, &full
	}, func(w *sending) {
		w.register("i0")
		full.full.Store(true)
		const body = `{"to":{"installations":["i0"]},"content":{"body":"B"}}`
		for range 3 {
			got := w.do(w.t, http.MethodPost, shopMessages, body)
			var p Problem
			got.into(w.t, &p)
			if got.status != http.StatusServiceUnavailable || p.Code != CodeFull || got.header.Get("Retry-After") != "5" {
				w.t.Errorf("got %s, Retry-After %q", got.said(), got.header.Get("Retry-After"))
			}
		}
		if kept := w.stored(); len(kept) != 0 {
			w.t.Errorf("got %+v, want nothing kept", kept)
		}
		full.full.Store(false)
		w.run(func() {
			w.send(body)
			synctest.Wait()
		})
		if got := w.gateway.Counts().Pushes; got != 1 {
			w.t.Errorf("got %d pushes, want 1", got)
		}
	})
}

// Whose device token is gone is told in the feed of events, by its installation.
func TestPain10GoneIsTold(t *testing.T) {
	playTold(t, func(*provider.Config) {}, func(w *sending) {
		w.register("i0")
		since := time.Now().Add(time.Hour)
		w.gateway.ReplyTo(w.register("i1"), scripted.Refuse(apns.Unregistered).Since(since))
		var m Message
		w.run(func() {
			m = w.send(`{"to":{"installations":["i0","i1"]},"content":{"body":"B"}}`)
			synctest.Wait()
		})
		var page list[Event]
		w.do(w.t, http.MethodGet, "/v1/events?app=shop&kinds="+string(event.DeviceTokenGone), "").into(w.t, &page)
		if len(page.Data) != 1 || page.Data[0].Subject != m.ID.String() {
			w.t.Fatalf("got %+v, want one of %v", page.Data, m.ID)
		}
		var body event.DeviceTokens
		w.must(json.Unmarshal(page.Data[0].Body, &body))
		if all := body.DeviceTokens; len(all) != 1 || all[0].Installation != "i1" || all[0].Reason != apns.Unregistered || all[0].Environment != apns.Sandbox {
			w.t.Errorf("got %+v, want i1, Unregistered", all)
		}
	})
}
