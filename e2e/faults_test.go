package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// magicTokens returns the magic device tokens of dev.json by name.
func (h *herald) magicTokens(t *testing.T) map[string]string {
	t.Helper()
	var flat map[string]string
	if err := json.Unmarshal([]byte(read(t, h.devPath())), &flat); err != nil {
		t.Fatal(err)
	}
	tokens := make(map[string]string)
	for key, value := range flat {
		if name, ok := strings.CutPrefix(key, "magic_device_token."); ok {
			tokens[name] = value
		}
	}
	return tokens
}

// TestMagicDeviceTokens sends to magic device tokens as dev.json has them.
func TestMagicDeviceTokens(t *testing.T) {
	t.Parallel()
	needCurl(t)
	h := start(t)
	tokens := h.magicTokens(t)

	gone := h.send(t, tokens["Unregistered"], h.alert("to nobody"))
	checkRefused(t, gone, 410, "Unregistered")
	var body struct{ Timestamp int64 }
	if err := json.Unmarshal([]byte(gone.body), &body); err != nil {
		t.Fatal(err)
	}
	if ago := time.Since(time.UnixMilli(body.Timestamp)); ago < time.Hour || ago > 2*time.Hour {
		t.Errorf("timestamp: got %v ago, want about an hour", ago)
	}
	busy := h.send(t, tokens["TooManyRequests"], h.alert("too many"))
	checkRefused(t, busy, 429, "TooManyRequests")
	if got := busy.header.Get("Retry-After"); got != "1" {
		t.Errorf("retry-after: got %q, want 1", got)
	}
	lost := h.alert("lost")
	began := time.Now()
	checkAccepted(t, h.send(t, tokens["accept_1s"], lost), lost.ID)
	if took := time.Since(began); took < time.Second {
		t.Errorf("accept_1s: took %v, want a second", took)
	}
}

// TestFaultPlan sets and ends a plan over the API with curl, as docs/faults.md has
// it, on a platform that began with another.
func TestFaultPlan(t *testing.T) {
	t.Parallel()
	needCurl(t)
	dir := t.TempDir()
	plan := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	h := startIn(t, filepath.Join(t.TempDir(), "herald"), "--ports", "auto",
		"--faults", plan("first.json", `{"name":"first","rules":[{"fault":"reject","reason":"ServiceUnavailable"}]}`))
	api := func(args ...string) string {
		key := struct {
			APIKey string `json:"api_key"`
		}{}
		if err := json.Unmarshal([]byte(read(t, h.devPath())), &key); err != nil {
			t.Fatal(err)
		}
		return tool(t, append([]string{
			"curl", "--disable", "--silent", "--show-error", "--max-time", "20", "-H", "Authorization: Bearer " + key.APIKey, h.HTTP + "/v1/faults",
		}, args...)...).stdout
	}
	home := func() string {
		return tool(t, "curl", "--disable", "--silent", "--show-error", "--max-time", "20", h.HTTP+"/").stdout
	}
	shows := func(what, text, want string) {
		t.Helper()
		if !strings.Contains(text, want) {
			t.Errorf("%s: got %s, want %s in it", what, text, want)
		}
	}

	checkRefused(t, h.send(t, h.DeviceToken, h.alert("refused")), 503, "ServiceUnavailable")
	shows("status", api(), `"times":[1]`)
	shows("console", home(), "Faults on demand are on. first: reject ServiceUnavailable")
	shows("put", api("-X", "PUT", "--data-binary", "@"+plan("second.json", `{"rules":[{"fault":"reject","reason":"Forbidden"}]}`)), `"plan":{"seed":0`)
	checkRefused(t, h.send(t, h.DeviceToken, h.alert("forbidden")), 403, "Forbidden")
	shows("wrong", api("-X", "PUT", "--data-binary", `{"rules":[{"fault":"rain"}]}`), `"code":"E-FAULTS"`)
	shows("delete", api("-X", "DELETE"), `"plan":null`)
	n := h.alert("at last")
	checkAccepted(t, h.send(t, h.DeviceToken, n), n.ID)
	h.checkDelivered(t, n)
	if strings.Contains(home(), "Faults on demand") {
		t.Error("the console still shows faults")
	}
	shows("log", h.output.String(), "faults on demand are off")
}
