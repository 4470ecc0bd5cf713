package admin_test

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/admin"
	"github.com/heraldpush/herald/faults"
)

func newSimulator() *faults.Simulator {
	return faults.New(faults.Config{MagicDeviceTokens: true, Logger: slog.New(slog.DiscardHandler)})
}

// serveFaults returns the URL of an API with faults on demand; nil for none.
func serveFaults(t *testing.T, s *faults.Simulator) string {
	t.Helper()
	server := httptest.NewServer(admin.New(admin.Config{
		Portal: newPortal(t), Faults: s, Key: apiKey, Logger: slog.New(slog.DiscardHandler),
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// What is put in force is what is shown, here and there.
func TestFaults(t *testing.T) {
	here, there := newSimulator(), newSimulator()
	for name, at := range map[string]admin.Target{
		"local":  admin.LocalRooms(admin.Rooms{Portal: newPortal(t), Faults: here}),
		"remote": remote(t, serveFaults(t, there), apiKey),
	} {
		t.Run(name, func(t *testing.T) {
			if s := must(t, at, admin.GetFaults, admin.None{}); s.Plan != nil || !s.MagicDeviceTokens {
				t.Errorf("at first: got %+v", s)
			}
			put := must(t, at, admin.PutFaults, json.RawMessage(`{"seed":7,"rules":[{"fault":"lose","share":0.5}]}`))
			if put.Plan == nil || put.Plan.Seed != 7 || len(put.Times) != 1 || put.Since == nil {
				t.Fatalf("put: got %+v", put)
			}
			if diff := cmp.Diff(put, must(t, at, admin.GetFaults, admin.None{})); diff != "" {
				t.Errorf("(-put +get):\n%s", diff)
			}
			_, err := admin.PutFaults.Call(t.Context(), at, json.RawMessage(`{"rules":[{"fault":"lose","share":2}]}`))
			p, ok := errors.AsType[*admin.Problem](err)
			if !ok || p.Status != 400 || p.Code != admin.CodeFaults || p.Hint == "" || p.Detail != "fault plan: rules[0].share: 2 is no share" {
				t.Errorf("a wrong plan: got %+v", err)
			}
			if diff := cmp.Diff(put, must(t, at, admin.GetFaults, admin.None{})); diff != "" {
				t.Errorf("after the wrong plan (-put +get):\n%s", diff)
			}
			for range 2 { // the second has nothing to do
				if s := must(t, at, admin.DeleteFaults, admin.None{}); s.Plan != nil || s.Since != nil {
					t.Errorf("deleted: got %+v", s)
				}
			}
		})
	}
}

// A platform may have no faults on demand.
func TestNoFaults(t *testing.T) {
	p := newPortal(t)
	for name, at := range map[string]admin.Target{"local": admin.Local(p), "remote": remote(t, serveFaults(t, nil), apiKey)} {
		_, err := admin.GetFaults.Call(t.Context(), at, admin.None{})
		if p, ok := errors.AsType[*admin.Problem](err); !ok || p.Status != 404 || p.Code != admin.CodeFaults {
			t.Errorf("%s: got %v, want %s", name, err, admin.CodeFaults)
		}
	}
}

// The API over HTTP as curl uses it.
func TestFaultsOverHTTP(t *testing.T) {
	url := serveFaults(t, newSimulator()) + "/v1/faults"
	for _, tt := range []struct {
		name, method, body string
		header             map[string]string
		status             int
	}{
		{"get", "GET", "", nil, 200},
		{"put", "PUT", `{"rules":[{"fault":"silence"}]}`, map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, 200},
		{"put nothing", "PUT", ``, nil, 400},
		{"put a list", "PUT", `[]`, nil, 400},
		{"delete", "DELETE", "", nil, 200},
		{"post", "POST", "{}", nil, 405},
		{"without the key", "PUT", `{"rules":[{"fault":"silence"}]}`, map[string]string{"Authorization": ""}, 401},
	} {
		if got := do(t, tt.method, url, tt.body, tt.header); got.status != tt.status {
			t.Errorf("%s: got %d %s, want %d", tt.name, got.status, got.body, tt.status)
		}
	}
}
