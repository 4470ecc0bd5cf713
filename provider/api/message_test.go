package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/provider/account"
	"github.com/heraldpush/herald/provider/outbox"
)

func TestSendMessage(t *testing.T) {
	playSending(t, func(w *sending) {
		t := w.t
		w.register("i1", "news")
		w.register("i2")
		const start = "2000-01-01T00:00:00Z" // in a bubble
		for _, tt := range []struct {
			name, body, want string // state, audience, targeted and more
			notification     apns.Notification
		}{
			{
				"installations", `{"to":{"installations":["i1","i2"]},"content":{"title":"T","body":"B"}}`,
				"sending frozen 2 urgent alert",
				apns.Notification{PushType: apns.PushTypeAlert, Payload: apns.Payload(`{"aps":{"alert":{"title":"T","body":"B"}}}`)},
			},
			{
				"a person", `{"to":{"people":[{"external_id":"u-i1"}]},"content":{"body":"B","sound":"default"}}`,
				"sending frozen 1 urgent alert",
				apns.Notification{PushType: apns.PushTypeAlert, Payload: apns.Payload(`{"aps":{"alert":"B","sound":"default"}}`)},
			},
			{
				"device tokens", `{"to":{"device_tokens":[{"value":"<740f4707 bebcf74f>"},{"value":"00FF","environment":"sandbox"}]},"environment":"sandbox","content":{"badge":0}}`,
				"sending frozen 2 urgent alert sandbox",
				apns.Notification{PushType: apns.PushTypeAlert, Payload: apns.Payload(`{"aps":{"badge":0}}`)},
			},
			{
				"a tag", `{"to":{"tag":"news"},"content":{"body":"B"},"deliver":{"lane":"ordinary"}}`,
				"snapshotting tag:news 0 ordinary alert",
				apns.Notification{PushType: apns.PushTypeAlert, Payload: apns.Payload(`{"aps":{"alert":"B"}}`)},
			},
			{
				"everybody, later", `{"to":{"everybody":true},"content":{"body":"B"},"deliver":{"at":"2000-01-02T01:00:00+01:00","by":"PT2H"}}`,
				"scheduled everybody 0 campaign alert at:2000-01-02T00:00:00Z by:2000-01-02T02:00:00Z",
				apns.Notification{PushType: apns.PushTypeAlert, Expiration: apns.ExpiresAt(time.Date(2000, 1, 2, 2, 0, 0, 0, time.UTC)), Payload: apns.Payload(`{"aps":{"alert":"B"}}`)},
			},
			{
				"a payload as it is", `{"to":{"installations":["i1"]},"payload":{ "aps" : {"alert" : "B"}, "é":1.0e2 }}`,
				"sending frozen 1 urgent alert",
				apns.Notification{PushType: apns.PushTypeAlert, Payload: apns.Payload(`{ "aps" : {"alert" : "B"}, "é":1.0e2 }`)},
			},
			{
				"a background push by its content", `{"to":{"installations":["i1"]},"content":{"custom":{"n":[1,null,"x"],"a":false}},"apns":{"content_available":true}}`,
				"sending frozen 1 urgent background",
				apns.Notification{
					PushType: apns.PushTypeBackground, Priority: apns.PriorityConserve, Payload: apns.Payload(`{"aps":{"content-available":1},"a":false,"n":[1,null,"x"]}`),
				},
			},
			{
				"a background push by its type", `{"to":{"installations":["i1"]},"content":{},"apns":{"push_type":"background"}}`,
				"sending frozen 1 urgent background",
				apns.Notification{PushType: apns.PushTypeBackground, Priority: apns.PriorityConserve, Payload: apns.Payload(`{"aps":{"content-available":1}}`)},
			},
			{
				"everything of APNs", `{"to":{"device_tokens":[{"value":"00ff","environment":"production"}]},"deliver":{"by":"2000-01-01T03:00:00Z"},
					"content":{"subtitle":"S","loc_key":"K","loc_args":["a"],"critical_sound":{"name":"n","volume":0.5}},
					"apns":{"push_type":"alert","topic":"com.example.shop","priority":5,"collapse_id":"c","expiration":"PT1H","id":"EABEAE54-14a8-11e5-b60b-1697f925ec7b",
						"interruption_level":"time-sensitive","relevance_score":0.5,"category":"C","thread_id":"t","target_content_id":"w","filter_criteria":"f","mutable_content":true}}`,
				"sending frozen 1 urgent alert by:2000-01-01T03:00:00Z",
				apns.Notification{
					ID: "EABEAE54-14a8-11e5-b60b-1697f925ec7b", PushType: apns.PushTypeAlert, Priority: apns.PriorityConserve, CollapseID: "c",
					Expiration: apns.ExpiresAt(time.Date(2000, 1, 1, 1, 0, 0, 0, time.UTC)),
					Payload: apns.Payload(`{"aps":{"alert":{"subtitle":"S","loc-key":"K","loc-args":["a"]},"sound":{"critical":1,"name":"n","volume":0.5},"thread-id":"t","category":"C",` +
						`"mutable-content":1,"target-content-id":"w","interruption-level":"time-sensitive","relevance-score":0.5,"filter-criteria":"f"}}`),
				},
			},
			{
				"not stored, and no mode but send", `{"to":{"installations":["i1"]},"content":{"body":"B"},"apns":{"expiration":"0"},"mode":"send"}`,
				"sending frozen 1 urgent alert",
				apns.Notification{PushType: apns.PushTypeAlert, Expiration: apns.DoNotStore, Payload: apns.Payload(`{"aps":{"alert":"B"}}`)},
			},
		} {
			m := w.send(tt.body)
			got := string(m.State)
			switch {
			case m.Audience.Tag != "":
				got += " tag:" + m.Audience.Tag
			case m.Audience.Everybody:
				got += " everybody"
			}
			if m.Audience.Frozen {
				got += " frozen"
			}
			got += fmt.Sprintf(" %d %s %s", m.Counts.Targeted, m.Lane, m.PushType)
			if m.Environment != 0 {
				got += " " + m.Environment.String()
			}
			if !m.StartAt.IsZero() {
				got += " at:" + m.StartAt.Format(time.RFC3339)
			}
			if by := m.Deadline.Format(time.RFC3339); by != "2000-01-02T00:00:00Z" {
				got += " by:" + by
			}
			if got != tt.want || m.CreatedAt.Format(time.RFC3339) != start || m.Counts.Pending != m.Counts.Targeted {
				t.Errorf("%s: got %s, created at %v, want %s", tt.name, got, m.CreatedAt, tt.want)
			}
			stored, err := w.outbox.Message(t.Context(), m.ID)
			if err != nil {
				t.Fatal(err)
			}
			tt.notification.Topic = bundleID
			if diff := cmp.Diff(tt.notification, stored.Notification, cmp.AllowUnexported(apns.Expiration{})); diff != "" {
				t.Errorf("%s: the notification differs (-want +got):\n%s", tt.name, diff)
			}
		}
		func() { // the device tokens are as they were meant
			m := w.send(`{"to":{"device_tokens":[{"value":"<740f4707 bebcf74f>"},{"value":"00FF","environment":"production"}]},"content":{"body":"B"},"environment":"production"}`)
			shards, err := w.outbox.Shards(t.Context(), m.ID, 0, 10)
			if err != nil {
				t.Fatal(err)
			}
			want := []outbox.Addressee{{Environment: apns.Production, DeviceToken: "\x74\x0f\x47\x07\xbe\xbc\xf7\x4f"}, {Environment: apns.Production, DeviceToken: "\x00\xff"}}
			if diff := cmp.Diff(want, shards[0].Listed); diff != "" {
				t.Error(diff)
			}
		}()
	})
}

