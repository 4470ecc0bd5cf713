package admin_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/heraldpush/herald/admin"
	"github.com/heraldpush/herald/portal"
	"github.com/heraldpush/herald/store/memory"
)

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

// do sends a request with the API key, unless header has another, and returns
// the answer and its body.
func do(t *testing.T, method, url, body string, header map[string]string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+apiKey)
	for name, value := range header {
		if name == "Host" {
			req.Host = value
		}
		req.Header.Set(name, value)
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(res.Body)
	if err := errors.Join(err, res.Body.Close()); err != nil {
		t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, string(b)}
}

func TestRefusals(t *testing.T) {
	url := serve(t, newPortal(t))
	for _, test := range []struct {
		name, method, path, body string
		header                   map[string]string
		status                   int
		code                     portal.Code
	}{
		{"no key", "GET", "/v1/portal/teams", "", map[string]string{"Authorization": ""}, 401, admin.CodeAPIKey},
		{"wrong key", "GET", "/v1/portal/teams", "", map[string]string{"Authorization": "Bearer " + apiKey + "x"}, 401, admin.CodeAPIKey},
		{"another scheme", "GET", "/v1/portal/teams", "", map[string]string{"Authorization": "Basic " + apiKey}, 401, admin.CodeAPIKey},
		{"no key, unknown path", "GET", "/v1/portal/nothing", "", map[string]string{"Authorization": ""}, 401, admin.CodeAPIKey},
		{"another's host", "GET", "/v1/portal/teams", "", map[string]string{"Host": "attacker.example"}, 421, admin.CodeHost},
		{"unknown path", "GET", "/v1/portal/nothing", "", nil, 404, admin.CodeOperation},
		{"another method", "DELETE", "/v1/portal/teams", "", nil, 405, admin.CodeOperation},
		{"too large", "POST", "/v1/portal/teams", `{"name":"` + strings.Repeat("x", 1<<20) + `"}`, nil, 413, admin.CodeTooLarge},
		{"no JSON", "POST", "/v1/portal/teams", `{"name":`, nil, 400, admin.CodeArgument},
		{"no object", "POST", "/v1/portal/teams", `[1]`, nil, 400, admin.CodeArgument},
		{"two objects", "POST", "/v1/portal/teams", `{"name":"a"}{"name":"b"}`, nil, 400, admin.CodeArgument},
		{"unknown member", "POST", "/v1/portal/teams", `{"title":"a"}`, nil, 400, admin.CodeArgument},
		{"another type", "POST", "/v1/portal/teams", `{"name":7}`, nil, 400, admin.CodeArgument},
		{"null", "POST", "/v1/portal/teams", `null`, nil, 400, portal.CodeName},
		{"unknown query", "GET", "/v1/portal/teams?before=1", "", nil, 400, admin.CodeArgument},
		{"query twice", "GET", "/v1/portal/teams?after=1&after=2", "", nil, 400, admin.CodeArgument},
		{"no sequence number", "GET", "/v1/portal/audit?after=x", "", nil, 400, admin.CodeArgument},
		{"neither on nor off", "POST", "/v1/portal/apps/com.example.demo/broadcast", `{}`, nil, 400, admin.CodeArgument},
		{"no environment", "POST", "/v1/portal/keys", `{"environment":"moon"}`, nil, 400, admin.CodeArgument},
		{"no recipient", "POST", "/v1/portal/backup", `{}`, nil, 400, admin.CodeRecipient},
		{"bad recipient", "POST", "/v1/portal/backup", `{"recipients":["age1x"]}`, nil, 400, admin.CodeRecipient},
		{"two recipients in one", "POST", "/v1/portal/backup", `{"recipients":["# nobody"]}`, nil, 400, admin.CodeRecipient},
		{"backup, another type", "POST", "/v1/portal/backup", `{"recipients":7}`, nil, 400, admin.CodeArgument},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := do(t, test.method, url+test.path, test.body, test.header)
			var p admin.Problem
			if err := json.Unmarshal([]byte(got.body), &p); err != nil {
				t.Fatalf("%v: %s", err, got.body)
			}
			if got.status != test.status || p.Status != test.status || p.Code != test.code {
				t.Errorf("got %d, %d, %s, want %d, %s", got.status, p.Status, p.Code, test.status, test.code)
			}
			if p.Title == "" || p.Detail == "" {
				t.Errorf("title %q, detail %q", p.Title, p.Detail)
			}
			if kind := got.header.Get("Content-Type"); kind != "application/problem+json" {
				t.Errorf("got Content-Type %q", kind)
			}
			if (test.status == 401) != (got.header.Get("WWW-Authenticate") != "") {
				t.Errorf("got WWW-Authenticate %q", got.header.Get("WWW-Authenticate"))
			}
		})
	}
}

func TestHosts(t *testing.T) {
	a := admin.New(admin.Config{Portal: newPortal(t), Key: apiKey, Hosts: []string{"push.example.com"}})
	for host, want := range map[string]int{
		"127.0.0.1:8030":        http.StatusOK,
		"[::1]:8030":            http.StatusOK,
		"localhost":             http.StatusOK,
		"herald.localhost:8030": http.StatusOK,
		"Push.Example.com":      http.StatusOK,
		"example.com":           http.StatusMisdirectedRequest,
		"localhost.example.com": http.StatusMisdirectedRequest,
	} {
		req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+host+"/v1/portal/teams", nil)
		req.Header.Set("Authorization", "bearer "+apiKey)
		w := httptest.NewRecorder()
		a.ServeHTTP(w, req)
		if w.Code != want {
			t.Errorf("%s: got status %d, want %d", host, w.Code, want)
		}
	}
}

// An API without a key that is worth the name serves nobody.
func TestShortKey(t *testing.T) {
	for _, key := range []string{"", "short"} {
		req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost/v1/portal/teams", nil)
		req.Header.Set("Authorization", "Bearer "+key)
		w := httptest.NewRecorder()
		admin.New(admin.Config{Portal: newPortal(t), Key: key}).ServeHTTP(w, req)
		if w.Code != http.StatusUnauthorized {
			t.Errorf("key %q: got status %d, want 401", key, w.Code)
		}
	}
}

// failing is a store that fails once it is told to.
type failing struct {
	store portal.Store
	err   error
}

// A fault of the platform is logged once and not shown.
func TestFault(t *testing.T) {
	s := memory.NewPortal()
	broken := &failing{store: s}
	p, err := portal.Open(t.Context(), portal.Config{Store: brokenStore{broken}})
	if err != nil {
		t.Fatal(err)
	}
	broken.err = errors.New("disk 7 is on fire")
	var log bytes.Buffer
	server := httptest.NewServer(admin.New(admin.Config{Portal: p, Key: apiKey, Logger: slog.New(slog.NewTextHandler(&log, nil))}))
	res := do(t, http.MethodGet, server.URL+"/v1/portal/teams", "", nil)
	server.Close() // the log is complete
	if res.status != http.StatusInternalServerError || strings.Contains(res.body, "disk") {
		t.Errorf("got %d, %s", res.status, res.body)
	}
	if got := strings.Count(log.String(), "disk 7 is on fire"); got != 1 {
		t.Errorf("the fault is in the log %d times, want once:\n%s", got, log.String())
	}
	if strings.Contains(log.String(), apiKey) {
		t.Error("the API key is in the log")
	}
}
