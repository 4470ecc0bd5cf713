package conformance_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/heraldpush/herald/conformance"
	"github.com/heraldpush/herald/credential"
)

// wrongGateway starts a gateway that is one by its form alone, and returns it as
// a target with a provider key.
func wrongGateway(t *testing.T, h http.HandlerFunc) *conformance.Target {
	t.Helper()
	server := httptest.NewUnstartedServer(h)
	server.EnableHTTP2 = true
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug) // it is asked for what it may well refuse
	server.StartTLS()
	t.Cleanup(server.Close)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	private, err := credential.NewProviderKey()
	if err != nil {
		t.Fatal(err)
	}
	return &conformance.Target{
		Addresses: map[string]string{conformance.Gateway: server.Listener.Addr().String()}, ServerName: "example.com", Roots: roots,
		Keys:   map[string]conformance.Key{conformance.TeamKey: {Team: "ABCDE12345", ID: "ABCDE12345", Private: private}},
		Values: map[string][]string{conformance.Topic: {"com.example.demo"}, conformance.DeviceToken: {deviceToken}},
	}
}

// deviceToken is somebody's.
var deviceToken = strings.Repeat("cafe", 16)

// answers returns a handler that gives one answer to all.
func answers(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get("apns-id")
		if id == "" {
			id = "eabeae54-14a8-11e5-b60b-1697f925ec7b"
		}
		w.Header().Set("apns-id", id)
		if body != "" {
			w.Header().Set("content-type", "application/json")
		}
		w.WriteHeader(status)
		_, _ = fmt.Fprint(w, body)
	}
}

// TestTakesEverything proves that a gateway that checks nothing passes no case
// but those of good pushes.
func TestTakesEverything(t *testing.T) {
	target := wrongGateway(t, answers(200, ""))
	target.Deliver = true
	report := run(t, conformance.Config{Target: target, Run: regexp.MustCompile("^(method|headers|payload|topic|order)/.*by token$"), Timeout: caseTimeout})
	suite := load(t)
	wants := make(map[string]string)
	for _, c := range suite.Cases {
		if len(c.Steps) == 0 {
			wants[c.ID()] = c.Want
		}
	}
	for _, r := range report {
		want, ok := wants[r.Theme+"/"+r.Name]
		if !ok || r.Result == conformance.Skipped {
			continue
		}
		passes := want == "accepted"
		if strings.Contains(r.Name, "is given back") && passes || strings.Contains(r.Name, "without headers") {
			continue
		}
		if got := r.Result == conformance.Passed; got != passes {
			t.Errorf("%s: want %s", r.Line(), want)
		}
	}
	if failed := report.Count("", conformance.Failed); failed < 200 {
		t.Errorf("got %d that fail, want 200 at least", failed)
	}
}

// TestNothingIsDelivered proves that without leave nothing is sent to a device
// token that was given.
func TestNothingIsDelivered(t *testing.T) {
	var mu sync.Mutex
	var requests int
	take := answers(200, "")
	target := wrongGateway(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		requests++
		if strings.Contains(strings.ToLower(r.URL.Path), deviceToken[:20]) {
			t.Errorf("%s %s was sent", r.Method, r.URL.Path)
		}
		take(w, r)
	})
	target.Values["second app's device token"] = []string{deviceToken}
	target.Values["device token of the other environment"] = []string{deviceToken}
	target.Values["removed app's device token"] = []string{deviceToken}
	report := run(t, conformance.Config{
		Target: target, Run: regexp.MustCompile("^(method|headers|topic|payload|devicetoken|token|throttle)/|^order/.* before a device token"), Timeout: caseTimeout,
	})
	mu.Lock()
	defer mu.Unlock()
	if requests < 150 {
		t.Errorf("got %d requests: nothing was proven", requests)
	}
	for _, r := range report {
		if r.Result == conformance.Skipped && r.Detail == "" {
			t.Errorf("%s does not say why", r.Line())
		}
	}
}