func TestSendMessageAnswer(t *testing.T) {
	playSending(t, func(w *sending) {
		t := w.t
		got := w.do(t, http.MethodPost, shopMessages, `{"to":{"device_tokens":[{"value":"00ff","environment":"sandbox"}]},"content":{"body":"B"}}`)
		want := `202 {"id":"msg_","state":"sending","audience":{"frozen":true},"counts":{"targeted":1,"pending":1,"accepted":0,"rejected":0,"expired":0},` +
			`"lane":"urgent","kind":"alert","push_type":"alert","topic":"com.example.shop","created_at":"2000-01-01T00:00:00Z","deadline":"2000-01-02T00:00:00Z",` +
			`"links":{"failures":"/v1/apps/shop/messages/msg_/failures","self":"/v1/apps/shop/messages/msg_"}}`
		if unnamed(got) != want {
			t.Errorf("got\n%s, want\n%s", unnamed(got), want)
		}
		if again := w.do(t, http.MethodGet, got.header.Get("Location"), ""); again.body != got.body {
			t.Errorf("then got\n%s, want\n%s", again.body, got.body)
		}
	})
}

func TestValidateMessage(t *testing.T) {
	playSending(t, func(w *sending) {
		t := w.t
		w.register("i1")
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, shopMessages, strings.NewReader(`{"to":{"installations":["i1"]},"content":{"body":"B"},"mode":"validate"}`))
		r.Header.Set("Authorization", "Bearer "+w.admin)
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set(headerIdempotencyKey, "k") // which is not used up
		got := w.ask(t, r)
		want := `200 {"audience":{"frozen":true},"targeted":1,"lane":"urgent","kind":"alert","push_type":"alert","topic":"com.example.shop","priority":10,` +
			`"payload_bytes":21,"max_payload_bytes":4096,"payload":{"aps":{"alert":"B"}},"deadline":"2000-01-02T00:00:00Z"}`
		if got.said() != want {
			t.Errorf("got %s, want %s", got.said(), want)
		}
		if all := w.stored(); len(all) > 0 {
			t.Errorf("%d messages were stored", len(all))
		}
	})
}

