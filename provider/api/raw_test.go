package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnstest/scripted"
	"github.com/heraldpush/herald/credential"
	"github.com/heraldpush/herald/provider/account"
	"github.com/heraldpush/herald/provider/outbox"
)

// rawBody is a payload.
const rawBody = `{"aps":{"alert":"B"}, "n":1.0}`

const rawID = "EABEAE54-14a8-11e5-b60b-1697f925ec7b"

// push pushes in Apple's form, with the key for everything to the app shop, but for
// the headers given: each "name: value", or "name" to leave it out.
func (w *sending) push(target, body string, header ...string) *reply {
	w.t.Helper()
	r := httptest.NewRequestWithContext(w.t.Context(), http.MethodPost, target, strings.NewReader(body))
	r.Host = "push.example.com"
	r.Header.Set("Authorization", "bearer "+w.admin)
	r.Header.Set("Apns-Topic", string(bundleID))
	for _, h := range header {
		switch name, value, ok := strings.Cut(h, ": "); {
		case name == "host":
			r.Host = value
		case name == "method":
			r.Method = value
		case !ok:
			r.Header.Del(name)
		case strings.HasPrefix(name, "+"):
			r.Header.Add(name[1:], value)
		default:
			r.Header.Set(name, value)
		}
	}
	return w.ask(w.t, r)
}

// refusedFor returns status and reason of an answer in Apple's form.
func refusedFor(t *testing.T, got *reply) string {
	t.Helper()
	if got.status == http.StatusOK {
		return "200"
	}
	var said struct {
		Reason    apns.Reason
		Timestamp int64
	}
	d := json.NewDecoder(strings.NewReader(got.body))
	d.DisallowUnknownFields()
	if err := d.Decode(&said); err != nil {
		t.Fatalf("%v: %s", err, got.said())
	}
	if said.Reason.Status() != got.status {
		t.Errorf("%s came with %d", said.Reason, got.status)
	}
	return string(said.Reason)
}

func TestPush(t *testing.T) {
	playSending(t, func(w *sending) {
		t := w.t
		for _, tt := range []struct {
			name, target string
			header       []string
			environment  apns.Environment
			want         apns.Notification
		}{
			{"the least", "/3/device/00ff", nil, apns.Production, apns.Notification{PushType: apns.PushTypeAlert}},
			{
				"all headers", "/3/device/00FF",
				[]string{
					"apns-id: " + rawID, "apns-push-type: alert", "apns-priority: 5", "apns-expiration: 0", "apns-collapse-id: c",
					"Content-Type: nonsense;;", "Content-Encoding: gzip", "User-Agent: x",
				},
				apns.Production,
				apns.Notification{ID: rawID, PushType: apns.PushTypeAlert, Priority: apns.PriorityConserve, Expiration: apns.DoNotStore, CollapseID: "c"},
			},
			{"a topic with a suffix", "/3/device/00ff", []string{"apns-topic: com.example.shop.voip"}, apns.Production, apns.Notification{Topic: "com.example.shop.voip", PushType: apns.PushTypeVoIP}},
			{"a background push", "/3/device/00ff", []string{"apns-push-type: background"}, apns.Production, apns.Notification{PushType: apns.PushTypeBackground, Priority: apns.PriorityConserve}},
			{"the environment in the path", "/sandbox/3/device/00ff", nil, apns.Sandbox, apns.Notification{PushType: apns.PushTypeAlert}},
			{"the environment in the path alone counts", "/production/3/device/00ff", []string{"host: sandbox.example.com", "herald-environment: sandbox"}, apns.Production, apns.Notification{PushType: apns.PushTypeAlert}},
			{"the environment in a header", "/3/device/00ff", []string{"herald-environment: sandbox", "host: production.example.com"}, apns.Sandbox, apns.Notification{PushType: apns.PushTypeAlert}},
			{"the environment in the host", "/3/device/00ff", []string{"host: push.Sandbox.example.com:2197"}, apns.Sandbox, apns.Notification{PushType: apns.PushTypeAlert}},
			{"the former one", "/3/device/00ff", []string{"host: development.example.com"}, apns.Sandbox, apns.Notification{PushType: apns.PushTypeAlert}},
			{"no environment in the host", "/3/device/00ff", []string{"host: notsandbox.example.com"}, apns.Production, apns.Notification{PushType: apns.PushTypeAlert}},
		} {
			got := w.push(tt.target, rawBody, tt.header...)
			if got.status != http.StatusOK || got.body != "" {
				t.Errorf("%s: got %s", tt.name, got.said())
				continue
			}
			id, err := outbox.ParseMessageID(got.header.Get(headerMessage))
			if err != nil {
				t.Fatal(err)
			}
			m, err := w.outbox.Message(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			shards, err := w.outbox.Shards(t.Context(), id, 0, 2)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]outbox.Addressee{{Environment: tt.environment, DeviceToken: "\x00\xff"}}, shards[0].Listed); diff != "" {
				t.Errorf("%s: the device token differs (-want +got):\n%s", tt.name, diff)
			}
			tt.want.Payload = apns.Payload(rawBody)
			if tt.want.Topic == "" {
				tt.want.Topic = bundleID
			}
			if diff := cmp.Diff(tt.want, m.Notification, cmp.AllowUnexported(apns.Expiration{})); diff != "" || m.Lane != outbox.Ordinary {
				t.Errorf("%s: in lane %v, the notification differs (-want +got):\n%s", tt.name, m.Lane, diff)
			}
			wantID := tt.want.ID
			if wantID == "" {
				wantID = outbox.NotificationID(id, tt.environment, "\x00\xff")
			}
			if got := got.header.Get("Apns-Id"); got != string(wantID) {
				t.Errorf("%s: got apns-id %s, want %s", tt.name, got, wantID)
			}
		}
	})
}

