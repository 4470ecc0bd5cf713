package api

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/provider/account"
)

// line asks as curl does with -d and some -H, each "Name: value".
func (w *sending) line(key, target, text string, header ...string) *reply {
	w.t.Helper()
	r := httptest.NewRequestWithContext(w.t.Context(), http.MethodPost, target, strings.NewReader(text))
	r.Header.Set("Authorization", "Bearer "+key)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", "*/*")
	for _, h := range header {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	return w.ask(w.t, r)
}

func TestLine(t *testing.T) {
	playSending(t, func(w *sending) {
		t := w.t
		w.register("i1")
		w.register("i2")
		for _, tt := range []struct {
			name, target, text string
			header             []string
			want, payload      string
			priority           apns.Priority
		}{
			{"a text", "/to/u-i1", "Deploy finished\n", nil, "202 msg_ to 1 device of u-i1", `{"aps":{"alert":"Deploy finished","sound":"default"}}`, 0},
			{"what looks like a form", "/to/external_id/u-i1", "a=b&c=%20", nil, "202 msg_ to 1 device of u-i1", `{"aps":{"alert":"a=b&c=%20","sound":"default"}}`, 0},
			{
				"headers", "/to/u-i1", "B",
				[]string{"Title: Größe", "Subtitle: =?UTF-8?Q?=C3=A9t=C3=A9?=", "Thread: t", "Sound: bell.caf", "Priority: high"},
				"202 msg_ to 1 device of u-i1",
				`{"aps":{"alert":{"title":"Größe","subtitle":"été","body":"B"},"sound":"bell.caf","thread-id":"t","interruption-level":"time-sensitive"}}`, 0,
			},
			{"a title alone", "/to/u-i1?app=shop", "", []string{"Title: T", "Sound: none"}, "202 msg_ to 1 device of u-i1", `{"aps":{"alert":{"title":"T"}}}`, 0},
			{"low", "/to/u-i1", "B", []string{"Priority: 2"}, "202 msg_ to 1 device of u-i1", `{"aps":{"alert":"B","interruption-level":"passive"}}`, 5},
		} {
			got := w.line(w.admin, tt.target, tt.text, tt.header...)
			if unnamed(got) != tt.want || got.header.Get("Content-Type") != mediaText {
				t.Errorf("%s: got %s, want %s", tt.name, unnamed(got), tt.want)
				continue
			}
			var m Message
			w.do(t, http.MethodGet, got.header.Get("Location"), "").into(t, &m)
			stored, err := w.outbox.Message(t.Context(), m.ID)
			if err != nil {
				t.Fatal(err)
			}
			if n := stored.Notification; string(n.Payload) != tt.payload || n.Priority != tt.priority || m.Lane != "urgent" {
				t.Errorf("%s: got %s with priority %d in lane %s, want %s with %d", tt.name, n.Payload, n.Priority, m.Lane, tt.payload, tt.priority)
			}
		}

		got := w.line(w.admin, "/to/u-i1", "B", "Accept: application/json")
		var m Message
		if got.into(t, &m); m.Counts.Targeted != 1 || got.header.Get("Location") != m.Links["self"] {
			t.Errorf("got %s", got.said())
		}
		first, again := w.line(w.admin, "/to/u-i1", "B", "Idempotency-Key: k"), w.line(w.admin, "/to/u-i1", "B", "Idempotency-Key: k")
		if first.body != again.body || again.header.Get(headerReplayed) != "true" {
			t.Errorf("again: got %s, want %s", again.said(), first.said())
		}
		if got := w.line(w.admin, "/to/u-i1", "C", "Idempotency-Key: k"); got.status != http.StatusUnprocessableEntity {
			t.Errorf("something else: got %s", got.said())
		}
	})
}

func TestLineRefused(t *testing.T) {
	playSending(t, func(w *sending) {
		t := w.t
		w.register("i1")
		ofShop := w.newKey(t, account.KeySpec{Scopes: []account.Scope{account.ScopeSend}, Apps: []account.AppID{shop}})
		if got := w.line(ofShop, "/to/u-i1", "B"); got.status != http.StatusAccepted {
			t.Fatalf("the app of the key: got %s", got.said())
		}
		w.newApp(t, "cafe", "com.example.cafe")
		read := w.newKey(t, account.KeySpec{Scopes: []account.Scope{account.ScopeRead}, Apps: []account.AppID{shop}})
		for _, tt := range []struct {
			name, key, target, text, header, want string
		}{
			{"which app", w.admin, "/to/u-i1", "B", "", "400 not sent: app: this key is for more than one app: name it with ?app="},
			{"another app", ofShop, "/to/u-i1?app=cafe", "B", "", "403 not sent: this key is not for this app"},
			{"no app", w.admin, "/to/u-i1?app=bar", "B", "", `404 not sent: app "bar": not found`},
			{"no right", read, "/to/u-i1", "B", "", "403 not sent: this key lacks the scope send"},
			{"no key", "x", "/to/u-i1", "B", "", "401 not sent: the API key is not one, or was revoked, or its time is over"},
			{"nobody", ofShop, "/to/u7", "B", "", "404 not sent: no device of external_id u7: the app registers it with that alias"},
			{"nobody, in JSON", ofShop, "/to/u7", "B", "Accept: text/html, application/problem+json;q=0.5", `404 {"type":"https://github.com/heraldpush/herald/blob/main/docs/problems.md#not_found","title":"Not found","status":404,` +
				`"detail":"no device of external_id u7: the app registers it with that alias","instance":"/requests/req_","code":"not_found"}`},
			{"no label", ofShop, "/to/a%20b/u7", "B", "", "422 not sent: a label has 1 to 64 letters, digits, _ and -"},
			{"no text", ofShop, "/to/u-i1", "\n", "", "400 not sent: there is no text: it is the body of the request"},
			{"no UTF-8", ofShop, "/to/u-i1", "\xff", "", "400 not sent: the text is not UTF-8"},
			{"a title that is none", ofShop, "/to/u-i1", "B", "Title: \xff", "400 not sent: Title: neither UTF-8 nor as RFC 2047 has it"},
			{"a priority", ofShop, "/to/u-i1", "B", "Priority: 6", "400 not sent: Priority: min, low, default, high or max; or 1 to 5"},
			{"too long", ofShop, "/to/u-i1", long(5000), "", "422 not sent: the payload has 5038 bytes, 942 more than the 4096 that a push of type alert may have: send less, and have the app fetch the rest"},
			{"no credential", w.admin, "/to/u-i1?app=cafe", "B", "", "409 not sent: cafe, com.example.cafe: the app has no valid credential for this environment and topic: upload one"},
		} {
			got := w.line(tt.key, tt.target, tt.text, tt.header)
			if got.said() != tt.want {
				t.Errorf("%s: got %s, want %s", tt.name, got.said(), tt.want)
			}
		}
		if got, want := w.as(t, ofShop, http.MethodGet, "/to/u-i1", "").said(), "405 not sent: here goes POST"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if all := w.stored(); len(all) != 1 {
			t.Errorf("%d messages were stored, want 1", len(all))
		}
	})
}