// long has a text of n bytes.
func long(n int) string { return strings.Repeat("x", n) }

func TestMessageFaults(t *testing.T) {
	playSending(t, func(w *sending) {
		t := w.t
		w.register("i1")
		const to = `"to":{"installations":["i1"]}`
		for _, tt := range []struct{ name, body, want string }{
			{"nothing", `{}`, "422 /to required"},
			{"nobody", `{"to":{},"content":{"body":"B"}}`, "422 /to required"},
			{"nobody, said with false", `{"to":{"everybody":false},"content":{"body":"B"}}`, "422 /to required"},
			{"two kinds", `{"to":{"everybody":true,"tag":"t"},"content":{"body":"B"}}`, "422 /to conflict"},
			{"an unknown field", `{` + to + `,"content":{"body":"B","boddy":"C"}}`, "422 /content/boddy unknown"},
			{"an unknown field whose name needs an escape", `{` + to + `,"content":{"body":"B","a/b~c":"C"}}`, "422 /content/a~1b~0c unknown"},
			{
				"other types", `{"to":{"installations":"i1"},"content":{"body":1,"badge":"2","title_loc_args":["a",2]}}`,
				"422 /to/installations malformed, /content/body malformed, /content/badge malformed, /content/title_loc_args/1 malformed",
			},
			{"null", `{` + to + `,"content":{"body":"B","title":null}}`, "422 /content/title malformed"},
			{"a field twice", `{` + to + `,"content":{"body":"B","body":"C"}}`, "422 /content/body duplicate"},
			{
				"device tokens", `{"to":{"device_tokens":[{"value":"00ff","environment":"sandbox"},{"value":"xyz"},{"value":"00","environment":"prod"},{"environment":"sandbox"}]},"content":{"body":"B"}}`,
				"422 /to/device_tokens/2/environment malformed, /to/device_tokens/3/value required",
			},
			{
				"more of device tokens", `{"to":{"device_tokens":[{"value":"00ff","environment":"sandbox"},{"value":"xyz"}]},"content":{"body":"B"}}`,
				"422 /to/device_tokens/1/environment required, /to/device_tokens/1/value malformed",
			},
			{
				"a device token of the other environment", `{"to":{"device_tokens":[{"value":"00ff","environment":"sandbox"}]},"environment":"production","content":{"body":"B"}}`,
				"422 /to/device_tokens/0/environment conflict",
			},
			{"a device token twice", `{"to":{"device_tokens":[{"value":"00ff"},{"value":"<00FF>"}]},"environment":"sandbox","content":{"body":"B"}}`, "422 /to/device_tokens/1 duplicate"},
			{"unknown installations", `{"to":{"installations":["i1","i7","i8"]},"content":{"body":"B"}}`, "422 /to/installations/1 unknown, /to/installations/2 unknown"},
			{"unknown people", `{"to":{"people":[{"external_id":"u-i1"},{"external_id":"u7"}]},"content":{"body":"B"}}`, "422 /to/people/1 unknown"},
			{
				"no alias", `{"to":{"people":[{"external_id":"u-i1"},{},{"a":"1","b":"2"},{"external_id":""},{"a b":"c"}]},"content":{"body":"B"}}`,
				"422 /to/people/1 malformed, /to/people/2 malformed, /to/people/3/external_id required, /to/people/4 malformed",
			},
			{"a tag that is too long", `{"to":{"tag":"` + long(121) + `"},"content":{"body":"B"}}`, "422 /to/tag too_long"},
			{"no content", `{` + to + `}`, "422 /content required"},
			{"content and payload", `{` + to + `,"content":{"body":"B"},"payload":{}}`, "422 /payload conflict"},
			{"a payload, and what goes into one", `{` + to + `,"payload":{},"apns":{"category":"c"}}`, "422 /apns/category conflict"},
			{"a payload that is none", `{` + to + `,"payload":[1]}`, "422 /payload malformed"},
			{"a payload that is null", `{` + to + `,"payload":null}`, "422 /payload malformed"},
			{"content with nothing in it", `{` + to + `,"content":{"custom":{"a":1}}}`, "422 /content required"},
			{"aps in custom", `{` + to + `,"content":{"body":"B","custom":{"aps":{}}}}`, "422 /content/custom/aps conflict"},
			{"a badge below 0", `{` + to + `,"content":{"badge":-1}}`, "422 /content/badge malformed"},
			{"arguments without a key", `{` + to + `,"content":{"body":"B","title_loc_args":["x"]}}`, "422 /content/title_loc_args malformed"},
			{"two sounds", `{` + to + `,"content":{"body":"B","sound":"a","critical_sound":{}}}`, "422 /content/sound malformed"},
			{"a volume", `{` + to + `,"content":{"body":"B","critical_sound":{"volume":2}}}`, "422 /content/critical_sound/volume malformed"},
			{"a level", `{` + to + `,"content":{"body":"B"},"apns":{"interruption_level":"loud"}}`, "422 /apns/interruption_level malformed"},
			{"a relevance", `{` + to + `,"content":{"body":"B"},"apns":{"relevance_score":1.5}}`, "422 /apns/relevance_score malformed"},
			{"too large content", `{` + to + `,"content":{"body":"` + long(5000) + `"}}`, "422 /content/body too_long by 924"},
			{"too large by much else", `{` + to + `,"content":{"body":"B","custom":{"a":"` + long(5000) + `"}}}`, "422 /content too_long by 932"},
			{"too large a payload", `{` + to + `,"payload":{"a":"` + long(5000) + `"}}`, "422 /payload too_long by 912"},
			{"a larger one, for voip", `{` + to + `,"kind":"voip","payload":{"a":"` + long(5200) + `"}}`, "422 /payload too_long by 88"},
			{"a priority", `{` + to + `,"content":{"body":"B"},"apns":{"priority":7}}`, "422 /apns/priority unknown"},
			{"background at once", `{` + to + `,"content":{},"apns":{"push_type":"background","priority":10}}`, "422 /apns/priority conflict"},
			{"background at once, inferred", `{` + to + `,"payload":{"aps":{"content-available":1}},"apns":{"priority":10}}`, "422 /apns/priority conflict"},
			{"background that shows something", `{` + to + `,"content":{"body":"B"},"apns":{"push_type":"background"}}`, "422 /apns/push_type conflict"},
			{"a push type", `{` + to + `,"content":{"body":"B"},"apns":{"push_type":"widget"}}`, "422 /apns/push_type unknown"},
			{"a collapse identifier", `{` + to + `,"content":{"body":"B"},"apns":{"collapse_id":"` + long(65) + `"}}`, "422 /apns/collapse_id malformed"},
			{"a topic of another app", `{` + to + `,"content":{"body":"B"},"apns":{"topic":"com.example.cafe"}}`, "422 /apns/topic conflict"},
			{"a topic of another push type", `{` + to + `,"content":{"body":"B"},"apns":{"push_type":"alert","topic":"com.example.shop.voip"}}`, "422 /apns/topic conflict"},
			{"an ID for several", `{` + to + `,"content":{"body":"B"},"apns":{"id":"eabeae54-14a8-11e5-b60b-1697f925ec7b"}}`, "422 /apns/id conflict"},
			{"an ID that is none", `{"to":{"device_tokens":[{"value":"00ff","environment":"sandbox"}]},"content":{"body":"B"},"apns":{"id":"1"}}`, "422 /apns/id malformed"},
			{"an expiration", `{` + to + `,"content":{"body":"B"},"apns":{"expiration":"tomorrow"}}`, "422 /apns/expiration malformed"},
			{"a kind", `{` + to + `,"content":{"body":"B"},"kind":"pager"}`, "422 /kind unknown"},
			{"the kind of a Live Activity", `{` + to + `,"payload":{"aps":{}},"apns":{"push_type":"liveactivity"}}`, "422 /kind required"},
			{"an environment", `{` + to + `,"content":{"body":"B"},"environment":"staging"}`, "422 /environment malformed"},
			{"a time without a zone", `{` + to + `,"content":{"body":"B"},"deliver":{"at":"2026-12-01T09:00"}}`, "422 /deliver/at malformed"},
			{"a time long past", `{` + to + `,"content":{"body":"B"},"deliver":{"at":"1999-12-01T09:00:00Z"}}`, "422 /deliver/at conflict"},
			{"a time far ahead", `{` + to + `,"content":{"body":"B"},"deliver":{"at":"2009-12-01T09:00:00Z"}}`, "422 /deliver/at too_long"},
			{"a deadline before the start", `{` + to + `,"content":{"body":"B"},"deliver":{"at":"2000-01-03T00:00:00Z","by":"2000-01-02T00:00:00Z"}}`, "422 /deliver/by conflict"},
			{"a deadline far ahead", `{` + to + `,"content":{"body":"B"},"deliver":{"by":"P31D"}}`, "422 /deliver/by too_long"},
			{"a deadline", `{` + to + `,"content":{"body":"B"},"deliver":{"by":"2 hours"}}`, "422 /deliver/by malformed"},
			{"a lane", `{` + to + `,"content":{"body":"B"},"deliver":{"lane":"fast"}}`, "422 /deliver/lane unknown"},
			{"a mode", `{` + to + `,"content":{"body":"B"},"mode":"simulate"}`, "422 /mode unknown"},
			{"no JSON", `{"to":`, "400"},
			{"no object", `[]`, "422 malformed"},
			{"no UTF-8", `{` + to + `,"content":{"body":"` + "\xff" + `"}}`, "400"},
			{"two documents", `{` + to + `,"content":{"body":"B"}}{}`, "400"},
		} {
			got := w.do(t, http.MethodPost, shopMessages, tt.body)
			said := strings.TrimSpace(fmt.Sprint(got.status, " ", faultsOf(t, got)))
			if said != tt.want {
				t.Errorf("%s: got %s, want %s\n%s", tt.name, said, tt.want, got.said())
			}
			var p Problem
			got.into(t, &p)
			for _, f := range p.Errors {
				if f.Pointer != nil && !resolves(t, tt.body, *f.Pointer) {
					t.Errorf("%s: %s points nowhere in %.200s", tt.name, *f.Pointer, tt.body)
				}
			}
		}
		if all := w.stored(); len(all) > 0 {
			t.Errorf("%d messages were stored", len(all))
		}
	})
}