// TestForms proves that an answer of a wrong form fails, whatever it says.
func TestForms(t *testing.T) {
	const gone = "devicetoken/of nobody, by token"
	for _, tt := range []struct {
		name string
		h    http.HandlerFunc
		run  string
		want string // part of the line
	}{
		{"right", answers(400, `{"reason":"BadDeviceToken"}`), gone, "ok "},
		{"another reason", answers(400, `{"reason":"BadTopic"}`), gone, "got BadTopic, want BadDeviceToken"},
		{"a reason in another letter case", answers(400, `{"reason":"badDeviceToken"}`), gone, "got badDeviceToken, want BadDeviceToken"},
		{"another status", answers(410, `{"reason":"BadDeviceToken"}`), gone, "status 410 with BadDeviceToken, want 400"},
		{"no body", answers(400, ""), gone, "got 400, want BadDeviceToken"},
		{"no JSON", answers(400, "BadDeviceToken"), gone, "got 400, want BadDeviceToken"},
		{"a timestamp", answers(400, `{"reason":"BadDeviceToken","timestamp":1508249865488}`), gone, "a timestamp comes with status 410"},
		{"no apns-id", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(400) }, "headers/apns-id is made for a refusal, by token", "got 400"},
		{"an apns-id of its own", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("apns-id", "eabeae54-14a8-11e5-b60b-1697f925ec7b")
			w.Header().Set("content-type", "application/json")
			w.WriteHeader(400)
			_, _ = fmt.Fprint(w, `{"reason":"BadPriority"}`)
		}, "headers/apns-id is given back with a refusal, by token", "want the one of the request"},
		{"another content-type", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("apns-id", "eabeae54-14a8-11e5-b60b-1697f925ec7b")
			w.Header().Set("content-type", "text/plain")
			w.WriteHeader(400)
			_, _ = fmt.Fprint(w, `{"reason":"BadDeviceToken"}`)
		}, gone, "content-type"},
		{"in pieces", func(w http.ResponseWriter, r *http.Request) {
			answers(400, `{"reason":`)(w, r)
			_ = http.NewResponseController(w).Flush()
			_, _ = fmt.Fprint(w, `"BadDeviceToken"}`)
		}, gone, "HEADERS, DATA, DATA"},
		{"a success with a body", answers(200, `{}`), "method/a good push, by token", "an accepted push is answered with"},
		{"a timestamp in seconds", answers(410, `{"reason":"Unregistered","timestamp":1508249865}`), "devicetoken/of an app that was removed, by token", "want milliseconds"},
		{"no timestamp", answers(410, `{"reason":"Unregistered"}`), "devicetoken/of an app that was removed, by token", "a timestamp comes with status 410"},
		{"silence", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, gone, "the case took longer than"},
		{"a stream reset", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, gone, "got INTERNAL_ERROR, want BadDeviceToken"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			target := wrongGateway(t, tt.h)
			target.Deliver = true
			target.Values["removed app's device token"] = []string{deviceToken}
			timeout := caseTimeout
			if tt.name == "silence" {
				timeout = 300 * time.Millisecond
			}
			report := run(t, conformance.Config{Target: target, Run: regexp.MustCompile("^" + tt.run + "$"), Timeout: timeout})
			if len(report) != 1 {
				t.Fatalf("got %d results, want 1", len(report))
			}
			if got := report[0].Line(); !strings.Contains(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// TestUnreachable proves that a run against nothing says so.
func TestUnreachable(t *testing.T) {
	target := &conformance.Target{
		Addresses: map[string]string{conformance.Gateway: "gateway.example.com:443"},
		Dial:      dialNothing,
	}
	err := load(t).Run(t.Context(), conformance.Config{Target: target, Report: func(conformance.Result) {}})
	if _, ok := errors.AsType[*conformance.UnreachableError](err); !ok || !strings.Contains(err.Error(), "gateway.example.com:443") {
		t.Errorf("got %v, want that nothing answers", err)
	}
}

// TestInterrupted proves that a run ends with its context.
func TestInterrupted(t *testing.T) {
	target := wrongGateway(t, answers(200, ""))
	target.Deliver = true
	ctx, cancel := context.WithCancel(t.Context())
	n := 0
	err := load(t).Run(ctx, conformance.Config{Target: target, Report: func(conformance.Result) {
		if n++; n == 20 {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}
