package agent

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnstest"
	"github.com/heraldpush/herald/device"
)

// TestLife goes from an enrolment code to notifications, and on in a second
// process that needs no code.
func TestLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start()
		token := w.token()
		id := w.push(`{"aps":{"alert":{"title":"Hello","body":"<b> & \u0000"},"badge":3,"interruption-level":"passive"},"x":[1.50]}`)
		e := w.waitForID(id)
		want := &Notification{
			ID: id, PushType: apns.PushTypeAlert, Priority: 10, SentAt: e.SentAt, Level: apns.InterruptionPassive,
			Shown:   &Shown{Title: "Hello", Body: "<b> & \x00", Badge: new(3)},
			Payload: json.RawMessage(`{"aps":{"alert":{"title":"Hello","body":"<b> & \u0000"},"badge":3,"interruption-level":"passive"},"x":[1.50]}`),
		}
		if diff := cmp.Diff(want, e.Notification); diff != "" || e.Topic != apnstest.Topic {
			t.Errorf("notification of %s (-want +got):\n%s", e.Topic, diff)
		}
		line, err := e.JSON()
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range []string{
			`{"event":"notification","time":"`, `"topic":"com.example.demo","id":"` + string(id) + `","push_type":"alert","priority":10,`,
			`"stored":false,"interruption_level":"passive","shown":{"banner":false,"title":"Hello","body":"<b> & \u0000","badge":3},"payload":` + string(want.Payload) + `}`,
		} {
			if !strings.Contains(string(line), part) {
				t.Errorf("line: got %s, want %s in it", line, part)
			}
		}
		w.end()
		last := w.all()[len(w.all())-1]
		if last.Kind != Disconnected || last.Reason != Ended {
			t.Errorf("last event: got %+v, want %q", last, Ended)
		}

		away := w.pushAway(`{"aps":{"alert":"while it was away"}}`)
		w.events = nil
		w.cfg.EnrolmentCode, w.cfg.Apps = "", nil // the folder knows
		w.start()
		if got := w.token(); got != token {
			t.Errorf("device token: got %x, want %x as before", got, token)
		}
		if e := w.waitForID(away); !e.Stored {
			t.Errorf("got %+v, want that it was stored", e.Notification)
		}
		var kinds []Kind
		for _, e := range w.all() {
			kinds = append(kinds, e.Kind)
		}
		if diff := cmp.Diff([]Kind{Connected, Registered, Received}, kinds); diff != "" {
			t.Errorf("events of the second start (-want +got):\n%s", diff)
		}
		w.end()
	})
}

// TestReconnect tells of a connection that was lost.
func TestReconnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		dial := w.platform.Dial
		w.start()
		w.end()
		w.events = nil
		w.cfg.Settings.Courier = "nowhere.test:5223" // nobody listens there
		w.cfg.Dial = dial
		cfg := w.cfg
		cfg, err := cfg.withDefaults()
		if err != nil {
			t.Fatal(err)
		}
		a, err := open(cfg)
		if err != nil {
			t.Fatal(err)
		}
		w.agent = a
		l, err := w.local.Listen(socketAddress)
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		ctx, stop := withCancel(t)
		go func() { ended <- a.run(ctx, l) }()
		e := w.waitFor(func(e Event) bool { return e.Kind == Disconnected })
		if !strings.Contains(e.Reason, "nowhere.test:5223") {
			t.Errorf("reason: got %q, want the address", e.Reason)
		}
		status, body := w.call(http.MethodPost, "/v1/apps/com.example.other/register", "")
		if status != http.StatusGatewayTimeout || !strings.Contains(body, "no connection to its courier: connecting to nowhere.test:5223") {
			t.Errorf("register: got %d %s, want 504 and why", status, body)
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := a.inbox.journal.close(); err != nil {
			t.Error(err)
		}
	})
}