// resolves reports whether a JSON pointer points to a value in a document, or to
// what its parent could have.
func resolves(t *testing.T, document, pointer string) bool {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(document), &v); err != nil {
		t.Fatal(err)
	}
	if pointer == "" {
		return true
	}
	parts := strings.Split(pointer[1:], "/")
	for n, part := range parts {
		part = strings.NewReplacer("~1", "/", "~0", "~").Replace(part)
		isLast := n == len(parts)-1
		switch above := v.(type) {
		case map[string]any:
			below, ok := above[part]
			if !ok && !isLast {
				return false
			}
			v = below
		case []any:
			var i int
			if _, err := fmt.Sscan(part, &i); err != nil || i < 0 || i >= len(above) {
				return false
			}
			v = above[i]
		default:
			return false
		}
	}
	return true
}

func TestMessageProblem(t *testing.T) {
	playSending(t, func(w *sending) {
		t := w.t
		w.register("i1")
		got := w.do(t, http.MethodPost, shopMessages, `{"to":{"installations":["i1"]},"content":{"body":"`+long(4200)+`"}}`)
		const detail = "the payload has 4220 bytes, 124 more than the 4096 that a push of type alert may have: send less, and have the app fetch the rest"
		want := `422 {"type":"https://github.com/heraldpush/herald/blob/main/docs/problems.md#invalid","title":"Something in the request is wrong","status":422,` +
			`"detail":"/content/body: ` + detail + `","instance":"/requests/req_","code":"invalid",` +
			`"errors":[{"pointer":"/content/body","code":"too_long","detail":"` + detail + `","over_by":124}]}`
		if got.said() != want {
			t.Errorf("got\n%s, want\n%s", got.said(), want)
		}
	})
}

