package api

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heraldpush/herald/provider/account"
	"github.com/heraldpush/herald/provider/event"
	"github.com/heraldpush/herald/provider/outbox"
)

// happen adds n events of an app.
func (w *world) happen(t *testing.T, app account.AppID, n int) {
	t.Helper()
	for range n {
		e, err := event.OfRestored(app, outbox.NewMessageID(time.Now()), 3, time.Now())
		if err == nil {
			err = w.events.Append(t.Context(), e)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// listed is a page of events.
func listed(t *testing.T, got *reply) (numbers, next string) {
	t.Helper()
	var page list[Event]
	got.into(t, &page)
	var all []uint64
	for _, e := range page.Data {
		all = append(all, e.Sequence)
	}
	if link := got.header.Get("Link"); got.status != 200 || page.Next == "" || link != "<"+page.Next+`>; rel="next"` {
		t.Errorf("%s, with the link %q", got.said(), link)
	}
	return fmt.Sprint(all), page.Next
}

func TestEvents(t *testing.T) {
	w := newWorld(t, nil)
	w.newApp(t, "zoo", "com.example.zoo")
	numbers, next := listed(t, w.do(t, "GET", "/v1/events", ""))
	if numbers != "[]" {
		t.Errorf("got %s, want none", numbers)
	}
	w.happen(t, shop, 3)
	w.happen(t, "zoo", 2)
	if numbers, next = listed(t, w.do(t, "GET", next, "")); numbers != "[1 2 3 4 5]" {
		t.Errorf("got %s, want [1 2 3 4 5]", numbers)
	}
	w.happen(t, shop, 1)
	if numbers, _ = listed(t, w.do(t, "GET", next, "")); numbers != "[6]" {
		t.Errorf("got %s, want [6]", numbers)
	}
	reader := w.newKey(t, account.KeySpec{Scopes: []account.Scope{account.ScopeRead}, Apps: []account.AppID{shop}})
	for query, want := range map[string]string{
		"?app=shop":                                    "[1 2 3 6]",
		"?app=shop&after=2":                            "[3 6]",
		"?app=shop&limit=2":                            "[1 2]",
		"?app=shop&kinds=device_token.restored":        "[1 2 3 6]",
		"?app=shop&kinds=message.done":                 "[]",
		"?app=shop&after=9":                            "[]",
		"?app=shop&after=4&wait=20&limit=1":            "[6]",
		"?app=shop&kinds=message.done,sending.stalled": "[]",
	} {
		if numbers, _ = listed(t, w.as(t, reader, "GET", "/v1/events"+query, "")); numbers != want {
			t.Errorf("%s: got %s, want %s", query, numbers, want)
		}
	}
	_, next = listed(t, w.as(t, reader, "GET", "/v1/events?app=shop&after=1&limit=1", ""))
	if numbers, _ = listed(t, w.as(t, reader, "GET", next, "")); numbers != "[3]" {
		t.Errorf("the next page: got %s, want [3]", numbers)
	}
	sender := w.newKey(t, account.KeySpec{Scopes: []account.Scope{account.ScopeSend}})
	for _, tt := range []struct {
		key, query string
		want       int
	}{
		{reader, "", 403},
		{reader, "?app=zoo", 403},
		{sender, "", 403},
		{"", "", 401},
		{w.admin, "?app=other", 404},
		{w.admin, "?kinds=message.undone", 400},
		{w.admin, "?kinds=", 400},
		{w.admin, "?wait=21", 400},
		{w.admin, "?wait=-1", 400},
		{w.admin, "?after=x", 400},
		{w.admin, "?after=9223372036854775808", 400},
		{w.admin, "?cursor=x", 400},
		{w.admin, "?limit=1001", 400},
		{w.admin, "?app=shop&app=zoo", 400},
		{w.admin, "?kinds=" + strings.Repeat("message.done,", 20), 400},
	} {
		if got := w.as(t, tt.key, "GET", "/v1/events"+tt.query, ""); got.status != tt.want {
			t.Errorf("%s: %s, want %d", tt.query, got.said(), tt.want)
		}
	}
}

// Who waits is answered when something happens that is asked for, or when it has been
// long enough.
func TestWaitForEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		began := time.Now()
		if numbers, _ := listed(t, w.do(t, "GET", "/v1/events?wait=20", "")); numbers != "[]" || time.Since(began) != 20*time.Second {
			t.Errorf("got %s after %v, want [] after 20 s", numbers, time.Since(began))
		}
		began = time.Now()
		go func() {
			time.Sleep(7 * time.Second)
			w.happen(t, "other", 1)
			time.Sleep(time.Second)
			w.happen(t, shop, 1)
		}()
		if numbers, _ := listed(t, w.do(t, "GET", "/v1/events?app=shop&wait=20", "")); numbers != "[2]" || time.Since(began) != 8*time.Second {
			t.Errorf("got %s after %v, want [2] after 8 s", numbers, time.Since(began))
		}
	})
}

func TestWithoutEvents(t *testing.T) {
	w := newWorld(t, func(cfg *Config) { cfg.Events, cfg.Webhooks = nil, nil })
	for target, method := range map[string]string{"/v1/events": "GET", "/v1/webhooks": "GET", "/v1/webhooks/wh_x:test": "POST"} {
		if got := w.do(t, method, target, ""); got.status != 404 {
			t.Errorf("%s: %s, want 404", target, got.said())
		}
	}
}