func TestRegister(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start()
		const other = "com.example.other"
		status, body := w.call(http.MethodPost, "/v1/apps/"+other+"/register", `{"types":["alert","badge"]}`)
		var app AppStatus
		if err := json.Unmarshal([]byte(body), &app); err != nil || status != http.StatusOK {
			t.Fatalf("got %d %s (%v), want the app", status, body, err)
		}
		if len(app.DeviceToken) != 64 {
			t.Errorf("device token: got %q", app.DeviceToken)
		}
		want := AppStatus{
			Topic: other, Types: []string{"alert", "badge"}, DeviceToken: app.DeviceToken, Environment: apns.Sandbox,
			Permission: Permission{Status: "authorized", Types: []string{"alert", "sound", "badge"}},
		}
		if diff := cmp.Diff(want, app); diff != "" {
			t.Errorf("app (-want +got):\n%s", diff)
		}
		// Again, with other types: the same device token.
		status, body = w.call(http.MethodPost, "/v1/apps/"+other+"/register", `{"types":[]}`)
		want.Types = []string{}
		app = AppStatus{}
		if err := json.Unmarshal([]byte(body), &app); err != nil || status != http.StatusOK {
			t.Fatalf("got %d %s (%v), want the app", status, body, err)
		}
		if diff := cmp.Diff(want, app); diff != "" {
			t.Errorf("app (-want +got):\n%s", diff)
		}
		var s Status
		status, body = w.call(http.MethodGet, "/v1/status", "")
		if err := json.Unmarshal([]byte(body), &s); err != nil || status != http.StatusOK {
			t.Fatalf("got %d %s (%v), want the status", status, body, err)
		}
		if !s.Connected || s.DeviceID != w.agent.device.ID() || len(s.Apps) != 2 || s.Certificate == nil || s.Courier != w.platform.CourierAddr() {
			t.Errorf("status: got %s", body)
		}
		if got := time.Until(s.Certificate.NotAfter); got < 24*time.Hour {
			t.Errorf("certificate: good for %v", got)
		}

		if status, body := w.call(http.MethodDelete, "/v1/apps/"+other, ""); status != http.StatusNoContent {
			t.Errorf("delete: got %d %s, want 204", status, body)
		}
		if status, body := w.call(http.MethodDelete, "/v1/apps/"+other, ""); status != http.StatusNotFound {
			t.Errorf("delete again: got %d %s, want 404", status, body)
		}
		if status, body := w.call(http.MethodGet, "/v1/apps", ""); status != http.StatusOK || strings.Contains(body, other) {
			t.Errorf("apps: got %d %s, want none that was deleted", status, body)
		}
	})
}

func TestRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start()
		for _, tt := range []struct {
			name, method, path, body string
			header                   string // Last-Event-ID
			status                   int
			says                     string
		}{
			{"no such path", "GET", "/v2", "", "", 404, "/v1/apps/{topic}/notifications"},
			{"another method", "PATCH", "/v1/status", "", "", 405, `\"PATCH\" is not for \"/v1/status\"`},
			{"not a bundle ID", "POST", "/v1/apps/com..example/register", "", "", 400, "such as com.example.demo"},
			{"control characters", "POST", "/v1/apps/a%1b%5b2J/register", "", "", 400, `\\x1b`},
			{"no JSON", "POST", "/v1/apps/a.b/register", "types=alert", "", 400, "Leave the body out, or send"},
			{"unknown member", "POST", "/v1/apps/a.b/register", `{"kinds":[]}`, "", 400, "kinds"},
			{"unknown type", "POST", "/v1/apps/a.b/register", `{"types":["banner"]}`, "", 400, "want alert, sound and badge"},
			{"two documents", "POST", "/v1/apps/a.b/register", `{}{}`, "", 400, "after the end"},
			{"large body", "POST", "/v1/apps/a.b/register", strings.Repeat(" ", maxRequest+1), "", 400, "cannot be read"},
			{"stream of an unknown app", "GET", "/v1/apps/a.b/notifications", "", "", 404, "POST /v1/apps/a.b/register first"},
			{"permission without a body", "PUT", "/v1/apps/a.b/permission", "", "", 400, "Send {"},
			{"permission of no kind", "PUT", "/v1/apps/a.b/permission", `{"status":"perhaps"}`, "", 400, "want authorized, denied or not determined"},
			{"quiet for no time", "PUT", "/v1/do-not-disturb", `{"on":true,"until":"tomorrow"}`, "", 400, "Send {"},
			{"unknown app", "GET", "/v1/apps/a.b", "", "", 404, "not registered"},
			{"long event id", "GET", "/v1/apps/com.example.demo/notifications", "", strings.Repeat("x", 65), 400, "Last-Event-ID has 65 bytes"},
		} {
			header := http.Header{}
			if tt.header != "" {
				header.Set("Last-Event-ID", tt.header)
			}
			res := w.ask(tt.method, tt.path, tt.body, header)
			var p Problem
			text := readAll(t, res)
			if err := json.Unmarshal([]byte(text), &p); err != nil || res.Header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("%s: got %s, want a problem: %v", tt.name, text, err)
			}
			if res.StatusCode != tt.status || p.Status != tt.status || !strings.Contains(text, tt.says) {
				t.Errorf("%s: got %d %s, want %d and %q", tt.name, res.StatusCode, text, tt.status, tt.says)
			}
		}
		if got := len(w.agent.device.Registrations()); got != 1 {
			t.Errorf("%d apps are registered, want the one", got)
		}
	})
}

func TestOpenRefuses(t *testing.T) {
	base := Config{Dir: t.TempDir(), Settings: Settings{Courier: "a:1", Environment: apns.Sandbox}}
	for _, tt := range []struct {
		name   string
		change func(*Config)
		says   string
	}{
		{"no folder", func(c *Config) { c.Dir = "" }, "Dir: is required"},
		{"no code", func(*Config) {}, device.ErrNotActivated.Error()},
		{"no certificates", func(c *Config) { c.Settings.Roots = "none" }, "no certificate in PEM"},
		{"no courier", func(c *Config) { c.Settings.Courier = "a" }, "want host:port"},
		{"a time before", func(c *Config) { c.CommandTimeout = -1 }, "CommandTimeout"},
	} {
		cfg := base
		tt.change(&cfg)
		if err := Run(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.says)
		}
	}
}