func TestMessageRefusals(t *testing.T) {
	playSending(t, func(w *sending) {
		t := w.t
		w.register("i1")
		w.newApp(t, "cafe", "com.example.cafe")
		m := w.send(`{"to":{"installations":["i1"]},"content":{"body":"B"}}`)
		const body = `{"to":{"everybody":true},"content":{"body":"B"}}`
		read := w.newKey(t, account.KeySpec{Scopes: []account.Scope{account.ScopeRead}})
		cafe := w.newKey(t, account.KeySpec{Scopes: []account.Scope{account.ScopeSend}, Apps: []account.AppID{"cafe"}})
		public := w.newKey(t, account.KeySpec{Kind: account.Publishable, Apps: []account.AppID{shop}})
		other := "/v1/apps/cafe/messages/" + m.ID.String()
		for _, tt := range []struct{ name, key, method, target, body, want string }{
			{"no credential", w.admin, "POST", "/v1/apps/cafe/messages", body, "409 no_credential"},
			{"no key", "", "POST", shopMessages, body, "401 unauthenticated"},
			{"a key to read", read, "POST", shopMessages, body, "403 forbidden"},
			{"a publishable key", public, "POST", shopMessages, body, "403 forbidden"},
			{"a key of another app", cafe, "POST", shopMessages, body, "403 forbidden"},
			{"no app", w.admin, "POST", "/v1/apps/bar/messages", body, "404 not_found"},
			{"another app's message", w.admin, "GET", other, "", "404 not_found"},
			{"another app's failures", w.admin, "GET", other + "/failures", "", "404 not_found"},
			{"another app's message, paused", w.admin, "POST", other + ":pause", "", "404 not_found"},
			{"another app's message, undone", w.admin, "POST", other + ":undo", "", "404 not_found"},
			{"no message", w.admin, "GET", shopMessages + "/msg_00000000000000000000000000", "", "404 not_found"},
			{"no ID", w.admin, "GET", shopMessages + "/7", "", "404 not_found"},
			{"the story of nobody", w.admin, "GET", m.Links["self"] + "/installations/i7", "", "404 not_found"},
			{"a cursor of nothing", w.admin, "GET", m.Links["failures"] + "?cursor=x", "", "400 bad_parameter"},
			{"a limit", w.admin, "GET", m.Links["failures"] + "?limit=1001", "", "400 bad_parameter"},
			{"a verb", w.admin, "POST", m.Links["self"] + ":recall", "", "405 method_not_allowed"},
			{"a large body", w.admin, "POST", shopMessages, `{"x":"` + long(1<<20) + `"}`, "413 body_too_large"},
		} {
			got := w.as(t, tt.key, tt.method, tt.target, tt.body)
			var p Problem
			got.into(t, &p)
			if said := fmt.Sprint(got.status, " ", p.Code); said != tt.want {
				t.Errorf("%s: got %s, want %s\n%s", tt.name, said, tt.want, got.said())
			}
		}
		if all := w.stored(); len(all) != 1 {
			t.Errorf("%d messages were stored, want 1", len(all))
		}
	})
}

