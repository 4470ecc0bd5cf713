package provide

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/heraldpush/herald/credential"
	"github.com/heraldpush/herald/provider/event"
)

// post posts a JSON document, and reads the answer into v.
func post(t *testing.T, url, key string, document, v any) {
	t.Helper()
	body, err := json.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode/100 == 2 {
		err = json.Unmarshal(answer, v)
	}
	if err != nil || res.StatusCode/100 != 2 {
		t.Fatalf("%s: got %d %s, %v", url, res.StatusCode, answer, err)
	}
}

// TestWebhook is told by a webhook, after a restart, of a credential that ends soon.
func TestWebhook(t *testing.T) {
	type delivery struct {
		header http.Header
		body   []byte
	}
	came := make(chan delivery, 10)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		came <- delivery{r.Header, body}
	}))
	defer receiver.Close()
	dir := filepath.Join(t.TempDir(), "p")
	first := start(t, dir, offline)
	key := first.AdminKey.Reveal()
	var ignored any
	post(t, first.URL+"/v1/apps", key, map[string]string{"id": "shop", "bundle_id": "com.example.shop"}, &ignored)
	post(t, first.URL+"/v1/apps/shop/credentials", key, map[string]any{"file": endsSoon(t)}, &ignored)
	var hook struct {
		ID     event.WebhookID `json:"id"`
		Secret string          `json:"secret"`
	}
	post(t, first.URL+"/v1/webhooks", key, map[string]string{"url": receiver.URL}, &hook)
	if err := first.stop(); err != nil {
		t.Fatal(err)
	}
	start(t, dir, offline)
	got := <-came
	var d event.Delivery
	if err := json.Unmarshal(got.body, &d); err != nil {
		t.Fatal(err)
	}
	secret, err := event.ParseSecret(hook.Secret)
	if err != nil {
		t.Fatal(err)
	}
	seconds, err := strconv.ParseInt(got.header.Get(event.HeaderTimestamp), 10, 64)
	if want := secret.Sign(got.header.Get(event.HeaderID), time.Unix(seconds, 0), got.body); err != nil || got.header.Get(event.HeaderSignature) != want {
		t.Errorf("got the signature %s, %v, want %s", got.header.Get(event.HeaderSignature), err, want)
	}
	if d.Webhook != hook.ID || len(d.Events) != 1 || d.Events[0].Kind != event.CredentialExpiring || d.Events[0].App != "shop" {
		t.Errorf("got %s, want one event of a credential that ends soon", got.body)
	}
}

// endsSoon returns a push certificate that is good for five days, with its key, as PEM.
func endsSoon(t *testing.T) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	validity := credential.Validity{NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(5 * 24 * time.Hour)}
	root, err := credential.NewRoot("Test Root", key, validity)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := credential.Authority{Certificate: root, Key: key}.IssuePush(
		credential.PushProfile{Kind: credential.PushUniversal, BundleID: "com.example.shop", TeamID: "ABCDE12345", Organization: "Example"},
		key.Public(), validity)
	if err != nil {
		t.Fatal(err)
	}
	text, err := credential.Identity{Certificate: cert, Key: key}.MarshalPEM()
	if err != nil {
		t.Fatal(err)
	}
	return text
}