func TestPushRefused(t *testing.T) {
	playSending(t, func(w *sending) {
		t := w.t
		w.newApp(t, "cafe", "com.example.cafe")
		key := func(s account.KeySpec) string { return "herald-key: " + w.newKey(t, s) }
		read := key(account.KeySpec{Scopes: []account.Scope{account.ScopeRead, account.ScopeDevices}})
		cafe := key(account.KeySpec{Scopes: []account.Scope{account.ScopeSend}, Apps: []account.AppID{"cafe"}})
		public := key(account.KeySpec{Kind: account.Publishable, Apps: []account.AppID{shop}})
		const at = "/3/device/00ff"
		for _, tt := range []struct {
			name, target, body string
			header             []string
			want               apns.Reason
		}{
			{"another method", at, rawBody, []string{"method: GET"}, apns.MethodNotAllowed},
			{"no device token", "/3/device", rawBody, nil, apns.MissingDeviceToken},
			{"no device token after a slash", "/3/device/", rawBody, nil, apns.MissingDeviceToken},
			{"no device token in an environment", "/sandbox/3/device/", rawBody, nil, apns.MissingDeviceToken},
			{"no environment", "/staging" + at, rawBody, nil, apns.BadPath},
			{"no environment in the header", at, rawBody, []string{"herald-environment: staging"}, apns.BadPath},
			{"a query", at + "?a=b", rawBody, nil, apns.BadPath},
			{"a header twice", at, rawBody, []string{"+apns-topic: a"}, apns.DuplicateHeaders},
			{"authorization twice", at, rawBody, []string{"+authorization: a"}, apns.DuplicateHeaders},
			{"an ID", at, rawBody, []string{"apns-id: 7"}, apns.BadMessageID},
			{"an empty ID", at, rawBody, []string{"apns-id: "}, apns.BadMessageID},
			{"no key", at, rawBody, []string{"authorization"}, apns.MissingProviderToken},
			{"another scheme", at, rawBody, []string{"authorization: basic abc"}, apns.MissingProviderToken},
			{"no such key", at, rawBody, []string{"authorization: bearer sk_abc"}, apns.InvalidProviderToken},
			{"no such key in its header", at, rawBody, []string{"herald-key: a.b.c"}, apns.InvalidProviderToken},
			{"a key to read", at, rawBody, []string{read}, apns.Forbidden},
			{"a publishable key", at, rawBody, []string{public}, apns.Forbidden},
			{"a key of another app", at, rawBody, []string{cafe}, apns.TopicDisallowed},
			{"no topic", at, rawBody, []string{"apns-topic"}, apns.MissingTopic},
			{"an empty topic", at, rawBody, []string{"apns-topic: "}, apns.BadTopic},
			{"a topic of nobody", at, rawBody, []string{"apns-topic: com.example.bar"}, apns.TopicDisallowed},
			{"an app without a credential", at, rawBody, []string{"apns-topic: com.example.cafe"}, apns.TopicDisallowed},
			{"an expiration", at, rawBody, []string{"apns-expiration: -1"}, apns.BadExpirationDate},
			{"a priority", at, rawBody, []string{"apns-priority: 7"}, apns.BadPriority},
			{"background at once", at, rawBody, []string{"apns-priority: 10", "apns-push-type: background"}, apns.BadPriority},
			{"a collapse identifier", at, rawBody, []string{"apns-collapse-id: " + long(65)}, apns.BadCollapseID},
			{"one that cannot be sent", at, rawBody, []string{"apns-collapse-id: a\x7f"}, apns.BadCollapseID},
			{"a push type", at, rawBody, []string{"apns-push-type: widget"}, apns.InvalidPushType},
			{"a push type for another topic", at, rawBody, []string{"apns-push-type: voip"}, apns.InvalidPushType},
			{"no payload", at, "", nil, apns.PayloadEmpty},
			{"a payload that is none", at, "[1]", nil, apns.PayloadEmpty},
			{"a large payload", at, `{"a":"` + long(4089) + `"}`, nil, apns.PayloadTooLarge},
			{"a very large payload", at, `{"a":"` + long(1<<20) + `"}`, nil, apns.PayloadTooLarge},
			{"no hex", at + "x", rawBody, nil, apns.BadDeviceToken},
			{"too long", "/3/device/" + strings.Repeat("00", 101), rawBody, nil, apns.BadDeviceToken},
			// Of several faults, the first in the order.
			{"topic before payload", at, "", []string{"apns-topic"}, apns.MissingTopic},
			{"key before topic", at, "", []string{"apns-topic", "authorization"}, apns.MissingProviderToken},
			{"payload before device token", at + "x", "", nil, apns.PayloadEmpty},
		} {
			got := w.push(tt.target, tt.body, tt.header...)
			if said := refusedFor(t, got); said != string(tt.want) {
				t.Errorf("%s: got %s, want %s", tt.name, said, tt.want)
			}
			if id := apns.NotificationID(got.header.Get("Apns-Id")); !id.Valid() {
				t.Errorf("%s: got apns-id %q", tt.name, id)
			}
		}
		if got := w.push(at, "", "apns-id: "+rawID); refusedFor(t, got) != "PayloadEmpty" || got.header.Get("Apns-Id") != rawID {
			t.Errorf("got %s for %s", got.said(), got.header.Get("Apns-Id"))
		}
		if all := w.stored(); len(all) > 0 {
			t.Errorf("%d messages were stored", len(all))
		}
		w.must(w.outbox.(interface{ Close() error }).Close()) //nolint:errcheck,forcetypeassert // the store of the tests can be closed
		if got, want := refusedFor(t, w.push(at, rawBody)), "Shutdown"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}

func TestPushWithProviderToken(t *testing.T) {
	playSending(t, func(w *sending) {
		t := w.t
		mint := func(team apns.TeamID, key apns.KeyID, age time.Duration) string {
			text, err := credential.MintProviderToken(w.key, key, team, time.Now().Add(-age))
			w.must(err)
			return "authorization: bearer " + text
		}
		good := mint(team, keyID, 0)
		const at = "/3/device/00ff"
		w.newApp(t, "cafe", "com.example.cafe")
		for _, tt := range []struct {
			name   string
			header []string
			want   string
		}{
			{"good", []string{good}, "200"},
			{"almost an hour old", []string{mint(team, keyID, time.Hour)}, "200"},
			{"of a clock that is ahead", []string{mint(team, keyID, -time.Hour)}, "200"},
			{"too old", []string{mint(team, keyID, time.Hour+time.Second)}, "ExpiredProviderToken"},
			{"too new", []string{mint(team, keyID, -time.Hour-time.Second)}, "InvalidProviderToken"},
			{"of another team", []string{mint("ZZZZZ12345", keyID, 0)}, "InvalidProviderToken"},
			{"of another key", []string{mint(team, "ZZZZZ12345", 0)}, "InvalidProviderToken"},
			{"badly signed", []string{good[:len(good)-4] + "AAAA"}, "InvalidProviderToken"},
			{"no token", []string{"authorization: bearer a.b.c"}, "InvalidProviderToken"},
			{"for an app that has not the key", []string{good, "apns-topic: com.example.cafe"}, "TopicDisallowed"},
			{"beside an API key, which counts", []string{good[:len(good)-4] + "AAAA", "herald-key: " + w.admin}, "200"},
			{"for all else it is nothing", []string{good, "method: GET"}, "MethodNotAllowed"},
		} {
			if got := refusedFor(t, w.push(at, rawBody, tt.header...)); got != tt.want {
				t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
			}
		}
		if got := w.as(t, strings.TrimPrefix(good, "authorization: bearer "), "GET", "/v1/apps/shop", ""); got.status != http.StatusUnauthorized {
			t.Errorf("another door: got %s", got.said())
		}
		// A key for one environment, in another app.
		p8, err := credential.MarshalP8(w.key)
		w.must(err)
		_, err = w.book.Upload(t.Context(), "cafe", account.Upload{File: p8, TeamID: team, KeyID: "SAND234567", Environments: []string{"sandbox"}})
		w.must(err)
		forCafe := []string{mint(team, "SAND234567", 0), "apns-topic: com.example.cafe"}
		for target, want := range map[string]string{at: "BadEnvironmentKeyInToken", "/sandbox" + at: "200"} {
			if got := refusedFor(t, w.push(target, rawBody, forCafe...)); got != want {
				t.Errorf("%s: got %s, want %s", target, got, want)
			}
		}
		for _, c := range w.book.Credentials("cafe") {
			w.must(w.book.DeleteCredential(t.Context(), "cafe", c.ID, true))
		}
		if got, want := refusedFor(t, w.push("/sandbox"+at, rawBody, forCafe...)), "InvalidProviderToken"; got != want {
			t.Errorf("after the key was removed: got %s, want %s", got, want)
		}
	})
}

func TestPushOnce(t *testing.T) {
	playSending(t, func(w *sending) {
		t := w.t
		const at = "/3/device/00ff"
		message := func(target, body string, header ...string) string {
			got := w.push(target, body, header...)
			if got.status != http.StatusOK {
				t.Fatalf("got %s", got.said())
			}
			return got.header.Get(headerMessage)
		}
		first := message(at, rawBody, "apns-id: "+rawID)
		for _, tt := range []struct {
			name, target, body string
			header             []string
			same               bool
		}{
			{"again", at, rawBody, []string{"apns-id: " + rawID}, true},
			{"again in another letter case, with another expiration", at, rawBody, []string{"apns-id: " + strings.ToLower(rawID), "apns-expiration: 1"}, true},
			{"with another payload", at, `{"aps":{}}`, []string{"apns-id: " + rawID}, false},
			{"to another device token", at + "00", rawBody, []string{"apns-id: " + rawID}, false},
			{"in another environment", "/sandbox" + at, rawBody, []string{"apns-id: " + rawID}, false},
			{"without an ID", at, rawBody, nil, false},
		} {
			if got := message(tt.target, tt.body, tt.header...); (got == first) != tt.same {
				t.Errorf("%s: got %s after %s", tt.name, got, first)
			}
		}
		if all := w.stored(); len(all) != 5 {
			t.Errorf("%d messages were stored, want 5", len(all))
		}
	})
}

func TestPushTooOften(t *testing.T) {
	playSending(t, func(w *sending) {
		t := w.t
		w.rates = newLimiter(Rates{Send: Rate{PerSecond: 0.5, Burst: 1}})
		if got := w.push("/3/device/00ff", rawBody); got.status != http.StatusOK || got.header.Get("RateLimit") == "" {
			t.Fatalf("got %s, %v", got.said(), got.header)
		}
		got := w.push("/3/device/00ff", rawBody)
		if refusedFor(t, got) != "TooManyRequests" || got.header.Get("Retry-After") != "2" {
			t.Errorf("got %s, retry after %s", got.said(), got.header.Get("Retry-After"))
		}
	})
}

func TestRejectionOfFull(t *testing.T) {
	w := newWorld(t, nil)
	r := w.rejection(t.Context(), &request{}, errors.Join(outbox.ErrFull))
	if r.Reason != apns.ServiceUnavailable || r.RetryAfter != 5*time.Second {
		t.Errorf("got %v after %v", r, r.RetryAfter)
	}
	p := asProblem(outbox.ErrFull)
	if p.Status != http.StatusServiceUnavailable || p.header.Get("Retry-After") != "5" {
		t.Errorf("got %v", p)
	}
	r = w.rejection(t.Context(), &request{op: &operation{id: "push"}}, errors.New("disk"))
	if r.Reason != apns.InternalServerError || !strings.Contains(w.log.String(), "disk") {
		t.Errorf("got %v, logged %q", r, w.log)
	}
}

func TestPushToGone(t *testing.T) {
	playSending(t, func(w *sending) {
		t := w.t
		unregistered, bad, good := w.register("i1"), w.register("i2"), w.register("i3")
		w.gateway.ReplyTo(unregistered, scripted.Refuse(apns.Unregistered).Since(time.Now().Add(time.Minute)))
		w.gateway.ReplyTo(bad, scripted.Refuse(apns.BadDeviceToken))
		w.run(func() {
			w.send(`{"to":{"installations":["i1","i2","i3"]},"content":{"body":"B"}}`)
			synctest.Wait()
		})
		for _, tt := range []struct {
			name, target, want string
		}{
			{"unregistered", "/sandbox/3/device/" + unregistered.Hex(), "410 {\"reason\":\"Unregistered\",\"timestamp\":946684800000}"},
			{"bad", "/sandbox/3/device/" + bad.Hex(), "400 {\"reason\":\"BadDeviceToken\"}"},
			{"good", "/sandbox/3/device/" + good.Hex(), "200"},
			{"the other environment", "/3/device/" + unregistered.Hex(), "200"},
		} {
			if got := strings.TrimSpace(w.push(tt.target, rawBody).said()); got != tt.want {
				t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
			}
		}
		w.register("i1") // again
		if got := w.push("/sandbox/3/device/"+unregistered.Hex(), rawBody); got.status != http.StatusOK {
			t.Errorf("registered again: got %s", got.said())
		}
	})
}
