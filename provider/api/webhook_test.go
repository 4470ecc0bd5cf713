package api

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/provider/account"
	"github.com/heraldpush/herald/provider/event"
)

func TestWebhooks(t *testing.T) {
	w := newWorld(t, nil)
	w.happen(t, shop, 2)
	got := w.do(t, "POST", "/v1/webhooks", `{"url":"https://hooks.example.com/x","name":"warehouse","kinds":["message.done"],"apps":["shop"]}`)
	var made secretWebhook
	got.into(t, &made)
	at := "/v1/webhooks/" + string(made.ID)
	if got.status != 201 || got.header.Get("Location") != at {
		t.Fatalf("got %s at %s", got.said(), got.header.Get("Location"))
	}
	if _, err := event.ParseSecret(made.Secret); err != nil {
		t.Error(err)
	}
	show := func(method, target, body string) (shown Webhook) {
		t.Helper()
		got := w.do(t, method, target, body)
		got.into(t, &shown)
		if got.status != 200 || strings.Contains(got.body, "whsec_") {
			t.Errorf("%s %s: %s", method, target, got.said())
		}
		return shown
	}
	if diff := cmp.Diff(made.Webhook, show("GET", at, "")); diff != "" {
		t.Error(diff)
	}
	if made.Progress.Cursor != 2 || made.State != event.Active || made.URL != "https://hooks.example.com/x" || made.Name != "warehouse" {
		t.Errorf("got %+v", made.Webhook)
	}
	if got := show("POST", at+":pause", ""); got.State != event.Paused || got.Why != event.WhyAsked {
		t.Errorf("paused: got %s, %s", got.State, got.Why)
	}
	if got := show("POST", at+":resume", ""); got.State != event.Active || got.Why != "" {
		t.Errorf("resumed: got %s, %s", got.State, got.Why)
	}
	if got := show("POST", at+":replay", `{"after":1}`); got.Progress.Cursor != 1 {
		t.Errorf("replayed: got %+v", got.Progress)
	}
	var rotated secretWebhook
	if w.do(t, "POST", at+":rotate", "").into(t, &rotated); rotated.Secret == made.Secret || rotated.ID != made.ID {
		t.Errorf("rotated: got %+v", rotated.Webhook)
	}
	var trial event.Trial
	if w.do(t, "POST", at+":test", "").into(t, &trial); trial.Taken || !strings.Contains(trial.Error, "refused") {
		t.Errorf("tried: got %+v, want the connection to be refused", trial)
	}
	w.do(t, "POST", "/v1/webhooks", `{"url":"http://localhost:99"}`)
	if all := w.names(t, w.admin, "/v1/webhooks?limit=1", "id"); len(all) != 2 {
		t.Errorf("the pages are %v", all)
	}
	if got := w.do(t, "GET", "/v1/webhooks", ""); strings.Contains(got.body, "whsec_") {
		t.Errorf("a secret is in %s", got.body)
	}
	if got := w.do(t, "DELETE", at, ""); got.status != 204 {
		t.Error(got.said())
	}
	for _, target := range []string{at, at + ":pause", at + ":resume", at + ":rotate", at + ":test", at + ":replay"} {
		method, body := "POST", ""
		if target == at {
			method = "DELETE"
		}
		if strings.HasSuffix(target, "replay") {
			body = `{"after":0}`
		}
		if got := w.do(t, method, target, body); got.status != 404 {
			t.Errorf("%s: %s, want 404", target, got.said())
		}
	}
	if got := w.do(t, "GET", at, ""); got.status != 404 {
		t.Error(got.said())
	}
}

func TestWebhooksRefused(t *testing.T) {
	w := newWorld(t, nil)
	var made secretWebhook
	w.do(t, "POST", "/v1/webhooks", `{"url":"https://hooks.example.com/"}`).into(t, &made)
	at := "/v1/webhooks/" + string(made.ID)
	for _, tt := range []struct{ target, body, want string }{
		{"/v1/webhooks", `{}`, `422 invalid [{"pointer":"/url","code":"required","detail":"it is missing"}]`},
		{"/v1/webhooks", `{"url":"http://hooks.example.com/"}`, `422 invalid [{"pointer":"/url","code":"malformed","detail":"http is for receivers on this machine alone: use https"}]`},
		{"/v1/webhooks", `{"url":"https://hooks.example.com/","kinds":["message.done","x"]}`, `422 invalid [{"pointer":"/kinds/1","code":"unknown","detail":"no kind of event, such as message.done"}]`},
		{"/v1/webhooks", `{"url":"https://hooks.example.com/","apps":["zoo"]}`, `422 invalid [{"pointer":"/apps/0","code":"unknown","detail":"there is no such app"}]`},
		{"/v1/webhooks", `{"url":"https://hooks.example.com/","secret":"x"}`, `422 invalid [{"pointer":"/secret","code":"unknown","detail":"there is no such field"}]`},
		{at + ":replay", `{"after":1}`, `422 invalid [{"pointer":"/after","code":"malformed","detail":"the last event has the number 0"}]`},
		{at + ":replay", `{"after":-1}`, `422 invalid [{"pointer":"/after","code":"malformed","detail":"here goes a whole number that is not negative"}]`},
		{at + ":replay", `{}`, `422 invalid [{"pointer":"/after","code":"required","detail":"it is missing"}]`},
	} {
		if got := w.do(t, "POST", tt.target, tt.body).refusal(t); got != tt.want {
			t.Errorf("%s %s:\ngot  %s\nwant %s", tt.target, tt.body, got, tt.want)
		}
	}
	for _, s := range []account.KeySpec{
		{Scopes: []account.Scope{account.ScopeRead, account.ScopeSend, account.ScopeDevices}},
		{Scopes: []account.Scope{account.ScopeAdmin}, Apps: []account.AppID{shop}},
	} {
		key := w.newKey(t, s)
		for _, target := range []string{"/v1/webhooks", at} {
			if got := w.as(t, key, "GET", target, ""); got.status != 403 {
				t.Errorf("%v %v: %s, want 403", s.Scopes, s.Apps, got.said())
			}
		}
	}
}