func TestMessageSteps(t *testing.T) {
	playSending(t, func(w *sending) {
		t := w.t
		w.register("i1")
		m := w.send(`{"to":{"installations":["i1"]},"content":{"body":"B"}}`)
		at := m.Links["self"]
		for _, tt := range []struct{ verb, want string }{
			{"resume", "409 wrong_state"},
			{"pause", "200 paused asked"},
			{"resume", "200 sending "},
			{"cancel", "200 cancelled "},
			{"pause", "409 wrong_state"},
		} {
			got := w.do(t, http.MethodPost, at+":"+tt.verb, "")
			var said struct {
				Code, State, Why string
			}
			got.into(t, &said)
			text := fmt.Sprint(got.status, " ", said.Code)
			if got.status == http.StatusOK {
				text = fmt.Sprint(got.status, " ", said.State, " ", said.Why)
			}
			if text != tt.want {
				t.Errorf("%s: got %s, want %s", tt.verb, text, tt.want)
			}
		}
		if got, want := w.do(t, http.MethodPost, at+":undo", "").said(), `200 {"device_tokens":0}`; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}

func TestIdempotency(t *testing.T) {
	playSending(t, func(w *sending) {
		t := w.t
		w.register("i1")
		ask := func(key, body string) *reply {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, shopMessages, strings.NewReader(body))
			r.Header.Set("Authorization", "Bearer "+w.admin)
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set(headerIdempotencyKey, key)
			return w.ask(t, r)
		}
		const body = `{"to":{"installations":["i1"]},"content":{"body":"B","title":"T"},"deliver":{"by":"PT2H"}}`
		var wait sync.WaitGroup
		replies := make([]*reply, 100)
		for n := range replies {
			wait.Go(func() { replies[n] = ask("order-1", body) })
		}
		wait.Wait()
		first := 0
		for _, got := range replies {
			if got.header.Get(headerReplayed) == "" {
				first++
			}
			if got.status != http.StatusAccepted || got.body != replies[0].body || got.header.Get("Location") != replies[0].header.Get("Location") {
				t.Fatalf("got %s, want %s", got.said(), replies[0].said())
			}
		}
		if all := w.stored(); first != 1 || len(all) != 1 {
			t.Errorf("%d were not repeated and %d messages were stored, want 1", first, len(all))
		}
		w.do(t, http.MethodPost, replies[0].header.Get("Location")+":cancel", "")
		time.Sleep(23 * time.Hour)
		same := `{ "deliver": {"by":"PT2H"}, "content":{"title":"T","body":"\u0042"}, "to":{"installations":["i1"]} }`
		if got := ask("order-1", same); got.body != replies[0].body || got.header.Get(headerReplayed) != "true" {
			t.Errorf("the same in other words: got %s, want %s", got.said(), replies[0].said())
		}
		if got := ask("order-1", strings.Replace(body, "T", "U", 1)); !strings.HasPrefix(got.said(), "422") || !strings.Contains(got.body, `"code":"idempotency_key_reused"`) {
			t.Errorf("something else: got %s", got.said())
		}
		if got := ask("order-2", body); got.status != http.StatusAccepted || got.body == replies[0].body {
			t.Errorf("another key: got %s", got.said())
		}
		time.Sleep(2 * time.Hour)
		if got := ask("order-1", body); got.status != http.StatusAccepted || got.body == replies[0].body || got.header.Get(headerReplayed) != "" {
			t.Errorf("a day later: got %s", got.said())
		}
		for _, key := range []string{"", long(256), "ä", "a\x01"} {
			if got := ask(key, body); got.status != http.StatusBadRequest || faultsOf(t, got) != headerIdempotencyKey+" malformed" {
				t.Errorf("key %.20q: got %s", key, got.said())
			}
		}
	})
}
