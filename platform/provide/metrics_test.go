package provide

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/heraldpush/herald/provider/account"
)

func TestMetrics(t *testing.T) {
	r := start(t, filepath.Join(t.TempDir(), "p"), nil)
	key := r.AdminKey.Reveal()
	var ignored, hook struct {
		ID string `json:"id"`
	}
	post(t, r.URL+"/v1/apps", key, account.AppSpec{ID: "shop", BundleID: "com.example.shop"}, &ignored)
	post(t, r.URL+"/v1/webhooks", key, map[string]string{"url": "http://127.0.0.1:1/"}, &hook)
	var whole struct {
		Key string `json:"key"`
	}
	post(t, r.URL+"/v1/keys", key, account.KeySpec{Scopes: []account.Scope{account.ScopeRead}, Apps: []account.AppID{"shop"}}, &whole)
	if got, body := get(t, http.DefaultClient, r.URL, "/metrics", whole.Key); got != http.StatusForbidden {
		t.Errorf("with a key for one app: got %d %s, want 403", got, body)
	}
	post(t, r.URL+"/v1/keys", key, account.KeySpec{Scopes: []account.Scope{account.ScopeRead}}, &whole)
	status, body := get(t, http.DefaultClient, r.URL, "/metrics", whole.Key)
	if status != http.StatusOK {
		t.Fatalf("got %d %s", status, body)
	}
	for _, want := range []string{
		`herald_provider_api_requests_total{operation="createApp",status="201"} 1`,
		`herald_provider_api_request_duration_seconds_count{operation="createKey"} 2`,
		`herald_provider_outbox_shards{lane="urgent"} 0`,
		`herald_provider_outbox_oldest_seconds{lane="campaign"} 0`,
		`herald_provider_outbox_up 1`,
		`herald_provider_sending 0`,
		`herald_provider_webhook_paused{webhook="` + hook.ID + `"} 0`,
		`herald_provider_webhook_behind_events{webhook="` + hook.ID + `"} 0`,
		`herald_provider_webhook_delivered_events_total{webhook="` + hook.ID + `"} 0`,
		`herald_apns_in_flight{environment="production"} 0`,
	} {
		if !strings.Contains(body, want+"\n") {
			t.Errorf("the metrics lack %s", want)
		}
	}
	if strings.Contains(body, key) || strings.Contains(body, whole.Key) {
		t.Error("the metrics show an API key")
	}
}
